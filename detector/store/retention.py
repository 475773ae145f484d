"""Retention: removes what is older than its limit, folds old hours into days.

It also gives free pages back, and enters what an older version of the file lacks.

In: limits in days, the time now. Out: what each step did. Every step is one transaction of its own
that is meant to last no longer than `STEP_S`, so that a pipeline which writes beside it never waits
long; whoever drives the steps may pause between them.

What incidents rest on stays as long as they do. Problems keep their sums for ever: whether a crash
was ever seen before stays known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from sqlite3 import Connection, Error, Row
from threading import Event, Thread
from typing import Any

from detector.clock import DAY_US
from detector.store import removal
from detector.store.connection import connect_reading, connect_writing
from detector.store.errors import StoreError, explained
from detector.store.ingest import backfill
from detector.store.turns import begin_writing

# How long one step may hold the file; the number of rows of a step follows from how long the last
# one took.
STEP_S = 0.05
_ROWS, _MOST_ROWS = 200, 5_000
_PAGES = 500
# Hourly tables: the columns of their keys beside the hour, what is added up, and what beyond sums
# is kept of noise.
_HOURLY = {
    "noise": (
        ("host", "process", "signature"),
        "count",
        ("first_us", "last_us", "first_kernel_us", "last_kernel_us"),
    ),
    "noise_programs": (("process", "signature"), "count", ("first_us", "last_us")),
    "signature_hours": (("signature",), "matches", ()),
}


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """Days after which a kind is removed, or its hours are folded into days; 0: never."""

    incidents_days: int = 0
    matches_days: int = 0
    reports_days: int = 0
    changes_days: int = 0
    noise_days: int = 0
    noise_hours_days: int = 0


@dataclass(frozen=True, slots=True)
class RetentionStep:
    """A step: its work in words, its rows, and the seconds for which it held the file."""

    what: str
    rows: int
    seconds: float


class Keeper:
    """A connection of its own for keeping. `timer` is a clock in seconds that only rises."""

    def __init__(
        self, path: str | Path, limits: RetentionLimits, timer: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises `StoreError` where there is no history to keep."""
        if not Path(path).is_file():
            raise StoreError(
                f"{path}: there is no such history: name the file that `oopswatch run` writes"
            )
        self._path = str(path)
        self._limits = limits
        self._timer = timer
        self._db = connect_writing(self._path)
        self._connection = self._db
        self._rows = _ROWS

    def steps(self, now_us: int) -> Iterator[RetentionStep]:
        """All that is due at a time, step by step; raises `StoreError`. A step that found nothing
        to do is not told.
        """
        due = self._limits
        yield from self._backfill(now_us)
        yield from self._removal("incidents", due.incidents_days, now_us, removal.incidents)
        yield from self._removal("changes", due.changes_days, now_us, removal.changes)
        acts = removal.waiting_acts
        yield from self._removal("waiting acts", due.incidents_days, now_us, acts)
        yield from self._walk("matches", due.matches_days, now_us, removal.matches)
        yield from self._walk("reports", due.reports_days, now_us, removal.reports)
        for table in _HOURLY:
            yield from self._removal(table, due.noise_days, now_us, _aged(table))
            yield from self._folding(table, due.noise_hours_days, now_us)
        hours = due.noise_hours_days
        yield from self._removal("value_hours", hours, now_us, removal.value_hours)
        host_days = removal.kernel_error_host_days
        yield from self._removal("kernel_error_host_days", hours, now_us, host_days)
        days = due.noise_days
        yield from self._removal("program_days", days, now_us, removal.program_days)
        yield from self._removal("kernel_error_days", days, now_us, removal.kernel_error_days)
        yield from self._removal("kernel_errors", days, now_us, removal.kernel_errors)
        yield from self._tidying()

    def close(self) -> None:
        """Closes the connection."""
        self._db.close()

    def _backfill(self, now_us: int) -> Iterator[RetentionStep]:
        """Steps that enter what an older version did not keep, until all of it is entered."""
        while backfill.is_due(self._connection):
            yield self._step(
                "older rows entered", lambda rows: backfill.step(self._connection, rows, now_us)
            )

    def _removal(
        self, what: str, days: int, now_us: int, remove: Callable[[Connection, int, int], int]
    ) -> Iterator[RetentionStep]:
        """Steps that each remove the oldest rows, until none is old enough."""
        while days:
            step = self._step(
                f"{what} removed",
                lambda rows: remove(self._connection, now_us - days * DAY_US, rows),
            )
            if not step.rows:
                return
            yield step

    def _walk(
        self, what: str, days: int, now_us: int, remove: removal.Walk
    ) -> Iterator[RetentionStep]:
        """Steps that look through rows by their ids, and remove those that are old and belong to no
        incident.
        """
        place: int | None = 0
        while days and place is not None:
            places: list[int | None] = []

            def walk(rows: int, start: int = place, places: list[int | None] = places) -> int:
                removed, following = remove(self._connection, now_us - days * DAY_US, start, rows)
                places.append(following)
                return removed

            step = self._step(f"{what} removed", walk)
            place = places[-1]
            if step.rows:
                yield step

    def _folding(self, table: str, days: int, now_us: int) -> Iterator[RetentionStep]:
        """Steps that fold hours into their days, one day after the other."""
        if not days:
            return
        until = (now_us - days * DAY_US) // DAY_US * DAY_US
        day = 0
        while True:
            ahead = f"SELECT min(hour_us) FROM {table} WHERE hour_us > ?"  # noqa: S608
            following = self._connection.execute(ahead, (day,)).fetchone()[0]
            if following is None or following >= until:
                return
            day = following // DAY_US * DAY_US
            while (
                step := self._step(f"{table} folded", partial(_fold, self._connection, table, day))
            ).rows:
                yield step

    def _tidying(self) -> Iterator[RetentionStep]:
        """Gives free pages back to the disk, where the file was made for it."""
        while self._connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 2:
            free = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
            if free == 0:
                return
            yield self._step("pages freed", partial(self._free, free))

    def _free(self, free: int, _rows: int) -> int:
        self._connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
        return min(free, _PAGES)

    def _step(self, what: str, act: Callable[[int], int]) -> RetentionStep:
        """One transaction; the next one takes fewer rows where this one took long, and more where
        it was quick.
        """
        with explained(self._path):
            begin_writing(self._connection, self._path)
            started = self._timer()
            try:
                rows = act(self._rows)
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(Error):
                    self._db.rollback()
                raise
        seconds = self._timer() - started
        if seconds > STEP_S / 2:
            self._rows = max(1, self._rows // 2)
        elif seconds < STEP_S / 5:
            self._rows = min(_MOST_ROWS, self._rows * 2)
        return RetentionStep(what, rows, seconds)


class Background:
    """Applies the limits to a history from a thread of its own, beside the service.

    It does so at once, then every `every_s` seconds, with pauses between steps.
    """

    def __init__(
        self,
        path: str | Path,
        limits: RetentionLimits,
        clock: Callable[[], int],
        on_round: Callable[[dict[str, int], str | None], None],
        every_s: float,
    ) -> None:
        """`on_round` gets, after each round, the rows by what was done with them, and what went
        wrong in one line.
        """
        self._path, self._limits, self._clock, self._on_round, self._every_s = (
            path,
            limits,
            clock,
            on_round,
            every_s,
        )
        self._stopping = Event()
        self._thread = Thread(target=self._work, name="keeping", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the step in hand."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            done: dict[str, int] = {}
            fault = None
            try:
                self._round(done)
            except StoreError as error:
                fault = str(error)
            if done or fault:
                self._on_round(done, fault)
            self._stopping.wait(self._every_s)

    def _round(self, done: dict[str, int]) -> None:
        with closing(Keeper(self._path, self._limits)) as keeper:
            for step in keeper.steps(self._clock()):
                done[step.what] = done.get(step.what, 0) + step.rows
                # The pipeline has the file at least four times as long as keeping has.
                if self._stopping.wait(4 * step.seconds):
                    return


def check(path: str | Path) -> list[str]:
    """The faults that SQLite finds in a history; none where it is sound.

    Only reads, and may run beside a service; takes long for a large file.
    """
    with closing(connect_reading(str(path))) as db, explained(str(path)):
        faults = [row[0] for row in db.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
        dangling = db.execute("PRAGMA foreign_key_check").fetchmany(20)
    return faults + [
        f"{row[0]}: row {row[1]} refers to a row of {row[2]} that is not there" for row in dangling
    ]


def vacuum(path: str | Path) -> None:
    """Writes the file anew without free pages, able to give pages back later.

    Holds the file, and needs its size again on the disk.
    """
    with closing(connect_writing(str(path))) as db, explained(str(path)):
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("VACUUM")


def _aged(table: str) -> Callable[[Connection, int, int], int]:
    def remove(connection: Connection, cut_us: int, rows: int) -> int:
        """Counts of days that are over; what carries no time (hour 0) is kept."""
        keys, total, _ = _HOURLY[table]
        columns = ", ".join((*keys, "hour_us", total))
        old = f"SELECT {columns} FROM {table} WHERE hour_us > 0 AND hour_us < ? LIMIT ?"  # noqa: S608
        counts = connection.execute(old, (cut_us // DAY_US * DAY_US, rows)).fetchall()
        _delete(connection, table, counts)
        if table == "noise":
            connection.execute(
                "UPDATE sizes SET rows = rows - ? WHERE name = 'noise'",
                (sum(row[total] for row in counts),),
            )
        return len(counts)

    return remove


def _fold(connection: Connection, table: str, day_us: int, rows: int) -> int:
    """Adds some hours of a day to the row of the day, which is that of its first hour."""
    keys, total, extremes = _HOURLY[table]
    columns = (*keys, "hour_us", total, *extremes)
    query = f"SELECT {', '.join(columns)} FROM {table} WHERE hour_us > ? AND hour_us < ? LIMIT ?"  # noqa: S608
    hours = connection.execute(query, (day_us, day_us + DAY_US, rows)).fetchall()
    changes = [f"{total} = {total} + excluded.{total}"]
    for column in extremes:
        least = "min" if column.startswith("first") else "max"
        changes.append(
            f"{column} = coalesce({least}({column}, excluded.{column}), {column}, "
            f"excluded.{column})"
        )
    row = f"{table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    fold = f"INSERT INTO {row} ON CONFLICT DO UPDATE SET {', '.join(changes)}"
    at = len(keys)
    connection.executemany(fold, [(*row[:at], day_us, *row[at + 1 :]) for row in hours])
    _delete(connection, table, hours)
    return len(hours)


def _delete(connection: Connection, table: str, rows: list[Row]) -> None:
    keys: tuple[Any, ...] = _HOURLY[table][0]
    where = " AND ".join(f"{key} = ?" for key in (*keys, "hour_us"))
    connection.executemany(
        f"DELETE FROM {table} WHERE {where}",  # noqa: S608
        [row[: len(keys) + 1] for row in rows],
    )
