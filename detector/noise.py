"""Noise counted, not kept: user-space crashes by host, process, signature and hour.

In: who crashed, how and when. Out: rows of counts since the last `drain`. Nothing of the lines is built or kept beyond the key.
"""

from __future__ import annotations

from dataclasses import dataclass

HOUR_US = 3_600 * 1_000_000
# What a kernel prints of a user fault may not name the program: s390's "User process fault", "potentially unexpected fatal signal 11."
UNNAMED = "(unnamed)"

Key = tuple[str, str, str, str, int]


@dataclass(slots=True)
class NoiseCount:
    """How often one process of one host crashed in one way in one hour (`hour_us` since 1970, 0 where no wall time is known).

    First and last are wall times, `_kernel_us` kernel times; None where the lines carry none.
    """

    source: str
    host: str
    process: str
    signature: str
    hour_us: int
    count: int
    first_us: int | None
    last_us: int | None
    first_kernel_us: int | None
    last_kernel_us: int | None

    def see(self, wall_us: int | None, kernel_us: int | None) -> None:
        """Counts one more, at these times."""
        self.count += 1
        if wall_us is not None:
            self.first_us = wall_us if self.first_us is None or wall_us < self.first_us else self.first_us
            self.last_us = wall_us if self.last_us is None or wall_us > self.last_us else self.last_us
        if kernel_us is not None:
            first, last = self.first_kernel_us, self.last_kernel_us
            self.first_kernel_us = kernel_us if first is None or kernel_us < first else first
            self.last_kernel_us = kernel_us if last is None or kernel_us > last else last

    def add(self, other: NoiseCount) -> None:
        """Folds another count of the same key into this one."""
        self.count += other.count
        self.first_us = _least(self.first_us, other.first_us)
        self.last_us = _greatest(self.last_us, other.last_us)
        self.first_kernel_us = _least(self.first_kernel_us, other.first_kernel_us)
        self.last_kernel_us = _greatest(self.last_kernel_us, other.last_kernel_us)


class NoiseTally:
    """The counts since the last drain."""

    def __init__(self) -> None:
        self._counts: dict[Key, NoiseCount] = {}

    def count(self, source: str, host: str, process: str | None, signature: str, wall_us: int | None, kernel_us: int | None) -> None:
        """Counts one user-space crash; `wall_us` is its wall time, or the arrival where the line has none."""
        hour = 0 if wall_us is None else wall_us - wall_us % HOUR_US
        key = (source, host, process or UNNAMED, signature, hour)
        known = self._counts.get(key)
        if known is None:
            self._counts[key] = NoiseCount(*key, 1, wall_us, wall_us, kernel_us, kernel_us)
        else:
            known.see(wall_us, kernel_us)

    def drain(self) -> list[NoiseCount]:
        """All counts since the last call."""
        rows = list(self._counts.values())
        self._counts = {}
        return rows


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def _greatest(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else max(a, b)
