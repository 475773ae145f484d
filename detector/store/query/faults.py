"""Kernel faults: every kernel match of the history, in an incident or not, newest first.

A report is one fault, under its head; a line that signatures claim inside a report is none of its
own. A page looks at a bounded number of matches, and its `next` goes on behind them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from sqlite3 import Connection, Row
from typing import Any

from detector.model import Block, Match
from detector.store.ingest.reports import block_of
from detector.store.query.filters import Filter, FilterError, is_pattern, release_range
from detector.store.query.results import Page, read_place, spell_place
from detector.store.rows import read_match, release_number

# Matches that one page looks at where no index leads to what is asked for.
LOOKED = 50_000
# What a fault can be asked for by; the rest belongs to incidents.
FIELDS = ("host", "since", "until", "class", "signature", "severity", "problem", "function",
          "module", "kernel", "known", "fixable")  # fmt: skip
_ATTRIBUTES = {"class": "cls", "since": "since_us", "until": "until_us"}

_FAULT = """
SELECT m.id, m.host, m.wall_time_us, m.kernel_time_us, m.severity, m.signature, m.class AS cls,
  coalesce(r.title, m.text) AS title, r.kind, r.function, r.module, r.kernel, r.fingerprint,
  (SELECT coalesce(i.joined_into, i.id) FROM evidence e JOIN incidents i ON i.id = e.incident_id
   WHERE e.match_id = m.id ORDER BY i.joined_into IS NOT NULL LIMIT 1) AS incident
FROM matches m LEFT JOIN reports r ON r.match_id = m.id
"""
_COLUMNS = {
    "cls": "m.class",
    "signature": "m.signature",
    "severity": "m.severity",
    "problem": "r.fingerprint",
    "function": "r.function",
    "module": "r.module",
}


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One kernel fault. `title` is its report's, else the line itself; `incident` is the live
    incident that it is evidence of. Times are µs, the kernel's since boot.
    """

    id: int
    host: str
    wall_time_us: int | None
    kernel_time_us: int | None
    severity: str
    signature: str
    cls: str
    title: str
    kind: str | None
    function: str | None
    module: str | None
    kernel: str | None
    fingerprint: str | None
    incident: str | None


@dataclass(frozen=True, slots=True)
class FaultDetail:
    """A fault with its line and the lines of its report."""

    row: FaultRow
    block: Block | None
    match: Match


def page(
    connection: Connection,
    wanted: Filter,
    heads: Collection[str],
    after: str | None,
    limit: int,
) -> Page[FaultRow]:
    """Returns the faults of a filter, newest first; `heads` are the signatures that open reports.

    Raises FilterError for a field that faults do not have, and for what is no place of a list.
    """
    _check(wanted)
    before = read_place(after, int)[0] if after else _newest(connection) + 1
    floor = max(0, before - LOOKED)
    conditions, parameters = _conditions(wanted)
    if wanted.kernel:
        # A range is compared as releases are: 5.10 is after 5.4.
        connection.create_function("asked_kernel", 1, partial(_in_range, wanted.kernel))
        conditions.append("asked_kernel(r.kernel)")
    if len(wanted.host) == 1 and not is_pattern(wanted.host[0]):
        floor = 0  # the index of the host's matches leads
    rows = connection.execute(
        f"{_FAULT} WHERE m.id < :before AND m.id >= :floor AND (r.match_id IS NOT NULL OR "  # noqa: S608
        "m.signature NOT IN (SELECT value FROM json_each(:heads))) "
        f"{''.join(f'AND {one} ' for one in conditions)} ORDER BY m.id DESC LIMIT :limit",
        parameters
        | {"before": before, "floor": floor, "heads": json.dumps(list(heads)), "limit": limit + 1},
    )
    found = [_row(row) for row in rows]
    if len(found) > limit:
        return Page(found[:limit], spell_place(found[limit - 1].id))
    return Page(found, spell_place(floor) if floor > 0 else None)


def fault(connection: Connection, identity: int) -> FaultDetail | None:
    """Returns one fault by its number, None where there is none."""
    row = connection.execute(f"{_FAULT} WHERE m.id = ?", (identity,)).fetchone()
    if row is None:
        return None
    block = block_of(connection, identity)
    match = connection.execute("SELECT * FROM matches WHERE id = ?", (identity,)).fetchone()
    return FaultDetail(_row(row), block, read_match(match))


def of_host(
    connection: Connection, host: str, heads: Collection[str], limit: int
) -> Page[FaultRow]:
    """Returns the newest faults of one host."""
    return page(connection, Filter(host=(host,)), heads, None, limit)


def _check(wanted: Filter) -> None:
    known = {_ATTRIBUTES.get(name, name) for name in FIELDS}
    for name in Filter.__slots__:
        if name not in known and getattr(wanted, name):
            raise FilterError(
                name, f"faults are not found by it: there are {', '.join(FIELDS)}; incidents are"
            )


def _newest(connection: Connection) -> int:
    newest: int = connection.execute("SELECT coalesce(max(id), 0) FROM matches").fetchone()[0]
    return newest


def _conditions(wanted: Filter) -> tuple[list[str], dict[str, Any]]:
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    for name, column in _COLUMNS.items():
        if values := getattr(wanted, name):
            parameters[name] = json.dumps(list(values))
            conditions.append(f"{column} IN (SELECT value FROM json_each(:{name}))")  # noqa: S608
    if wanted.host:
        parts = []
        for number, host in enumerate(wanted.host):
            parameters[f"host{number}"] = host
            parts.append(f"m.host {'GLOB' if is_pattern(host) else '='} :host{number}")
        conditions.append(f"({' OR '.join(parts)})")
    for name, sign in (("since_us", ">="), ("until_us", "<")):
        if (at := getattr(wanted, name)) is not None:
            parameters[name] = at
            conditions.append(f"m.wall_time_us {sign} :{name}")
    return conditions, parameters


def _in_range(kernels: tuple[str, ...], kernel: str | None) -> bool:
    """Whether a kernel is one of those asked for, by name or by range."""
    if kernel is None:
        return False
    number = release_number(kernel)
    ranges = (release_range(one) for one in kernels)
    return kernel in kernels or any(
        ends is not None and number is not None and ends[0] <= number <= ends[1] for ends in ranges
    )


def _row(row: Row) -> FaultRow:
    return FaultRow(**dict(row))
