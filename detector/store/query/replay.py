"""Reads faults and incidents of two histories for a replay, and finds equal ones.

In: connections. Out: faults in the order in which they were stored, with what their reports say;
incidents with what they rest on. Everything is read in pages by id, and looked up by index.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from sqlite3 import Connection, Row

from detector.model import Block, Match
from detector.repeats import shape_of
from detector.store.ingest.matches import Matches
from detector.store.rows import from_json, read_match

PAGE = 500
_FACTS = "r.title, r.function, r.fingerprint, r.lines, r.complete"
_FAULTS = f"""
SELECT m.*, {_FACTS} FROM matches m LEFT JOIN reports r ON r.match_id = m.id
WHERE m.id > ? AND m.signature NOT GLOB 'oopswatch.*' AND coalesce(m.wall_time_us, 0) >= ?
ORDER BY m.id LIMIT ?
"""  # noqa: S608
_FAULT = f"""
SELECT m.*, {_FACTS} FROM matches m LEFT JOIN reports r ON r.match_id = m.id WHERE m.id = ?
"""  # noqa: S608
_INCIDENTS = """
SELECT * FROM incidents WHERE id > ? AND joined_into IS NULL
  AND coalesce(started_us, found_us) >= ? ORDER BY id LIMIT ?
"""
_INCIDENT = "SELECT * FROM incidents WHERE id = ?"
_COUNTED = """
SELECT m.text FROM matches m JOIN repeats r ON r.match_id = m.id
WHERE m.host = ? AND m.signature = ? AND r.first_kernel_us <= ? AND r.last_kernel_us >= ?
"""
_EVIDENCE = """
SELECT m.* FROM evidence e JOIN matches m ON m.id = e.match_id WHERE e.incident_id = ? LIMIT 1000
"""


@dataclass(frozen=True, slots=True)
class ReplayedFault:
    """A fault of a history with what its report says; `block` is None where it has no report."""

    match: Match
    block: Block | None
    title: str | None
    function: str | None
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class ReplayedIncident:
    """An incident of a history, as far as a replay compares it. `started_us` is µs since 1970."""

    id: str
    rule: str
    host: str
    severity: str
    started_us: int
    title: str | None
    function: str | None
    fingerprint: str | None
    known_issue: str | None
    joined_into: str | None


class ReplaySide:
    """One of the two histories that a replay compares."""

    def __init__(self, connection: Connection, tolerance_us: int) -> None:
        self._connection = connection
        self._matches = Matches(connection, tolerance_us)

    def faults(self, since_us: int) -> Iterator[ReplayedFault]:
        """All faults since a time (µs since 1970; those without a wall clock only from 0 on)."""
        after = 0
        while rows := self._connection.execute(_FAULTS, (after, since_us, PAGE)).fetchall():
            yield from map(_fault, rows)
            after = rows[-1]["id"]

    def fault(self, match: Match) -> ReplayedFault | None:
        """The fault that a match of the other history repeats, if any."""
        known = self._matches.find(match)
        if known is None:
            return None
        return _fault(self._connection.execute(_FAULT, (known.id,)).fetchone())

    def counts(self, match: Match) -> bool:
        """Returns whether a match is one of the lines that were counted here, not stored."""
        if match.kernel_time_us is None:
            return False
        place = (match.host, match.signature, match.kernel_time_us, match.kernel_time_us)
        shape = shape_of(match.text.encode(errors="surrogatepass"))
        texts = self._connection.execute(_COUNTED, place).fetchall()
        return any(shape_of(row["text"].encode()) == shape for row in texts)

    def incidents(self, since_us: int) -> Iterator[ReplayedIncident]:
        """All incidents since a time that are not part of another one."""
        after = ""
        while rows := self._connection.execute(_INCIDENTS, (after, since_us, PAGE)).fetchall():
            yield from map(_incident, rows)
            after = rows[-1]["id"]

    def incident(self, identity: str) -> ReplayedIncident | None:
        """The incident of an id, if there is one."""
        row = self._connection.execute(_INCIDENT, (identity,)).fetchone()
        return _incident(row) if row else None

    def evidence(self, identity: str) -> list[Match]:
        """The first 1,000 matches that an incident rests on."""
        return [read_match(row) for row in self._connection.execute(_EVIDENCE, (identity,))]


def _fault(row: Row) -> ReplayedFault:
    match, lines = read_match(row), row["lines"]
    block = Block(match, tuple(from_json(lines)), bool(row["complete"])) if lines else None
    return ReplayedFault(match, block, row["title"], row["function"], row["fingerprint"])


def _incident(row: Row) -> ReplayedIncident:
    return ReplayedIncident(
        row["id"],
        row["rule"],
        row["host"],
        row["severity"],
        row["started_us"] or row["found_us"],
        row["title"],
        row["function"],
        row["fingerprint"],
        row["known_issue"],
        row["joined_into"],
    )
