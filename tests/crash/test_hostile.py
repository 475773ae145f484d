"""Lines are written by whoever crashes: the reader takes anything, in bounded time."""

from __future__ import annotations

import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.crash import fingerprint, read
from detector.model import Block, Boot, Match
from tests.support.shipped import shipped

FOLDER = Path(__file__).parent / "blocks"
REAL = sorted(
    {
        line
        for path in FOLDER.glob("*.log")
        for line in path.read_text(encoding="utf-8").splitlines()
    }
)
PIECES = [
    "BUG: ",
    "KASAN: ",
    " in ",
    "WARNING: ",
    " at ",
    "CPU: 0 PID: 1 Comm: ",
    "Not tainted ",
    "RIP: 0010:",
    "+0x1/0x2",
    "Call Trace:",
    "at: ",
    "[<",
    ">]",
    "\x00",
    "Code: ",
]
lines = st.one_of(
    st.sampled_from(REAL),
    st.text(max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
)


def block(texts: list[str]) -> Block:
    """A block of any lines."""
    head = Match(
        "kernel.test",
        "memory-fault",
        "kernel",
        "critical",
        texts[0] if texts else "",
        {},
        "log",
        1,
        "web01",
        Boot(),
        None,
        None,
    )
    return Block(head, tuple(texts), complete=False)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(lines, max_size=40))
def test_any_lines_are_read(texts: list[str]) -> None:
    """No lines make the reader raise; numbers are numbers, and what it names it has read there."""
    skip = shipped().lists["generic-functions"]
    report = read(block(texts), skip)
    assert fingerprint(report, skip).startswith("1:")
    if report.function is not None:
        assert any(report.function in text for text in texts) or report.function in {
            "synchronize_rcu",
            "smp_call_function",
        }
    assert report.code_mark is None or report.code_mark < len(report.code)


def test_lines_made_to_cost_time() -> None:
    """The longest block of lines that repeat what the patterns look for is read within a second or
    so.
    """
    skip = shipped().lists["generic-functions"]
    heads = [
        "WARNING: mm/" + "mm/a.c:1 at " * 80,
        "WARNING: " + "at a.b:1 " * 110,
        "BUG: KASAN: a in " + "x" * 1000,
        "Oops: " * 170,
    ]
    fillers = [
        " at x, CPU#1: /1" * 64,
        "(" * 1024,
        "a.c:1 " * 170,
        "[<" + "f" * 1000,
        "Comm: " + "Not tainted 1." * 70,
        "\n" * 3 + "Read" * 250,
        "from [<" * 140,
    ]
    started = time.process_time()
    for head in heads:
        for filler in fillers:
            read(block([head, *[filler] * 60]), skip)
    assert time.process_time() - started < 1.5 * len(heads) * len(fillers)
