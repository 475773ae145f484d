"""Spans, counts, hosts and series of counts in words, the same at every door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def seconds(span_us: int | None) -> str:
    """Returns µs as printk prints kernel time, "61817741.312094"; "-" for none."""
    if span_us is None:
        return "-"
    whole, micros = divmod(abs(span_us), 1_000_000)
    return f"{'-' if span_us < 0 else ''}{whole}.{micros:06d}"


def exact_seconds(span_us: int) -> str:
    """Returns a span exact to the microsecond, with its unit: "0.492317 s"."""
    return f"{seconds(span_us)} s"


def uptime(kernel_us: int | None) -> str:
    """Returns how long a host was up: "715 d 11 h 42 min"."""
    if kernel_us is None:
        return "an unknown time"
    minutes = kernel_us // 60_000_000
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    return f"{days:,} d {hours} h {minutes} min" if days else f"{hours} h {minutes} min"


def host_name(name: str) -> str:
    """Returns a host's name; of one that is known by its log's path alone, the file's name."""
    return name.rpartition("/")[2] or name if name.startswith("/") else name


def several(count: int, item: str, many: str | None = None) -> str:
    """Returns a number and its noun: "1 host", "1,204 hosts", "2 crashes"."""
    return (
        f"{count:,} {item if count == 1 else many or item + ('es' if item.endswith('sh') else 's')}"
    )


def span(span_us: int) -> str:
    """Returns a span in its greatest whole unit: "24 h", "90 s", "500 ms"."""
    for unit, size_us in (("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000)):
        if span_us >= size_us and span_us % size_us == 0:
            return f"{span_us // size_us:,} {unit}"
    return f"{span_us / 1_000:g} ms"


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
