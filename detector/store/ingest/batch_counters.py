"""Counts that a batch adds: noise, and sums that would be too slow to make from their rows.

In: what a batch adds. Out: a few rows at its end, added to what is there: matches by signature and
noise by program, each by the hour. Forgotten when the batch is rolled back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from sqlite3 import Connection

from detector.clock import HOUR_US
from detector.noise import NoiseCount
from detector.store.ingest.sightings import Sightings
from detector.store.rows import COUNT_LIMIT, NAME_LIMIT, clean, storable
from detector.unclaimed import UnclaimedCount

_SIGNATURE = """
INSERT INTO signature_hours (signature, hour_us, matches) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET matches = matches + excluded.matches
"""
_PROGRAM = """
INSERT INTO noise_programs (process, signature, hour_us, count, first_us, last_us)
  VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET count = count + excluded.count,
  first_us = coalesce(min(first_us, excluded.first_us), first_us, excluded.first_us),
  last_us = coalesce(max(last_us, excluded.last_us), last_us, excluded.last_us)
"""
_SIZE = "UPDATE sizes SET rows = rows + ? WHERE name = ?"


class Tallies:
    """Counts that a batch adds. `flush` writes it and forgets it, `clear` only forgets."""

    def __init__(self) -> None:
        self._signatures: Counter[tuple[str, int]] = Counter()
        self._programs: Counter[tuple[str, str, int]] = Counter()
        self._times: dict[tuple[str, str, int], tuple[int | None, int | None]] = {}

    def match(self, signature: str, wall_us: int | None) -> None:
        """A new match; one without a wall time counts to hour 0."""
        self._signatures[signature, (wall_us or 0) // HOUR_US * HOUR_US] += 1

    def repeats(self, signature: str, hour_us: int, count: int) -> None:
        """Matches of one hour that were counted; below 0 where one is kept whole after all."""
        self._signatures[signature, hour_us] += count

    def noise(
        self,
        process: str,
        signature: str,
        hour_us: int,
        count: int,
        first_us: int | None,
        last_us: int | None,
    ) -> None:
        """Crashes of one program in one hour, and when the first and the last of them were, where
        that is known.
        """
        key = (process, signature, hour_us)
        self._programs[key] += count
        first, last = self._times.get(key, (None, None))
        known = (
            [time for time in (first, first_us) if time is not None],
            [time for time in (last, last_us) if time is not None],
        )
        self._times[key] = (min(known[0], default=None), max(known[1], default=None))

    def flush(self, connection: Connection) -> None:
        """Adds the counts to what is stored."""
        if self._signatures:
            connection.executemany(
                _SIGNATURE, [(*key, count) for key, count in self._signatures.items()]
            )
        if self._programs:
            connection.executemany(
                _PROGRAM,
                [(*key, count, *self._times[key]) for key, count in self._programs.items()],
            )
            connection.execute(_SIZE, (self._programs.total(), "noise"))
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._signatures.clear()
        self._programs.clear()
        self._times.clear()


_ADD = f"""
INSERT INTO unclaimed (reason, count, signature, source, number, host, sample)
  VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (reason) DO UPDATE SET count = min(count + excluded.count, {COUNT_LIMIT}), signature =
  excluded.signature,
  source = excluded.source, number = excluded.number, host = excluded.host, sample = excluded.sample
"""  # noqa: S608


def add(connection: Connection, rows: Sequence[UnclaimedCount]) -> None:
    """Adds to the counts."""
    connection.executemany(
        _ADD,
        [
            (
                clean(row.reason, NAME_LIMIT),
                min(row.count, COUNT_LIMIT),
                clean(row.signature, NAME_LIMIT),
                clean(row.source),
                storable(row.number) or 0,
                clean(row.host, NAME_LIMIT),
                clean(row.sample),
            )
            for row in rows
        ],
    )


_NOISE = """
INSERT INTO noise (host, process, signature, hour_us, count, first_us, last_us, first_kernel_us,
  last_kernel_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (host, process, signature, hour_us) DO UPDATE SET count = count + excluded.count,
  first_us = coalesce(min(first_us, excluded.first_us), first_us, excluded.first_us),
  last_us = coalesce(max(last_us, excluded.last_us), last_us, excluded.last_us),
  first_kernel_us = coalesce(min(first_kernel_us, excluded.first_kernel_us), first_kernel_us,
    excluded.first_kernel_us),
  last_kernel_us = coalesce(max(last_kernel_us, excluded.last_kernel_us), last_kernel_us,
    excluded.last_kernel_us)
"""


def add_noise(
    connection: Connection, rows: Iterable[NoiseCount], sightings: Sightings, tallies: Tallies
) -> None:
    """Adds counts of user-space crashes to those of their host, process, signature and hour."""
    connection.executemany(_NOISE, [_noise_row(row, sightings, tallies) for row in rows])


def _noise_row(
    row: NoiseCount, sightings: Sightings, tallies: Tallies
) -> tuple[str | int | None, ...]:
    host = clean(row.host, NAME_LIMIT)
    process, signature, hour = (
        clean(row.process, NAME_LIMIT),
        clean(row.signature, NAME_LIMIT),
        max(0, storable(row.hour_us) or 0),
    )
    first, last = storable(row.first_us), storable(row.last_us)
    sightings.host(host, first, last)
    tallies.noise(process, signature, hour, row.count, first, last)
    return (
        host,
        process,
        signature,
        hour,
        row.count,
        first,
        last,
        storable(row.first_kernel_us),
        storable(row.last_kernel_us),
    )
