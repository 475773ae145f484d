"""Noise counted, not kept: user-space crashes by host, process, signature and hour.

In: matches of origin "user". Out: rows of counts since the last `drain`. Nothing of the lines is built or kept beyond the key.
"""

from __future__ import annotations

from dataclasses import dataclass

from detector.model import Match

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

    def add(self, match: Match, wall_us: int | None) -> None:
        """Counts one user-space crash; `wall_us` is its wall time, or the arrival where the line has none."""
        hour = 0 if wall_us is None else wall_us - wall_us % HOUR_US
        process = match.fields.get("process") or UNNAMED
        key = (match.source, match.host, process, match.signature, hour)
        kernel = match.kernel_time_us
        new = NoiseCount(*key, 1, wall_us, wall_us, kernel, kernel)
        known = self._counts.setdefault(key, new)
        if known is not new:
            known.add(new)

    def drain(self) -> list[NoiseCount]:
        """All counts since the last call."""
        rows = list(self._counts.values())
        self._counts = {}
        return rows


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def _greatest(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else max(a, b)
