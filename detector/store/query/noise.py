"""Noise: which user-space programs crash where and how often, from counts by hour (older
ones by day).

In: a connection, hosts, programs, times. Out: frozen rows. Sums over hosts come from the counts by
program, which are far fewer. Where a fleet's counts are more than can be looked at at once, the
newest are, in whole hours, and the answer says from when on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any, Literal

from detector.clock import DAY_US, HOUR_US
from detector.render.units import Bucket
from detector.store.query.filters import as_known, is_pattern
from detector.store.query.results import Noise, NoiseRow, named

NoiseColumn = Literal["host", "process", "signature", "hour"]
EVERYTHING: tuple[NoiseColumn, ...] = ("host", "process", "signature")
# How many counts are looked at by whoever cannot wait: of hosts, and of programs over all hosts.
LOOKED = 10_000
LOOKED_PROGRAMS = 50_000
# A pattern that means more hosts is compared count by count, newest first.
_HOSTS = 200
_NEVER, _EVER = -DAY_US - 1, (1 << 62) - 1
_COLUMNS = {"host": "host", "process": "process", "signature": "signature", "hour": "hour_us"}

# Kernel times of different hosts have nothing in common.
_ROWS = """
SELECT {columns}, sum(count) AS count, min(first_us) AS first_us, max(last_us) AS last_us, {kernel}
  FROM {table}
WHERE {conditions} GROUP BY {columns} ORDER BY sum(count) DESC, {columns} LIMIT :top
"""
_KERNEL = "min(first_kernel_us) AS first_kernel_us, max(last_kernel_us) AS last_kernel_us"
_NO_KERNEL = "NULL AS first_kernel_us, NULL AS last_kernel_us"
_SPAN = "hour_us > :after AND hour_us < :until"
# A count stands in the hour, or the day, that it begins with.
_TOUCHES = (
    "(:since IS NULL OR coalesce(last_us, hour_us) >= :since) AND coalesce(first_us, hour_us) "
    "< :until"
)
_EDGE = (
    "SELECT hour_us FROM {table} WHERE {conditions} ORDER BY hour_us DESC LIMIT 1 OFFSET :looked"
)
_OLDEST = "SELECT hour_us FROM {table} WHERE {conditions} ORDER BY hour_us LIMIT 1"


@dataclass(slots=True)
class _Counts:
    """Where counts are looked for, and the conditions that an index answers (`conditions`) or
    that each is compared with.
    """

    table: str
    conditions: list[str]
    compared: list[str]
    looked: int | None


def noise(
    connection: Connection,
    by: Sequence[NoiseColumn],
    host: str | None,
    process: str | None,
    since_us: int | None,
    until_us: int | None,
    top: int,
    *,
    quick: bool,
) -> Noise:
    """Crashes added up by some columns, the most frequent first; `quick` looks at the newest
    counts alone where they are too many.
    """
    host = host and as_known(connection, host)
    parameters: dict[str, Any] = {
        "host": host,
        "process": process,
        "since": since_us,
        "after": _NEVER if since_us is None else since_us - DAY_US,
        "until": _EVER if until_us is None else until_us,
        "top": top,
    }
    counts = _counts(connection, by, host, process, parameters)
    counted_us = _bounded(connection, counts, parameters) if quick else None
    query = _ROWS.format(
        columns=", ".join(_COLUMNS[column] for column in by) or "NULL",
        kernel=_KERNEL if "host" in by else _NO_KERNEL,
        table=counts.table,
        conditions=" AND ".join((*counts.conditions, *counts.compared, _TOUCHES)),
    )
    empty: dict[str, Any] = dict.fromkeys(_COLUMNS.values())
    return Noise(
        [
            NoiseRow(**(empty | named(NoiseRow, row)))
            for row in connection.execute(query, parameters)
        ],
        counted_us,
    )


def noise_hours(
    connection: Connection, host: str | None, process: str | None, since_us: int, until_us: int
) -> list[Bucket]:
    """Crashes by the hour (older ones by the day): hours that touch the time and have any."""
    host = host and as_known(connection, host)
    table = "noise_programs" if host is None else "noise"
    conditions = ["hour_us > :since", "hour_us < :until"]
    conditions += ["host = :host"] if host is not None else []
    conditions += ["process = :process"] if process is not None else []
    query = (
        f"SELECT hour_us, sum(count) FROM {table} WHERE {' AND '.join(conditions)} GROUP BY "  # noqa: S608
        "hour_us ORDER BY hour_us"
    )
    rows = connection.execute(
        query, {"since": since_us - HOUR_US, "until": until_us, "host": host, "process": process}
    )
    return [Bucket(hour, hour + HOUR_US, count) for hour, count in rows]


def _counts(
    connection: Connection,
    by: Sequence[NoiseColumn],
    host: str | None,
    process: str | None,
    parameters: dict[str, Any],
) -> _Counts:
    """The smallest table that can answer, and the index that leads into it; the hosts of a
    pattern are added to the parameters.
    """
    programs = ["process = :process"] if process is not None else []
    if host is None and "host" not in by:
        return _Counts("noise_programs", [_SPAN], programs, LOOKED_PROGRAMS)
    names = None if host is None else _named(connection, host)
    if names is not None:
        parameters["hosts"] = json.dumps(names)
        return _Counts(
            "noise", ["host IN (SELECT value FROM json_each(:hosts))", *programs, _SPAN], [], None
        )
    index = "noise_hour" if process is None else "noise_process"
    return _Counts(
        f"noise INDEXED BY {index}",
        [*programs, _SPAN],
        [] if host is None else ["host GLOB :host"],
        LOOKED,
    )


def _named(connection: Connection, host: str) -> list[str] | None:
    """The hosts that a pattern means; None where they are too many to name."""
    if not is_pattern(host):
        return [host]
    rows = connection.execute(
        "SELECT name FROM hosts WHERE name GLOB ? LIMIT ?", (host, _HOSTS + 1)
    ).fetchall()
    return [row[0] for row in rows] if len(rows) <= _HOSTS else None


def _bounded(connection: Connection, counts: _Counts, parameters: dict[str, Any]) -> int | None:
    """Draws the earlier end nearer, to whole hours, where more counts lie within; from when on
    they are counted then, else None.
    """
    if counts.looked is None:
        return None
    where = {"table": counts.table, "conditions": " AND ".join(counts.conditions)}
    edge = _EDGE.format(**where)
    beyond = connection.execute(edge, parameters | {"looked": counts.looked}).fetchone()
    if beyond is None:
        return None
    newest = connection.execute(edge, parameters | {"looked": 0}).fetchone()[0]
    # One hour that holds more is looked at as a whole.
    parameters["after"] = min(beyond[0], newest - 1)
    return int(connection.execute(_OLDEST.format(**where), parameters).fetchone()[0])
