"""Hosts of a value (a fingerprint, a program) by the hour; and the incidents that tell of
it.

In: sightings, spans. Out: hosts by the hour, the live incidents of a value. Every statement looks
at a bounded number of rows, but where an incident takes in hours that it did not have. Runs inside
the transaction of the journal that owns the connection.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from detector.clock import DAY_US, HOUR_US
from detector.model import Incident, Match, Spread
from detector.spread import HourSpan
from detector.store.ingest import incidents
from detector.store.lifecycle import changes
from detector.store.lifecycle.states import after_evidence
from detector.store.query.spreads import spread_of
from detector.store.rows import NAME_LIMIT, clean, read_match

# Of an outbreak so many faults are kept as its evidence.
EVIDENCE = 200
# An incident that grows is told again at so many times the hosts that were told last.
TOLD_AGAIN = 4

_NOTE = "INSERT INTO value_hours VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_SIGHTING = """
SELECT r.fingerprint, m.wall_time_us, m.host FROM reports r
  JOIN matches m ON m.id = r.match_id WHERE r.match_id = ?
"""
_OF_MATCH = "SELECT value, hour_us, host FROM value_hours WHERE match_id = ?"
# Another report of the same host and hour that says the same.
_SUPPORT = """
SELECT m.id FROM matches m INDEXED BY matches_wall_time JOIN reports r ON r.match_id = m.id
WHERE m.host = ? AND m.wall_time_us >= ? AND m.wall_time_us < ? AND r.fingerprint = ?
  AND m.id <> ? LIMIT 1
"""
_PLACE = "field = 'fingerprint' AND value = ? AND hour_us = ? AND host = ?"
_NEXT_HOUR = (
    "SELECT min(hour_us) FROM value_hours WHERE field = ? AND value = ? AND hour_us >= ? AND "
    "hour_us <= ?"
)
# Whether a host was seen in another hour of the day as well.
_OF_DAY = f"""
SELECT 1 FROM value_hours WHERE field = 'process' AND value = ? AND host = ?
  AND hour_us IN ({", ".join("?" * (DAY_US // HOUR_US))}) LIMIT 1 OFFSET 1
"""  # noqa: S608
_COUNT_DAY = """
INSERT INTO program_days (day_us, process, hosts) VALUES (?, ?, 1)
ON CONFLICT (day_us, process) DO UPDATE SET hosts = hosts + 1
"""
_ON_DAY = "SELECT hosts FROM program_days WHERE day_us = ? AND process = ?"
_USUAL = """
SELECT coalesce(max((SELECT p.hosts FROM program_days p
    WHERE p.day_us = d.value AND p.process = ?)), 0),
  count(*) FILTER (WHERE EXISTS (SELECT 1 FROM program_days p WHERE p.day_us = d.value))
FROM json_each(?) d
"""
_HOSTS = "SELECT host FROM value_hours WHERE field = ? AND value = ? AND hour_us = ? LIMIT ?"
_LIVE = """
SELECT s.incident_id, s.first_us, s.last_us FROM spreads s JOIN incidents i ON i.id = s.incident_id
WHERE s.rule = ? AND s.value = ? AND s.last_us >= ? AND s.first_us <= ? AND i.joined_into IS NULL
"""
_FIRST = """
SELECT v.host, v.match_id FROM value_hours v LEFT JOIN matches m ON m.id = v.match_id
WHERE v.field = ? AND v.value = ? AND v.hour_us = ? AND v.host IN (SELECT value FROM json_each(?))
ORDER BY m.wall_time_us, v.host LIMIT 1
"""
_FAULTS = """
SELECT match_id FROM value_hours WHERE field = ? AND value = ? AND hour_us BETWEEN ? AND ?
  AND match_id IS NOT NULL
ORDER BY hour_us, host LIMIT ?
"""
_LONE = """
SELECT id FROM incidents INDEXED BY incidents_problem WHERE fingerprint = ? AND joined_into IS NULL
  AND coalesce(started_us, found_us) >= ? AND coalesce(started_us, found_us) < ?
    AND rule IN (SELECT value FROM json_each(?))
"""
_SPAN = """
INSERT INTO spreads (incident_id, rule, field, value, first_us, last_us, hosts, told)
  VALUES (?, ?, ?, ?, ?, ?, 0, 0)
ON CONFLICT (incident_id) DO UPDATE SET first_us = excluded.first_us, last_us = excluded.last_us
"""
_TAKE_HOURS = """
INSERT INTO spread_hosts (incident_id, host) SELECT DISTINCT ?, host FROM value_hours
WHERE field = ? AND value = ? AND hour_us BETWEEN ? AND ? ON CONFLICT DO NOTHING
"""
_TAKE_HOSTS = """
INSERT INTO spread_hosts (incident_id, host) SELECT ?1, host FROM spread_hosts
  WHERE incident_id = ?2 ON CONFLICT DO NOTHING
"""
_TAKE_HOST = "INSERT INTO spread_hosts (incident_id, host) VALUES (?, ?) ON CONFLICT DO NOTHING"
_TOLD = """
SELECT s.hosts, s.told, i.state FROM spreads s JOIN incidents i ON i.id = s.incident_id
  WHERE s.incident_id = ?
"""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A fingerprint, the hour and the host that it was seen in."""

    fingerprint: str
    hour_us: int
    host: str


@dataclass(frozen=True, slots=True)
class GrownSpread:
    """The extent of an incident of many hosts: `hosts` are those that are new in hours that it
    had before.
    """

    id: str
    rule: str
    field: str
    value: str
    span: HourSpan
    hosts: Collection[str]


@dataclass(frozen=True, slots=True)
class LiveSpread:
    """An incident of many hosts that goes on, and its hours."""

    id: str
    span: HourSpan


class Spreads:
    """The tables of sightings and spans. `clock` says when an incident grew."""

    def __init__(self, connection: Connection, clock: Callable[[], int]) -> None:
        self._connection = connection
        self._clock = clock

    def note(
        self, field: str, value: str, hour_us: int, host: str, match_id: int | None = None
    ) -> bool:
        """Notes that a value was seen on a host in an hour; False where that is known."""
        row = (field, clean(value, NAME_LIMIT), hour_us, clean(host, NAME_LIMIT), match_id)
        return self._connection.execute(_NOTE, row).rowcount > 0

    def count_day(self, process: str, hour_us: int, host: str) -> None:
        """Counts the host of a new note on its day, unless another hour of it has the host."""
        value, day_us = clean(process, NAME_LIMIT), hour_us - hour_us % DAY_US
        hours = range(day_us, day_us + DAY_US, HOUR_US)
        values = (value, clean(host, NAME_LIMIT), *hours)
        if self._connection.execute(_OF_DAY, values).fetchone() is None:
            self._connection.execute(_COUNT_DAY, (day_us, value))

    def hosts_on(self, process: str, day_us: int) -> int:
        """Returns on how many hosts a program crashed on a day."""
        value = clean(process, NAME_LIMIT)
        row = self._connection.execute(_ON_DAY, (day_us, value)).fetchone()
        return row[0] if row else 0

    def usual(self, process: str, days: Sequence[int]) -> tuple[int, int]:
        """Returns the most hosts that a program crashed on in one of some days, and on how many of
        them any program did.
        """
        values = (clean(process, NAME_LIMIT), json.dumps(list(days)))
        most, watched = self._connection.execute(_USUAL, values).fetchone()
        return most, watched

    def sighting(self, match_id: int) -> Sighting | None:
        """Returns what a fault's report says as it is stored; None without a fingerprint or a
        wall time, since hosts share no other clock.
        """
        row = self._connection.execute(_SIGHTING, (match_id,)).fetchone()
        if row is None or row["fingerprint"] is None or row["wall_time_us"] is None:
            return None
        hour_us = row["wall_time_us"] - row["wall_time_us"] % HOUR_US
        return Sighting(row["fingerprint"], hour_us, row["host"])

    def withdraw(self, match_id: int, now: Sighting | None) -> None:
        """Takes back what a report told before it said what it says now; another report of the
        same host and hour stands for it where there is one.
        """
        for value, hour, host in self._connection.execute(_OF_MATCH, (match_id,)).fetchall():
            if now == Sighting(value, hour, host):
                continue
            values = (host, hour, hour + HOUR_US, value, match_id)
            other = self._connection.execute(_SUPPORT, values).fetchone()
            if other is None:
                self._connection.execute(
                    f"DELETE FROM value_hours WHERE {_PLACE}",  # noqa: S608
                    (value, hour, host),
                )
            else:
                self._connection.execute(
                    f"UPDATE value_hours SET match_id = ? WHERE {_PLACE}",  # noqa: S608
                    (other["id"], value, hour, host),
                )

    def hosts(self, field: str, value: str, span: HourSpan, enough: int) -> dict[int, list[str]]:
        """The hosts of each hour of a span that has any, of each at most `enough`."""
        hosts_by_hour: dict[int, list[str]] = {}
        hour: int | None = span.first_us
        while hour is not None:
            values = (field, value, hour, span.last_us)
            hour = self._connection.execute(_NEXT_HOUR, values).fetchone()[0]
            if hour is not None:
                rows = self._connection.execute(_HOSTS, (field, value, hour, enough))
                hosts_by_hour[hour] = [row["host"] for row in rows]
                hour += HOUR_US
        return hosts_by_hour

    def live(self, rule: str, value: str, span: HourSpan) -> list[LiveSpread]:
        """The incidents of a value whose hours are one with a span."""
        wide = span.widened()
        values = (rule, value, wide.first_us, wide.last_us)
        rows = self._connection.execute(_LIVE, values)
        return [LiveSpread(row[0], HourSpan(row[1], row[2])) for row in rows]

    def first(
        self, field: str, value: str, hour_us: int, hosts: Sequence[str]
    ) -> tuple[str, Match | None]:
        """The host that a value was seen on first in an hour, among some, and its fault if any."""
        values = (field, value, hour_us, json.dumps(list(hosts)))
        row = self._connection.execute(_FIRST, values).fetchone()
        fault = self._connection.execute("SELECT * FROM matches WHERE id = ?", (row["match_id"],))
        hosts_by_hour = fault.fetchone()
        return row["host"], read_match(hosts_by_hour) if hosts_by_hour else None

    def faults(self, field: str, value: str, span: HourSpan) -> tuple[int, ...]:
        """The first faults of a span, one for each hour and host."""
        values = (field, value, span.first_us, span.last_us, EVIDENCE)
        return tuple(row["match_id"] for row in self._connection.execute(_FAULTS, values))

    def lone(self, fingerprint: str, span: HourSpan, rules: Collection[str]) -> set[str]:
        """The live incidents of some rules with a fingerprint that began within a span."""
        values = (fingerprint, span.first_us, span.last_us + HOUR_US, json.dumps(sorted(rules)))
        return {row["id"] for row in self._connection.execute(_LONE, values)}

    def grow(self, grown: GrownSpread, met: Sequence[LiveSpread]) -> None:
        """Stores the hours of an incident, and takes in hosts: of the incidents that it joins, of
        hours that none of them had, and those that are new.
        """
        execute, identity = self._connection.execute, grown.id
        span = (grown.span.first_us, grown.span.last_us)
        execute(_SPAN, (identity, grown.rule, grown.field, grown.value, *span))
        added = 0
        for other in met:
            if other.id != identity:
                added += execute(_TAKE_HOSTS, (identity, other.id)).rowcount
        place = (identity, grown.field, grown.value)
        for hole in grown.span.without(live_spread.span for live_spread in met):
            added += execute(_TAKE_HOURS, (*place, hole.first_us, hole.last_us)).rowcount
        for host in grown.hosts:
            added += execute(_TAKE_HOST, (identity, host)).rowcount
        if added:
            execute("UPDATE spreads SET hosts = hosts + ? WHERE incident_id = ?", (added, identity))
            execute(
                "UPDATE incidents SET changed_us = max(changed_us, ?) WHERE id = ?",
                (self._clock(), identity),
            )

    def announce(self, identity: str) -> None:
        """Enters into the log of changes that an incident has spread to several times as many
        hosts as were told last.
        """
        row = self._connection.execute(_TOLD, (identity,)).fetchone()
        if row["told"] and row["hosts"] < row["told"] * TOLD_AGAIN:
            return
        self._connection.execute(
            "UPDATE spreads SET told = hosts WHERE incident_id = ?", (identity,)
        )
        if row["told"]:
            taken = after_evidence(row["state"], recurred=True)
            state = taken.state if taken.state != row["state"] else None
            reason = f"on {row['hosts']:,} hosts by now"
            now_us = self._clock()
            changes.record(
                self._connection, identity, now_us, taken.what, reason=reason, state=state
            )

    def incident(self, identity: str) -> Incident | None:
        """A stored incident."""
        query = "SELECT * FROM incidents WHERE id = ?"
        row = self._connection.execute(query, (identity,)).fetchone()
        return incidents.load(self._connection, row, EVIDENCE) if row else None

    def spread_of(self, identity: str) -> Spread | None:
        """The hosts and hours of an incident."""
        return spread_of(self._connection, identity)
