"""What holds for any lines: nothing raises, bounds hold, a block's lines are a sub-sequence of what
came in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.assemble import Assembler, AssemblyLimits
from detector.model import Block, Line
from tests.assemble.stream import FAULT_TEXTS, called, shifted, stored, texts
from tests.support.feeding import assembled, blocks, found, opening, parsed

TEXTS = [
    *FAULT_TEXTS,
    "refcount_t: underflow; use-after-free.",
    "WARNING: CPU: 2 PID: 5512 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110",
    "BUG: KASAN: slab-use-after-free in frob_req_done+0x8c/0x110 [frob]",
    "=" * 66,
    "INFO: task frob:7712 blocked for more than 120 seconds.",
    "Sending NMI from CPU 1 to CPUs 0:",
    "** replaying previous printk message **",
    "Kernel panic - not syncing: Fatal exception",
    "---[ end Kernel panic - not syncing: Fatal exception ]---",
    "polipo[1657]: unhandled level 3 translation fault (11) at 0xffffcd912fe0, esr 0x92000047",
    "PC is at 0xaaaad8a9473c",
    "Linux version 6.6.0-example (build@example)",
    "",
]
LIMITS = AssemblyLimits(lines=12, size=400, per_host=2, in_all=3)

streams = st.lists(
    st.builds(
        Line,
        text=st.one_of(st.sampled_from(TEXTS), st.text(max_size=20)),
        source=st.sampled_from(["a", "b"]),
        number=st.integers(1, 10**6),
        host=st.sampled_from(["web01", "web02", "db1"]),
        transport=st.just("dmesg"),
        kernel_time_us=st.one_of(st.none(), st.integers(0, 30_000_000)),
        wall_time_us=st.one_of(st.none(), st.integers(0, 30_000_000)),
        trust=st.sampled_from(["kernel", "unknown", "user"]),
        caller=st.sampled_from([None, "T1", "T2", "C0", "C1"]),
        continuation=st.just(False),
    ),
    max_size=60,
)


def steps(watch: Assembler, lines: list[Line]) -> Iterator[list[Block]]:
    """The blocks that each line closes, a tick now and then between them."""
    for place, line in enumerate(lines):
        yield watch.feed(line, found(watch, line), place * 300_000)
        if place % 7 == 0:
            yield watch.tick(place * 300_000)


def is_subsequence(part: tuple[str, ...], whole: list[str]) -> bool:
    """Whether `part` comes in this order in `whole`."""
    rest = iter(whole)
    return all(text in rest for text in part)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(streams)
def test_any_lines(lines: list[Line]) -> None:
    """Any lines in any order: bounds hold at each step, and every block is made of its host's
    lines, in their order, from its head on, or around it where the first lines were lost.
    """
    watch, closed = Assembler(opening(), LIMITS), []
    for blocks_now in steps(watch, lines):
        closed += blocks_now
        assert len(watch.open_blocks()) <= LIMITS.in_all
        assert watch.following or not watch.open_blocks()
        for opened in watch.open_blocks():
            assert len(opened.lines) < LIMITS.lines
    closed += watch.flush()
    assert not watch.following
    assert (
        watch.counts["opened"]
        == len(closed)
        == watch.counts["complete"] + watch.counts["incomplete"]
    )
    for block in closed:
        came = [
            line.text for line in lines if line.host == block.head.host and line.trust != "user"
        ]
        assert is_subsequence(block.lines, came)
        if opening()[block.head.signature] == "rest" or block.head.cls == "panic":
            assert block.head.text in block.lines  # it took in what came before, without a head
        else:
            assert block.lines[0] == block.head.text
        assert len(block.lines) <= LIMITS.lines


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.permutations([0] * 37 + [1] * 18))
def test_any_interleaving_with_callers(order: list[int]) -> None:
    """However two contexts take turns, with caller ids each gives the block that it gives alone."""
    logs = [
        called(stored("arm64-6.6"), "T3083"),
        called(shifted(stored("x86_64-6.14-gpf"), -181), "C1"),
    ]
    apart = sorted(texts(blocks(logs[0])) + texts(blocks(logs[1])))
    rows = [iter(parsed(log)) for log in logs]
    assert sorted(texts(assembled([next(rows[which]) for which in order]))) == apart


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.booleans(), min_size=20, max_size=20))
def test_any_copying(doubled: list[bool]) -> None:
    """Whichever lines a second transport ships as well, however late within the report, the block
    is the same.
    """
    lines = parsed(
        "\n".join(f"[  100.{place:06}] {text}" for place, text in enumerate(FAULT_TEXTS))
    )
    copies = [replace(line, source="other") for line in lines]
    held: list[Line] = []
    rows: list[Line] = []
    for line, copy, now, later in zip(lines, copies, doubled[:10], doubled[10:], strict=True):
        rows.append(line)
        held += [copy] if now else []
        if later:
            rows += held
            held = []
    (block,) = assembled(rows)
    assert block.lines == FAULT_TEXTS
