"""Counts that would be too slow to make from the rows they count: of matches by signature, of noise by program, each by the hour.

In: what a batch adds. Out: a few rows at its end, added to what is there. Forgotten when the batch is rolled back.
"""

from __future__ import annotations

from collections import Counter
from sqlite3 import Connection

HOUR_US = 3_600_000_000

_SIGNATURE = """
INSERT INTO signature_hours (signature, hour_us, matches) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET matches = matches + excluded.matches
"""
_PROGRAM = """
INSERT INTO noise_programs (process, signature, hour_us, count) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET count = count + excluded.count
"""
_SIZE = "UPDATE sizes SET rows = rows + ? WHERE name = ?"


class Tallies:
    """What a batch adds. `flush` writes it and forgets it, `clear` only forgets."""

    def __init__(self) -> None:
        self._signatures: Counter[tuple[str, int]] = Counter()
        self._programs: Counter[tuple[str, str, int]] = Counter()

    def match(self, signature: str, wall_us: int | None) -> None:
        """A new match; one without a wall time counts to hour 0."""
        self._signatures[signature, (wall_us or 0) // HOUR_US * HOUR_US] += 1

    def noise(self, process: str, signature: str, hour_us: int, count: int) -> None:
        """Crashes of one program in one hour."""
        self._programs[process, signature, hour_us] += count

    def flush(self, connection: Connection) -> None:
        """Adds the counts to what is stored."""
        if self._signatures:
            connection.executemany(_SIGNATURE, [(*key, count) for key, count in self._signatures.items()])
        if self._programs:
            connection.executemany(_PROGRAM, [(*key, count) for key, count in self._programs.items()])
            connection.execute(_SIZE, (self._programs.total(), "noise"))
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._signatures.clear()
        self._programs.clear()
