"""Heads that syzkaller's list of formats knows (pkg/report/linux.go): each opens a report with the
title of its format.
"""

from __future__ import annotations

import pytest

from detector.crash import read
from tests.support.feeding import blocks
from tests.support.shipped import shipped

SKIP = shipped().lists["generic-functions"]
TRACE = (
    "Call Trace:",
    " dump_stack_lvl+0x5b/0x80",
    " frob_reset+0x1a/0x60 [frob]",
    " frob_ioctl+0x44/0x90 [frob]",
)
X86 = ("RIP: 0010:frob_reset+0x1a/0x60 [frob]", *TRACE)
HEADS: list[tuple[str, str, tuple[str, ...]]] = [
    ("BUG: KASAN: something odd", "KASAN: something odd", TRACE),
    ("BUG: KCSAN: racing reads", "KCSAN: racing reads", ()),
    ("BUG: unable to handle kernel ", "BUG: unable to handle kernel", X86),
    (
        "BUG: workqueue leaked atomic, lock or RCU: kworker/0:1[12]",
        "BUG: workqueue leaked lock or atomic in frob_work",
        ("     preempt=0x00000000 lock=0->1 RCU=0->0 workfn=frob_work",),
    ),
    (
        "Kernel panic - not syncing: corrupted stack end detected inside scheduler",
        "kernel panic: corrupted stack end in frob_reset",
        ("Call Trace:", " panic+0x1/0x2", " __schedule+0x1/0x2", *TRACE[2:]),
    ),
    (
        "Kernel panic - not syncing: kernel stack overflow",
        "kernel stack overflow in frob_reset",
        ("Call trace:", " panic+0x1/0x2", " handle_bad_stack+0x1/0x2", *TRACE[2:]),
    ),
    (
        "Kernel panic - not syncing: Fatal exception in interrupt",
        "kernel panic: Fatal exception",
        (),
    ),
    ("Kernel BUG [#1]", "kernel BUG in frob_reset", ("epc : frob_reset+0x1a/0x60 [frob]",)),
    (
        "kernel stack overflow (double-fault): 0000 [#1] PREEMPT SMP",
        "BUG: stack guard page was hit in frob_reset",
        X86,
    ),
    (
        "Alignment trap: not handling instruction e1bf1f9f at [<c0612a40>]",
        "Alignment trap in frob_reset",
        (
            "Unhandled fault: alignment exception (0x001) at 0xc0001a2b",
            "Internal error: : 1 [#1] SMP ARM",
            "PC is at frob_reset+0x1a/0x60 [frob]",
        ),
    ),
    (
        "Internal error: UBSAN: array index out of bounds: 00000000f2005512 [#1] SMP",
        "Internal error in frob_reset",
        ("pc : frob_reset+0x1a/0x60 [frob]",),
    ),
]


@pytest.mark.parametrize(("head", "title", "rest"), HEADS, ids=lambda item: str(item)[:40])
def test_title(head: str, title: str, rest: tuple[str, ...]) -> None:
    """One report, and its title."""
    texts = (head, *rest)
    log = "\n".join(f"[  100.{place:06}] {text}" for place, text in enumerate(texts))
    (block,) = blocks(log)
    assert read(block, SKIP).title == title


def test_a_panic_that_was_made_of_a_warning() -> None:
    """The title is syzbot's, which names no function; the trace names who warned."""
    texts = (
        "Kernel panic - not syncing: panic_on_warn set ...",
        "Call Trace:",
        *(f" {name}+0x1/0x2" for name in ("dump_stack", "panic", "__warn", "invalid_op")),
        "RIP: 0010:frob_reset+0x1a/0x60",
        " frob_ioctl+0x44/0x90",
    )
    (block,) = blocks("\n".join(f"[  100.{place:06}] {text}" for place, text in enumerate(texts)))
    report = read(block, SKIP)
    assert report.title == "kernel panic: panic_on_warn set"
    assert report.function == "frob_reset"
