"""Crash rates of the fleet by kernel release and hardware model, beside the counts.

In: a connection, a time. Out: frozen rows. A crash is a report of severity critical; a rate is
crashes per 1,000 hosts and week. A host runs a kernel from the boot that told it until one that
told another; its hardware is known once a report named it, so hosts that never printed one count to
no model. Whole days, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection
from typing import Literal

from detector.clock import DAY_US
from detector.store.rows import release_number

By = Literal["kernel", "hardware"]
# Rates of fewer crashes, or of less time, are marked: chance alone may explain them.
FEW_CRASHES, FEW_HOST_WEEKS = 5, 20.0
SPAN_US = 28 * DAY_US
_WEEK_US = 7 * DAY_US
_PER = 1_000

_KERNELS = """
SELECT value, sum(hosts) AS hosts, sum(hosts * (:until - max(day_us, :since))) AS host_us,
  sum(CASE WHEN day_us >= :since THEN crashes ELSE 0 END) AS crashed,
  min(CASE WHEN hosts > 0 OR crashes > 0 THEN nullif(day_us, 0) END) AS first_us
FROM fleet_days WHERE about = 'kernel' AND day_us < :until GROUP BY value HAVING host_us > 0
  OR crashed > 0
"""
_HARDWARE = """
WITH seen AS (SELECT hardware AS value, count(*) AS hosts FROM hosts INDEXED BY hosts_hardware
    WHERE hardware IS NOT NULL AND last_seen_us >= :since GROUP BY hardware),
  told AS (SELECT value, sum(CASE WHEN day_us >= :since THEN crashes
    ELSE 0 END) AS crashed, min(nullif(day_us, 0)) AS first_us
    FROM fleet_days WHERE about = 'hardware' AND day_us < :until GROUP BY value)
SELECT value, coalesce(hosts, 0) AS hosts, coalesce(hosts, 0) * (:until - :since) AS host_us,
  coalesce(crashed, 0) AS crashed, first_us
FROM seen FULL JOIN told USING (value) WHERE hosts > 0 OR crashed > 0
"""
_RELEASES = """
SELECT kernel, release FROM problem_kernels WHERE fingerprint = ? AND release IS NOT NULL
"""
_RAN = """
SELECT value FROM fleet_days WHERE about = 'kernel' GROUP BY value HAVING max(hosts) > 0
"""


@dataclass(frozen=True, slots=True)
class CrashRate:
    """The crashes of one kernel release or hardware model in a time.

    `hosts` have it at its end, `host_weeks` is for how long together; `rate` is None without
    any; `few` marks small numbers; `first_us` is the day on which it was first seen.
    """

    name: str
    crashes: int
    hosts: int
    host_weeks: float
    rate: float | None
    few: bool
    first_us: int | None


@dataclass(frozen=True, slots=True)
class CrashRates:
    """The crash rates of a time, the highest first; those of small numbers come last."""

    by: By
    since_us: int
    until_us: int
    rows: list[CrashRate]


@dataclass(frozen=True, slots=True)
class ReleasesWith:
    """The oldest and the newest release on which a problem was seen, and the next older one
    that hosts ran without it.
    """

    oldest: str
    newest: str
    before: str | None


def rates(
    connection: Connection, by: By, since_us: int | None, until_us: int | None, now_us: int
) -> CrashRates:
    """The crash rates of whole days that touch a time; the last four weeks where none is given."""
    until = min(until_us if until_us is not None else now_us, now_us)
    since = since_us if since_us is not None else until - SPAN_US
    since = max(0, since - since % DAY_US)
    place = {"since": since, "until": max(until, since + 1)}
    query = _KERNELS if by == "kernel" else _HARDWARE
    rates_read = [
        _rate(row["value"], row["crashed"], row["hosts"], row["host_us"], row["first_us"])
        for row in connection.execute(query, place)
    ]
    rates_read.sort(key=lambda item: (item.few, -(item.rate or 0), -item.crashes, item.name))
    return CrashRates(by, since, place["until"], rates_read)


def releases_with(connection: Connection, fingerprint: str) -> ReleasesWith | None:
    """Returns since which release a problem is seen; None where its kernels are no releases."""
    seen = sorted(
        (row["release"], row["kernel"]) for row in connection.execute(_RELEASES, (fingerprint,))
    )
    if not seen:
        return None
    ran = ((release_number(row["value"]), row["value"]) for row in connection.execute(_RAN))
    older = [(number, name) for number, name in ran if number is not None and number < seen[0][0]]
    return ReleasesWith(seen[0][1], seen[-1][1], max(older)[1] if older else None)


def _rate(name: str, crashes: int, hosts: int, host_us: int, first_us: int | None) -> CrashRate:
    weeks = host_us / _WEEK_US
    rate = round(crashes * _PER / weeks, 1) if weeks > 0 else None
    few = crashes < FEW_CRASHES or weeks < FEW_HOST_WEEKS
    return CrashRate(name, crashes, hosts, round(weeks, 1), rate, few, first_us)
