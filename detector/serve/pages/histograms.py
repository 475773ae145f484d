"""Counts over time as charts of a page, with the words and links around them.

In: buckets with a start, an end and a count. Out: what the template `histogram` shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from markupsafe import Markup

from detector.render.units import several
from detector.serve import charts
from detector.serve.pages import formatting


class Bin(Protocol):
    """A part of a time with a count; times are µs since 1970."""

    @property
    def start_us(self) -> int: ...  # noqa: D102

    @property
    def end_us(self) -> int: ...  # noqa: D102

    @property
    def count(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class TimePart:
    """One of the equal parts of a time."""

    start_us: int
    end_us: int
    count: int


def histogram(
    buckets: Sequence[Bin],
    noun: str,
    link: Callable[[int, int], str] | None = None,
    *,
    now_us: int | None = None,
    height: int = 64,
) -> dict[str, Any] | None:
    """A chart of buckets in the order of time, each bar a link to its time; None where there is
    nothing to draw. Its words name its span; where it ends `now_us`, its end is called so.
    """
    if not buckets or not any(bucket.count for bucket in buckets):
        return None
    bars = [
        charts.Bar(
            bucket.count,
            (
                f"{formatting.stamp(bucket.start_us)[:16]} to "
                f"{formatting.stamp(bucket.end_us)[:16]} UTC: "
                f"{several(bucket.count, noun)}"
            ),
            link(bucket.start_us, bucket.end_us) if link else None,
        )
        for bucket in buckets
    ]
    total = sum(bucket.count for bucket in buckets)
    step = formatting.duration((buckets[0].end_us - buckets[0].start_us) // 1_000_000)
    most = max(bucket.count for bucket in buckets)
    end_us = buckets[-1].end_us
    span = formatting.duration((end_us - buckets[0].start_us) // 1_000_000)
    title = f"{several(total, noun)} in {span}"
    end = "now" if now_us is not None and now_us <= end_us else _stamped(end_us)
    return {
        "svg": charts.bars(bars, f"{title}, a bar for each {step}", height=height),
        "words": title,
        "start": _stamped(buckets[0].start_us),
        "middle": f"a bar is {step}, the highest {most:,}",
        "end": end,
    }


def _stamped(wall_us: int) -> str:
    return f"{formatting.stamp(wall_us)[:16]} UTC"


def spread(
    buckets: Sequence[Bin], start_us: int, end_us: int, unit_us: int, most: int = 72
) -> list[TimePart]:
    """Buckets of whole units, gaps between them left out, as at most `most` equal parts of a
    time, empty ones included.
    """
    start = start_us - start_us % unit_us
    units = max(1, -(-(end_us - start) // unit_us))
    step = -(-units // most) * unit_us
    counts = [0] * -(-(end_us - start) // step)
    for bucket in buckets:
        if start <= bucket.start_us < end_us:
            counts[(bucket.start_us - start) // step] += bucket.count
    return [
        TimePart(start + index * step, start + (index + 1) * step, count)
        for index, count in enumerate(counts)
    ]


def strip(counts: Sequence[int], starts: Sequence[int], most: int, what: str) -> Markup:
    """A heat strip; `starts` are the starts of its cells."""
    labels = [
        f"{formatting.stamp(start)[:16]} UTC: {count:,}"
        for start, count in zip(starts, counts, strict=True)
    ]
    return charts.heat(counts, most, what, labels)
