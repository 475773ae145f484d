"""Stores counts of lines that repeat, and the runs that they are of.

In: what `Repeats` has counted in a batch. Out: rows under the whole line before them, which are
removed with it; runs, and the pages of their times. Runs inside the transaction of the journal that
owns it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from sqlite3 import Connection, Row
from typing import cast

from detector.clock import HOUR_US
from detector.model import Match
from detector.repeat_runs import Repeat, RepeatCount, RepeatKey, RunBoot
from detector.repeat_times import RepeatTimes, TimesPage, stamp_of
from detector.repeats import label_of
from detector.store.ingest.matches import Matches
from detector.store.rows import clean_match, match_row, read_match, storable

_COUNT = """
INSERT INTO repeats (match_id, source, hour_us, count, first_us, last_us, first_kernel_us,
  last_kernel_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (match_id, source, hour_us) DO UPDATE SET count = count + excluded.count,
  first_us = coalesce(min(first_us, excluded.first_us), first_us, excluded.first_us),
  last_us = coalesce(max(last_us, excluded.last_us), last_us, excluded.last_us),
  first_kernel_us = coalesce(min(first_kernel_us, excluded.first_kernel_us), first_kernel_us,
    excluded.first_kernel_us),
  last_kernel_us = coalesce(max(last_kernel_us, excluded.last_kernel_us), last_kernel_us,
    excluded.last_kernel_us)
"""
_NEW_RUN = """
INSERT INTO repeating (label, host, signature, shape, first_us, match_id, whole, whole_us, last_us,
  boot, line, times_us, times)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_RUN = """
UPDATE repeating SET match_id = ?, whole = ?, whole_us = ?, last_us = ?, boot = ?, line = ?,
  times_us = ?, times = ?
WHERE run = ?
"""
_PAGE = "INSERT OR REPLACE INTO repeat_times (run, first_us, times) VALUES (?, ?, ?)"
_COLUMNS = """run, host, signature, shape, first_us, match_id, whole, whole_us, last_us, boot, line,
  times_us, times"""
_UNFINISHED = f"SELECT {_COLUMNS} FROM repeating WHERE label = ? AND line IS NOT NULL"  # noqa: S608
_OF_KEY = f"SELECT {_COLUMNS} FROM repeating WHERE (label, host, signature, shape) = (?, ?, ?, ?)"  # noqa: S608
_BEGUN = f"{_OF_KEY} AND first_us <= ? ORDER BY first_us DESC LIMIT ?"
_NEXT_RUN = """
SELECT min(first_us) FROM repeating
WHERE (label, host, signature, shape) = (?, ?, ?, ?) AND first_us > ?
"""
_TIMES = """
SELECT first_us, times,
  (SELECT min(first_us) FROM repeat_times WHERE run = t.run AND first_us > t.first_us)
FROM repeat_times t WHERE run = ? AND first_us <= ? ORDER BY first_us DESC LIMIT 1
"""
_NEXT_WHOLE = """
SELECT min(kernel_time_us) FROM matches WHERE host = ? AND signature = ? AND kernel_time_us > ?
"""
# Runs of one line that are looked at: of a host in a boot loop those that began last.
_LOOKED_AT = 16


class StoredRepeats:
    """The tables of lines that repeat."""

    def __init__(self, connection: Connection, matches: Matches) -> None:
        self._connection = connection
        self._matches = matches

    def save(
        self,
        counts: Iterable[RepeatCount],
        changed: Iterable[tuple[RepeatKey, Repeat]],
        needless: Sequence[int],
    ) -> None:
        """Adds counts, stores how far the runs have come that changed, removes what is needless."""
        self._connection.executemany(_COUNT, map(_count_row, counts))
        for key, run in changed:
            times, state = run.times, _state(run)
            if times.run is None:
                place = (label_of(key[0]), *key, run.first_us)
                times.run = self._connection.execute(_NEW_RUN, (*place, *state)).lastrowid
            else:
                self._connection.execute(_RUN, (*state, times.run))
            if pages := times.take_changed():
                rows = [(times.run, first_us, data) for first_us, data in pages]
                self._connection.executemany(_PAGE, rows)
        if needless:
            ids = [(run,) for run in needless]
            self._connection.executemany("DELETE FROM repeating WHERE run = ?", ids)

    def unfinished(self, label: str) -> Iterator[tuple[RepeatKey, Repeat]]:
        """Yields the runs on hosts of one label whose latest line may still be kept whole."""
        for row in self._connection.execute(_UNFINISHED, (label,)).fetchall():
            yield tuple(row[1:4]), self._run(row)

    def runs(self, key: RepeatKey, time_us: int) -> Iterator[Repeat]:
        """Yields the latest runs that began up to a kernel time."""
        place = (label_of(key[0]), *key, time_us, _LOOKED_AT)
        yield from map(self._run, self._connection.execute(_BEGUN, place).fetchall())

    def page(self, run: int, time_us: int, /) -> tuple[int, bytes, int | None] | None:
        """The page of a run's times that may hold one; see `LoadPage`."""
        row = self._connection.execute(_TIMES, (run, time_us)).fetchone()
        return tuple(row) if row else None

    def next_us(self, key: RepeatKey, time_us: int) -> int | None:
        """The kernel time, after one, of the next whole line of a host and signature, or of the
        next run that begins; None where there is neither.
        """
        whole = self._connection.execute(_NEXT_WHOLE, (key[0], key[1], time_us)).fetchone()[0]
        place = (label_of(key[0]), *key, time_us)
        begun = self._connection.execute(_NEXT_RUN, place).fetchone()[0]
        return min((time for time in (whole, begun) if time is not None), default=None)

    def is_whole(self, match: Match) -> bool:
        """Returns whether a match is stored already."""
        return self._matches.find(match) is not None

    def _run(self, row: Row) -> Repeat:
        run, _, _, _, first_us, match_id, whole, whole_us, last_us, boot, line, begun_us, data = row
        tail = None if begun_us is None else TimesPage(begun_us, data)
        boot_id, counts, first_start_us, last_start_us = json.loads(boot)
        repeat = Repeat(
            match_id,
            RunBoot(boot_id, counts, first_start_us, last_start_us),
            whole,
            whole_us,
            first_us,
            last_us,
            RepeatTimes(self.page, run, tail),
            changed=False,
            wholes=[whole_us],
        )
        if line:
            _hold(repeat, read_match(cast(Row, (0, *json.loads(line)))))
        return repeat


def _hold(run: Repeat, held: Match) -> None:
    run.held, run.source = held, held.source
    run.held_us = held.kernel_time_us or 0
    run.held_stamp = stamp_of(run.held_us, held.text.encode(errors="surrogatepass"))
    wall_us = held.wall_time_us
    run.held_hour_us = 0 if wall_us is None else wall_us - wall_us % HOUR_US


def _count_row(row: RepeatCount) -> tuple[object, ...]:
    return (
        row.match_id, row.source, max(0, storable(row.hour_us) or 0), row.count,
        storable(row.first_us), storable(row.last_us),
        storable(row.first_kernel_us), storable(row.last_kernel_us),
    )  # fmt: skip


def _state(run: Repeat) -> tuple[object, ...]:
    boot, tail = run.boot, run.times.tail
    line = json.dumps(match_row(clean_match(run.held))) if isinstance(run.held, Match) else None
    return (
        run.match_id, run.whole, run.whole_us, run.last_us,
        json.dumps((boot.id, boot.counts, boot.first_start_us, boot.last_start_us)), line,
        tail and tail.first_us, tail and bytes(tail.data),
    )  # fmt: skip
