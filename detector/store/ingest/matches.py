"""The stored matches: equal lines fold into one.

In: matches. Out: stored matches. Runs inside the transaction of the journal that owns it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from sqlite3 import Connection, Row
from typing import Any, cast

from detector.correlate import StoredMatch
from detector.model import Boot, Match
from detector.same_boot import grain_us, rounded, same_line, same_stamp
from detector.store.ingest.neighbours import COLUMNS, read_stored
from detector.store.rows import (
    INSERT_MATCH,
    clean_match,
    match_key,
    match_row,
    read_match,
)

_FOLD = """
UPDATE matches SET kernel_time_us = ?, wall_time_us = ?, boot_id = ?, epoch_us = ?, stream = ?,
  boot_count = ?, boot_before = ?, caller = ?, source = ?, number = ?
WHERE id = ?
"""
_STAMPS = ", ".join(f":stamp{number}" for number in range(len(rounded(0)) + 1))
# The same stamp, what it may have been rounded to and, where it is itself rounded, all that it may
# stand for; the nearest first.
_SAME_STAMP = f"""
SELECT {COLUMNS} FROM matches m WHERE host = :host AND text = :text
  AND kernel_time_us IN ({_STAMPS})
    ORDER BY abs(kernel_time_us - :kernel), id
"""  # noqa: S608
_ROUNDED_STAMP = f"""
SELECT {COLUMNS} FROM matches m WHERE host = :host AND text = :text
  AND (kernel_time_us BETWEEN :kernel - :grain AND :kernel + :grain
    OR kernel_time_us IN ({_STAMPS}))
ORDER BY abs(kernel_time_us - :kernel), id
"""  # noqa: S608
_SAME_KEY = f"SELECT {COLUMNS} FROM matches m WHERE key = ? ORDER BY id"  # noqa: S608


class Matches:
    """The table of matches. Those that a batch added are held until `forget`: their reports
    follow.
    """

    def __init__(self, connection: Connection, tolerance_us: int) -> None:
        self._connection = connection
        self._tolerance_us = tolerance_us
        self._added: dict[int, Match] = {}

    def forget(self) -> None:
        """The batch has ended, or is rolled back in part."""
        self._added.clear()

    def add(self, match: Match) -> tuple[StoredMatch, bool]:
        """Stores a clean match, or folds it into the one that it repeats; True where it is new."""
        known = self._find(match)
        if known is None:
            cursor = self._connection.execute(INSERT_MATCH, match_row(match))
            stored = StoredMatch(cast(int, cursor.lastrowid), match)
            self._added[stored.id] = match
            return stored, True
        folded = fold(known.match, match)
        if folded != known.match:
            boot = folded.boot
            facts = (
                folded.kernel_time_us,
                folded.wall_time_us,
                boot.id,
                boot.epoch_us,
                boot.stream,
                boot.count,
                boot.before,
                folded.caller,
                folded.source,
                folded.number,
            )
            self._connection.execute(_FOLD, (*facts, known.id))
            self._added.pop(known.id, None)
        refined = folded.kernel_time_us != known.match.kernel_time_us
        return replace(known, match=folded, refined=refined), False

    def find(self, match: Match, among: Collection[int] | None = None) -> StoredMatch | None:
        """The stored match that a match repeats, if any; `among` narrows the choice to some ids."""
        return self._find(clean_match(match), among)

    def get(self, match_id: int) -> Match:
        """A match by its id."""
        if match_id in self._added:
            return self._added[match_id]
        return read_match(
            self._connection.execute("SELECT * FROM matches WHERE id = ?", (match_id,)).fetchone()
        )

    def _find(self, match: Match, among: Collection[int] | None = None) -> StoredMatch | None:
        """A line at the same place of a stream is the same line, even where its boot was counted
        anew after a restart.
        """
        if match.kernel_time_us is not None:
            rows = self._of_stamp(match, match.kernel_time_us)
        else:
            rows = self._connection.execute(_SAME_KEY, (match_key(match),)).fetchall()
        if not rows:
            return None
        known = [
            read_stored(self._connection, row)
            for row in rows
            if among is None or row["id"] in among
        ]
        equal = [item for item in known if read_alike(item.match, match)]
        again = (
            item for item in equal if match.boot.stream and _place(item.match) == _place(match)
        )
        return next(again, None) or next(
            (item for item in equal if same_line(match, item.match, self._tolerance_us)), None
        )

    def _of_stamp(self, match: Match, time_us: int) -> list[Row]:
        """The matches of one text whose kernel time is the same, or the same but for rounding."""
        grain = grain_us(time_us)
        facts: dict[str, str | int] = {
            "host": match.host,
            "text": match.text,
            "kernel": time_us,
            "grain": grain,
        }
        for number, stamp in enumerate((time_us, *rounded(time_us))):
            facts[f"stamp{number}"] = stamp
        query = _SAME_STAMP if grain == 1 else _ROUNDED_STAMP
        return self._connection.execute(query, facts).fetchall()


def read_alike(a: Match, b: Match) -> bool:
    """Returns whether two matches read alike: host, text and time, rounded or not; without any
    time only the place in the source tells.
    """
    if (a.host, a.text) != (b.host, b.text):
        return False
    if a.kernel_time_us is not None and b.kernel_time_us is not None:
        # Two callers print two lines, however near.
        apart = a.caller and b.caller and a.caller != b.caller
        return not apart and same_stamp(a.kernel_time_us, b.kernel_time_us)
    if a.kernel_time_us is not None or b.kernel_time_us is not None:
        return False
    if a.wall_time_us is None:
        return b.wall_time_us is None and (a.source, a.number) == (b.source, b.number)
    return a.wall_time_us == b.wall_time_us


def fold(known: Match, again: Match) -> Match:
    """One match of two sightings: each fact from whichever has it, the lesser where both do, so
    that the order of arrival never shows.
    """
    first, second = sorted((known, again), key=lambda match: (match.source, match.number))
    streamed = min(first, second, key=lambda match: (not match.boot.stream, match.boot.before))
    boot = Boot(
        id=_least(first.boot.id, second.boot.id),
        epoch_us=_least(first.boot.epoch_us, second.boot.epoch_us),
        stream=streamed.boot.stream,
        count=streamed.boot.count,
        before=streamed.boot.before,
    )
    return replace(
        known,
        boot=boot,
        kernel_time_us=_finest(known.kernel_time_us, again.kernel_time_us),
        wall_time_us=_least(first.wall_time_us, second.wall_time_us),
        caller=_least(first.caller, second.caller),
        source=first.source,
        number=first.number,
    )


def _finest(a: int | None, b: int | None) -> int | None:
    """The kernel time that was rounded least, of two the earlier."""
    if a is None or b is None:
        return a if b is None else b
    return min(a, b, key=lambda time: (grain_us(time), time))


def _place(match: Match) -> tuple[str, int, str]:
    return match.source, match.number, match.boot.stream


def _least(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else min(a, b)
