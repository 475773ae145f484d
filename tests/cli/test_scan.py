"""What a scan collects, and how it says it."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import pytest
from click.testing import CliRunner

from detector.cli import oopswatch
from detector.cli.scan import ScanFindings
from detector.cli.terminal import shown_host
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


@pytest.mark.parametrize(
    ("host", "shown"),
    [("db-17", "db-17"), ("/var/log/kern.log", "kern.log (names no host)"), ("logs/0", "logs/0")],
)
def test_a_host_without_a_name(host: str, shown: str) -> None:
    """A path is shown by the file's name alone; the history keeps the whole."""
    assert shown_host(host) == shown


def test_the_headline_of_a_log_that_names_no_host(tmp_path: Path) -> None:
    """Short enough to be read, and without the folder."""
    path = tmp_path / "vmcore-dmesg.txt"
    path.write_text(
        "[  100.000000] IPv4: Attempt to release TCP socket in state 10 00000000f7fb3e79\n"
        "[  100.500000] Unable to handle kernel paging request at virtual address 0001950b\n"
    )
    said = CliRunner().invoke(oopswatch, ["scan", str(path)]).output
    headline = next(line for line in said.splitlines() if line.startswith("[critical] "))
    assert "] vmcore-dmesg.txt (names no host): " in headline
    assert str(tmp_path) not in headline
