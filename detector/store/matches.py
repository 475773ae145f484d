"""The stored matches: equal lines fold into one, and the neighbours of a match are found by index.

In: matches. Out: stored matches. Runs inside the transaction of the journal that owns it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from sqlite3 import Connection, Row
from typing import Any, cast

from detector.correlate import StoredMatch
from detector.model import Boot, Match
from detector.store.rows import INSERT_MATCH, inert_match, match_key, match_row, read_match
from detector.store.sightings import SameBoot

# A window with more matches than this is a storm, or the same minute of many boots: of each signature the nearest are looked at.
CROWD = 64
EACH_SIDE = 16

_FOLD = """
UPDATE matches SET wall_time_us = ?, boot_id = ?, epoch_us = ?, stream = ?, boot_count = ?, caller = ?, source = ?, number = ? WHERE id = ?
"""
_INCIDENTS = """
SELECT e.match_id, i.rule, coalesce(i.joined_into, i.id) AS live FROM evidence e JOIN incidents i ON i.id = e.incident_id
WHERE e.match_id IN (SELECT value FROM json_each(?)) ORDER BY i.id
"""


@dataclass(frozen=True, slots=True)
class _Window:
    """The queries of one way to be near in time: all rows, the signatures among them, those of one signature outwards on either side."""

    all: str
    signatures: str
    before: str
    after: str


def _window(condition: str, column: str) -> _Window:
    """Queries over one index; `condition` and `column` are constants below."""
    near = f"FROM matches WHERE host = :host AND {condition} {column} BETWEEN :low AND :high"
    before = f"AND signature = :signature AND {column} <= :time ORDER BY {column} DESC, id DESC"
    after = f"AND signature = :signature AND {column} > :time ORDER BY {column}, id"
    return _Window(
        f"SELECT * {near} LIMIT :limit", f"SELECT DISTINCT signature {near}", f"SELECT * {near} {before}", f"SELECT * {near} {after}"
    )


_KERNEL = _window("", "kernel_time_us")
_UNSTAMPED = _window("kernel_time_us IS NULL AND", "wall_time_us")
_WALL = _window("", "wall_time_us")


class Matches:
    """The table of matches. `same_boot` says whether two matches may be of one boot."""

    def __init__(self, connection: Connection, same_boot: SameBoot, tolerance_us: int) -> None:
        self._connection = connection
        self._same_boot = same_boot
        self._tolerance_us = tolerance_us

    def add(self, match: Match) -> tuple[StoredMatch, bool]:
        """Stores a match, or folds it into the one that it repeats; True where it is new."""
        match = inert_match(match)
        key = match_key(match)
        known = self._find(match, key)
        if known is None:
            cursor = self._connection.execute(INSERT_MATCH, match_row(match, key))
            return StoredMatch(cast(int, cursor.lastrowid), match), True
        folded = fold(known.match, match)
        if folded != known.match:
            boot = folded.boot
            facts = (folded.wall_time_us, boot.id, boot.epoch_us, boot.stream, boot.count, folded.caller, folded.source, folded.number)
            self._connection.execute(_FOLD, (*facts, known.id))
        return self._with_incidents([replace(known, match=folded)])[0], False

    def find(self, match: Match, among: Collection[int] | None = None) -> StoredMatch | None:
        """The stored match that a match repeats, if any; `among` narrows the choice to some ids."""
        match = inert_match(match)
        return self._find(match, match_key(match), among)

    def get(self, match_id: int) -> Match:
        """A match by its id."""
        return read_match(self._connection.execute("SELECT * FROM matches WHERE id = ?", (match_id,)).fetchone())

    def neighbours(self, stored: StoredMatch, span_us: int) -> list[StoredMatch]:
        """The other matches of the host and, as far as is known, the boot within `span_us`.

        Kernel times are compared, or wall times where one has no kernel time.
        Where more than `CROWD` are near, only the nearest of each signature: `EACH_SIDE` before and after.
        """
        kernel, wall = stored.match.kernel_time_us, stored.match.wall_time_us
        windows = [(_WALL, wall)] if kernel is None else [(_KERNEL, kernel), (_UNSTAMPED, wall)]
        near = [one for window, time in windows if time is not None for one in self._near(window, stored.match, time, span_us)]
        return self._with_incidents([one for one in near if one.id != stored.id])

    def _find(self, match: Match, key: int, among: Collection[int] | None = None) -> StoredMatch | None:
        """A line at the same place of a source is the same line, even where its boot was counted anew after a restart."""
        rows = self._connection.execute("SELECT * FROM matches WHERE key = ? ORDER BY id", (key,))
        known = [StoredMatch(row["id"], read_match(row)) for row in rows if among is None or row["id"] in among]
        equal = [one for one in known if same_line(one.match, match)]
        for one in equal:
            if (one.match.source, one.match.number) == (match.source, match.number):
                return one
        return next((one for one in equal if self._same_boot(match, one.match, self._tolerance_us)), None)

    def _near(self, window: _Window, match: Match, time: int, span_us: int) -> list[StoredMatch]:
        bounds = {"host": match.host, "time": time, "low": time - span_us, "high": time + span_us, "limit": CROWD + 1}
        rows = self._connection.execute(window.all, bounds).fetchall()
        if len(rows) <= CROWD:
            return self._of_boot(match, rows, CROWD)
        signatures = [row["signature"] for row in self._connection.execute(window.signatures, bounds)]
        return [
            one
            for signature in signatures
            for side in (window.before, window.after)
            for one in self._of_boot(match, self._connection.execute(side, bounds | {"signature": signature}), EACH_SIDE)
        ]

    def _of_boot(self, match: Match, rows: Iterable[Row], limit: int) -> list[StoredMatch]:
        """The first `limit` rows that may be of the boot of `match`."""
        found: list[StoredMatch] = []
        for row in rows:
            other = read_match(row)
            if self._same_boot(match, other, self._tolerance_us):
                found.append(StoredMatch(row["id"], other))
                if len(found) == limit:
                    break
        return found

    def _with_incidents(self, matches: list[StoredMatch]) -> list[StoredMatch]:
        """The same matches, with the live incidents that they are evidence of."""
        if not matches:
            return matches
        incidents: dict[int, dict[str, str]] = {}
        for match_id, rule, live in self._connection.execute(_INCIDENTS, (json.dumps([one.id for one in matches]),)):
            incidents.setdefault(match_id, {})[rule] = live
        return [replace(one, incidents=incidents[one.id]) if one.id in incidents else one for one in matches]


def same_line(a: Match, b: Match) -> bool:
    """Whether two matches read alike: host, text and time; without any time only the place in the source tells."""
    if (a.host, a.text, a.kernel_time_us) != (b.host, b.text, b.kernel_time_us):
        return False
    if a.kernel_time_us is not None:
        return True
    if a.wall_time_us is None:
        return b.wall_time_us is None and (a.source, a.number) == (b.source, b.number)
    return a.wall_time_us == b.wall_time_us


def fold(known: Match, again: Match) -> Match:
    """One match of two sightings: each fact from whichever has it, the lesser where both do, so that the order of arrival never shows."""
    first, second = sorted((known, again), key=lambda match: (match.source, match.number))
    streamed = first if first.boot.stream else second
    boot = Boot(
        id=_least(first.boot.id, second.boot.id),
        epoch_us=_least(first.boot.epoch_us, second.boot.epoch_us),
        stream=streamed.boot.stream,
        count=streamed.boot.count,
    )
    return replace(
        known,
        boot=boot,
        wall_time_us=_least(first.wall_time_us, second.wall_time_us),
        caller=_least(first.caller, second.caller),
        source=first.source,
        number=first.number,
    )


def _least(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else min(a, b)
