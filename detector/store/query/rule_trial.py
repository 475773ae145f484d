"""Reads the faults for a trial of rules, and the incidents that the trial raised.

In: a connection, the names that rules ask for, a time. Out: faults with their reports in the order
in which they were stored, counts of noise, boot banners; then the incidents by rule. Faults are
read in pages by their ids, so a large history is read through once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from sqlite3 import Connection, Row

from detector.clock import DAY_US
from detector.kernel_errors.news import NEWS_DAYS
from detector.kernel_errors.tally import KernelErrorCount
from detector.model import Block, Boot, Match
from detector.noise import NoiseCount
from detector.store.rows import from_json, read_match

PAGE = 500
_FAULTS = """
SELECT m.*, r.lines, r.complete, r.fingerprint FROM matches m LEFT
  JOIN reports r ON r.match_id = m.id
WHERE m.id > :after AND m.signature NOT GLOB 'oopswatch.*' AND (m.wall_time_us >= :since
  OR (m.wall_time_us IS NULL AND :since = 0))
  AND (:reports AND r.fingerprint IS NOT NULL OR m.class IN (SELECT value
    FROM json_each(:names)) OR m.signature IN (SELECT value FROM json_each(:names)))
ORDER BY m.id LIMIT :limit
"""
_NOISE = """
SELECT DISTINCT host, process, hour_us FROM noise INDEXED BY noise_hour WHERE hour_us >= ?
  AND hour_us > 0 ORDER BY hour_us
"""
# From the day on which a template became news, as long as it is listed as such.
_KERNEL_ERRORS = """
SELECT e.template, e.level, e.news_us, e.source, e.number, d.host, d.day_us, d.count
FROM kernel_errors e JOIN kernel_error_host_days d ON d.error_id = e.id
WHERE e.news_us IS NOT NULL AND d.day_us >= :since
  AND d.day_us BETWEEN e.news_us - :day AND e.news_us + :listed ORDER BY d.day_us, e.id, d.host
"""
_BANNERS = "SELECT host, wall_us, boot_id FROM banners WHERE wall_us >= ?"
_RAISED = """
SELECT rule, count(DISTINCT i.id) AS incidents, count(DISTINCT coalesce(h.host, i.host)) AS hosts,
  count(DISTINCT fingerprint) AS problems, min(coalesce(started_us, found_us)) AS first_us,
    max(coalesce(started_us, found_us)) AS last_us
FROM incidents i LEFT JOIN spread_hosts h ON h.incident_id = i.id
  WHERE joined_into IS NULL GROUP BY rule
"""
_PARTS = """
SELECT i.rule, count(*) FROM incidents i JOIN incidents l ON l.id = i.joined_into
  WHERE l.rule <> i.rule GROUP BY i.rule
"""


@dataclass(frozen=True, slots=True)
class StoredFault:
    """A fault of a history, with its report's block and fingerprint where it has a report."""

    match: Match
    block: Block | None
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class RaisedIncidents:
    """The live incidents of one rule: how many, on how many hosts, with how many fingerprints,
    and when (µs); `parts` is how many more are part of another rule's incident.
    """

    rule: str
    incidents: int
    hosts: int
    problems: int
    first_us: int | None
    last_us: int | None
    parts: int = 0


def faults(
    connection: Connection, names: Collection[str], since_us: int, *, reports: bool
) -> Iterator[list[StoredFault]]:
    """Pages of the faults of some classes or signatures, and, where asked for, of all that
    have a report with a fingerprint.
    """
    facts = {
        "names": json.dumps(sorted(names)), "since": since_us, "reports": reports, "limit": PAGE,
        "after": 0,
    }  # fmt: skip
    while rows := connection.execute(_FAULTS, facts).fetchall():
        raised_rows = []
        for row in rows:
            match, lines = read_match(row), row["lines"]
            block = Block(match, tuple(from_json(lines)), bool(row["complete"])) if lines else None
            raised_rows.append(StoredFault(match, block, row["fingerprint"]))
        yield raised_rows
        facts["after"] = rows[-1]["id"]


def noise(connection: Connection, since_us: int) -> Iterator[list[NoiseCount]]:
    """Pages of who crashed where in which hour, in the order of the hours."""
    rows = connection.execute(_NOISE, (since_us,))
    while page := rows.fetchmany(PAGE):
        yield [
            NoiseCount(
                "", row["host"], row["process"], "", row["hour_us"], 1, None, None, None, None
            )
            for row in page
        ]


def kernel_errors(connection: Connection, since_us: int) -> Iterator[list[KernelErrorCount]]:
    """Pages of the kernel errors that are news, by host and day: hours are not kept."""
    times = {"since": since_us, "day": DAY_US - 1, "listed": NEWS_DAYS * DAY_US}
    rows = connection.execute(_KERNEL_ERRORS, times)
    while page := rows.fetchmany(PAGE):
        yield [_kernel_error(row) for row in page]


def _kernel_error(row: Row) -> KernelErrorCount:
    at_us = max(row["day_us"], row["news_us"])
    day_us = at_us - at_us % DAY_US
    return KernelErrorCount(
        row["template"], row["host"], day_us, row["count"], row["level"], at_us, at_us,
        row["template"], row["source"], row["number"],
    )  # fmt: skip


def banners(connection: Connection, since_us: int) -> Iterator[Match]:
    """The boot banners of a time, as the lines that they were noted from."""
    for host, wall_us, boot_id in connection.execute(_BANNERS, (since_us,)):
        boot = Boot(boot_id, wall_us)
        yield Match(
            "", "boot", "kernel", "info", "", {}, "", 0, host, boot, 0, wall_us,
        )  # fmt: skip


def raised(connection: Connection) -> list[RaisedIncidents]:
    """Returns what the rules have raised, by rule."""
    parts: dict[str, int] = dict(connection.execute(_PARTS).fetchall())
    live = [
        RaisedIncidents(
            row["rule"],
            row["incidents"],
            row["hosts"],
            row["problems"],
            row["first_us"],
            row["last_us"],
            parts.pop(row["rule"], 0),
        )
        for row in connection.execute(_RAISED).fetchall()
    ]
    return [*live, *(RaisedIncidents(rule, 0, 0, 0, None, None, n) for rule, n in parts.items())]
