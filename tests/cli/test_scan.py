"""What a scan collects, and how it says it."""

from __future__ import annotations

from time import perf_counter

from detector.cli.scan import ScanFindings
from detector.noise import NoiseCount


def row(process: str, hour: int, count: int = 1) -> NoiseCount:
    """One hour's count of a program on one host."""
    return NoiseCount(
        "kern.log", "db-1", process, "user.x86-segfault", hour, count, hour, hour + 5, None, None
    )


def test_noise_is_folded_over_batches_and_hours() -> None:
    """One row for each program, with all its crashes and the whole span."""
    found = ScanFindings()
    for rows in ([row("a", 0), row("b", 0)], [], [row("a", 3600, 2)]):
        found.hooks().noise(rows)
    assert [(one.process, one.count, one.first_us, one.last_us) for one in found.noise()] == [
        ("a", 3, 0, 3605),
        ("b", 1, 0, 5),
    ]


def test_a_batch_costs_what_it_brings() -> None:
    """Millions of programs in a long log: what is known already is not folded again with each
    batch.
    """
    found = ScanFindings()
    begun = perf_counter()
    for batch in range(3_000):
        found.hooks().noise([row(f"p{batch}-{number}", 0) for number in range(10)])
    assert perf_counter() - begun < 5
    assert len(found.noise()) == 30_000
