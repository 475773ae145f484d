"""Counts over time, and their sparkline for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Bucket:
    """Counts of a span of time; `end_us` is not included."""

    start_us: int
    end_us: int
    count: int


def sparkline(counts: Sequence[int]) -> str:
    """One block for each count, the highest for the greatest; a blank for none at all, so that
    rare events show.
    """
    most = max(counts, default=0)
    return "".join(
        BLOCKS[(count * (len(BLOCKS) - 1) + most - 1) // most] if count else " " for count in counts
    )


def spread(days: Sequence[Bucket], start_us: int, end_us: int, width: int) -> list[int]:
    """Counts of a time in `width` equal parts, from buckets that may leave out what is empty."""
    counts = [0] * width
    for bucket in days:
        if start_us <= bucket.start_us < end_us:
            counts[(bucket.start_us - start_us) * width // (end_us - start_us)] += bucket.count
    return counts
