"""What is left of a report whose first lines are lost, and what is none."""

from __future__ import annotations

import pytest

from detector.crash import read
from tests.assemble.stream import FAULT, FAULT_TEXTS, assembler, feed, stored
from tests.support.feeding import blocks, parsed
from tests.support.shipped import shipped

SKIP = shipped().lists["generic-functions"]


def log_of(texts: tuple[str, ...]) -> str:
    """The texts as dmesg prints them."""
    return "\n".join(f"[  100.{place:06}] {text}" for place, text in enumerate(texts))


@pytest.mark.parametrize("lost", range(1, 7))
def test_a_report_without_its_first_lines(lost: int) -> None:
    """However many lines are gone: one report, and its function while a line names it."""
    (block,) = blocks(log_of(FAULT_TEXTS[lost:]))
    report = read(block, SKIP)
    assert report.function == "frob_lookup"
    if lost < 4:  # the oops line is left, or the lines that decode the fault
        assert report.title == "BUG: unable to handle kernel paging request in frob_lookup"
        assert block.head.cls == "memory-fault"
    else:
        assert block.head.signature == "kernel.rest-of-report"


@pytest.mark.parametrize(
    ("name", "first", "title"),
    [
        ("kasan-6.6", 2, "KASAN: bad access Read in frob_req_done"),
        ("lockdep-6.1", 4, "possible deadlock in frob_detach"),
        ("hung-task-6.1", 2, "INFO: task hung in frob_flush_queue"),
        ("x86_64-6.8", 1, "BUG: unable to handle kernel paging request in frob_ring_write"),
        ("x86_64-6.8", 6, "kernel report without its head in frob_ring_write"),
        ("arm-4.9", 3, "BUG: unable to handle kernel paging request in frob_gpio_read"),
        ("arm-4.9", 5, "kernel report without its head in frob_gpio_read"),
        ("ppc64le-6.6", 3, "BUG: unable to handle kernel NULL pointer dereference in frob_reset"),
        ("warning-6.17", 2, "kernel report without its head in frob_reserve"),
    ],
)
def test_heads_lost(name: str, first: int, title: str) -> None:
    """A line that only one kind of report prints, an exception's registers or the end mark tell of
    it.
    """
    rest = "\n".join(stored(name).splitlines()[first:])
    found = [read(block, SKIP).title for block in blocks(rest)]
    assert title in found


def test_a_memory_fault_by_its_address() -> None:
    """Without `Unable to handle …` the address in the block says whether it was a NULL pointer."""
    texts = (
        "Oops: 0000 [#1] SMP NOPTI",
        "CPU: 12 PID: 1663 Comm: frobd Not tainted 4.18.0-305.el8.x86_64 #1",
        "RIP: 0010:frob_lookup+0x5/0x120",
        "CR2: 0000000000000013",
    )
    (block,) = blocks(log_of(texts))
    report = read(block, SKIP)
    assert (block.head.cls, report.kind) == ("memory-fault", "memory-fault")
    assert report.title == "BUG: unable to handle kernel NULL pointer dereference in frob_lookup"
    assert report.fault_address == 0x13


@pytest.mark.parametrize(
    ("line", "cls"),
    [
        ("Internal error: Oops: 96000004 [#1] PREEMPT SMP", "memory-fault"),
        ("Internal error: Oops: 0000000086000005 [#1] SMP", "memory-fault"),
        ("Internal error: Oops: 817 [#1] SMP ARM", "memory-fault"),
        ("Internal error: Oops - BUG: 0 [#1] PREEMPT SMP", "oops"),
        ("Internal error: Oops: be000011 [#1] SMP", "oops"),
        ("Oops: Kernel access of bad area, sig: 11 [#1]", "memory-fault"),
        ("Oops: Exception in kernel mode, sig: 5 [#1]", "oops"),
        ("Oops [#1]", "memory-fault"),
        ("Oops - illegal instruction [#1]", "oops"),
        ("Unable to handle kernel paging request at virtual addr", "memory-fault"),
        ("Unable to handle kernel NULL poin", "memory-fault"),
    ],
)
def test_the_class_of_a_line_alone(line: str, cls: str) -> None:
    """An oops line says by itself whether a bad address was the cause: arm64 by the exception class
    of its ESR (0x20, 0x21, 0x24, 0x25), arm by a fault status, the others by their words.
    """
    (block,) = blocks(log_of((line,)))
    assert block.head.cls == cls


TRACE = ("Call Trace:", " <TASK>", " dump_stack_lvl+0x5b/0x80")
CALLERS = (" frob_reset+0x1a/0x60 [frob]", " frob_ioctl+0x44/0x90 [frob]", " </TASK>")

PRINTED_BY = [
    ("print_circular_bug.isra.0.cold", "lockdep", "possible deadlock in frob_reset"),
    ("print_deadlock_bug.cold", "lockdep", "possible deadlock in frob_reset"),
    ("print_usage_bug.part.0", "lockdep", "inconsistent lock state in frob_reset"),
    ("print_unlock_imbalance_bug", "lockdep", "bad unlock balance in frob_reset"),
    ("print_freed_lock_bug", "lockdep", "held lock freed in frob_reset"),
    ("lockdep_rcu_suspicious", "suspicious-rcu", "suspicious RCU usage in frob_reset"),
    ("__might_resched", "atomic-sleep", "BUG: call from a wrong context in frob_reset"),
    ("__schedule_bug", "atomic-sleep", "BUG: call from a wrong context in frob_reset"),
    (
        "check_preemption_disabled",
        "preemptible",
        "BUG: use of one CPU's data in preemptible code in frob_reset",
    ),
    ("spin_dump", "spinlock-bug", "BUG: lock misused or damaged in frob_reset"),
    ("bad_page", "bad-page", "BUG: Bad page state in frob_reset"),
    ("print_trailer", "slab", "BUG: slab object damaged in frob_reset"),
    ("kasan_report", "kasan", "KASAN: bad access in frob_reset"),
    ("__msan_warning", "kmsan", "KMSAN: uninitialised value in frob_reset"),
    ("ubsan_epilogue", "ubsan", "UBSAN: undefined-behaviour in frob_reset"),
    ("warn_slowpath_fmt", "warning", "WARNING in frob_reset"),
]


@pytest.mark.parametrize(("printer", "cls", "title"), PRINTED_BY)
def test_a_trace_says_by_its_frames_who_printed_it(printer: str, cls: str, title: str) -> None:
    """Nothing but a trace is left: a function that only prints reports names the kind."""
    trace = (*TRACE, f" {printer}+0x1e/0x2a", *CALLERS)
    (block,) = blocks(log_of(trace))
    report = read(block, SKIP)
    assert (block.head.cls, report.kind, report.title) == (cls, cls, title)
    assert block.lines == trace


@pytest.mark.parametrize(("printer", "cls", "title"), PRINTED_BY)
def test_a_frame_that_the_kernel_doubts_names_nothing(printer: str, cls: str, title: str) -> None:
    """What is left on a stack of an older call is no report (`? ` in every unwinder)."""
    assert blocks(log_of((*TRACE, f" ? {printer}+0x1e/0x2a", *CALLERS))) == []


@pytest.mark.parametrize(
    ("line", "cls", "title"),
    [
        ("frobd/811 is trying to acquire lock:", "lockdep", "possible deadlock in frob_reset"),
        (
            "frobd/811 [HC0[0]:SC0[2]:HE0:SE0] is trying to acquire:",
            "lockdep",
            "possible deadlock in frob_reset",
        ),
        (
            "the code is fine but needs lockdep annotation.",
            "lockdep",
            "INFO: trying to register non-static key in frob_reset",
        ),
        (
            "net/frob.c:12 suspicious rcu_dereference_check() usage!",
            "suspicious-rcu",
            "suspicious RCU usage in frob_reset",
        ),
        (
            "in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 31, name: frobd",
            "atomic-sleep",
            "BUG: call from a wrong context in frob_reset",
        ),
        (
            "caller is frob_reset+0x1a/0x60 [frob]",
            "preemptible",
            "BUG: use of one CPU's data in preemptible code in frob_reset",
        ),
        (
            " lock: 0xffff88006c122d00, .magic: dead4ead, .owner: frobd/5032, .owner_cpu: -1",
            "spinlock-bug",
            "BUG: lock misused or damaged in frob_reset",
        ),
        (
            "page dumped because: nonzero mapcount",
            "bad-page",
            "BUG: Bad page state in frob_reset",
        ),
        (
            "index 8 is out of range for type 'char [8]'",
            "ubsan",
            "UBSAN: undefined-behaviour in frob_reset",
        ),
        ("Read of size 4 by task frobd/4676", "kasan", "KASAN: bad access Read in frob_reset"),
        (
            "Memory state around the buggy address:",
            "kasan",
            "KASAN: bad access in frob_reset",
        ),
        (
            " Possible unsafe locking scenario:",
            "lockdep",
            "possible deadlock in frob_reset",
        ),
        (
            "  EC = 0x25: DABT (current EL), IL = 32 bits",
            "memory-fault",
            "BUG: unable to handle kernel paging request in frob_reset",
        ),
        ("Task dump for CPU 3:", "cpu-backtrace", "backtrace of CPUs, in frob_reset"),
        ("PGD 1d8d6a067 P4D 1d8d6a067 PUD 0", "memory-fault", None),
    ],
)
def test_a_line_that_one_kind_prints(line: str, cls: str, title: str | None) -> None:
    """The head is lost; the line after it says what kind of report it was, the trace where."""
    (block,) = blocks(log_of((line, *TRACE, *CALLERS)))
    report = read(block, SKIP)
    assert (block.head.cls, report.kind) == (cls, cls)
    assert report.function == "frob_reset"
    assert title is None or report.title == title


DUMPS = {
    "x86-modules": (
        "Modules linked in: frob(OE)",
        "CPU: 3 PID: 411 Comm: frobd Not tainted 6.1.0-example #1",
        "RIP: 0010:frob_reset+0x31/0x70 [frob]",
        "RSP: 0018:ffffb1c0c0a3be00 EFLAGS: 00000286 ORIG_RAX: ffffffffffffff13",
        "Call Trace:",
        " frob_ioctl+0x4e/0x80 [frob]",
    ),
    "x86-registers": (
        "RIP: 0010:frob_reset+0x31/0x70 [frob]",
        "FS:  00007f6b9af6b700(0000) GS:ffff8801db400000(0000) knlGS:0000000000000000",
        "Call Trace:",
        " frob_ioctl+0x4e/0x80 [frob]",
    ),
    "powerpc": (
        "NIP:  c000000000a1d2e0 LR: c000000000a1d2d4 CTR: c0000000008a8e90",
        "REGS: c0000000fffb3ac0 TRAP: 0300   Not tainted  (6.1.0-example)",
        "NIP [c000000000a1d2e0] frob_reset+0x31/0x70 [frob]",
        "Call Trace:",
        "[c0000000fffb3d60] [c000000000a1d2d4] frob_ioctl+0x4e/0x80 [frob]",
    ),
}
"""What is left of a dump of registers, by architecture."""


@pytest.mark.parametrize("name", DUMPS)
def test_registers_of_kernel_mode_are_the_rest_of_a_report(name: str) -> None:
    """No line says of what kind it was: that there was one is said, and where."""
    (block,) = blocks(log_of(DUMPS[name]))
    report = read(block, SKIP)
    assert block.head.cls == "report-rest"
    assert report.title == "kernel report without its head in frob_reset"
    assert block.lines == DUMPS[name]


def test_a_frame_far_below_still_says_the_kind() -> None:
    """The list of modules opens the rest of a warning; its trace says that it was one."""
    texts = ("Modules linked in: frob", *TRACE, " warn_slowpath_null+0x1c/0x24", *CALLERS)
    (block,) = blocks(log_of(texts))
    report = read(block, SKIP)
    assert (report.kind, report.title) == ("warning", "WARNING in frob_reset")


@pytest.mark.parametrize(
    ("frame", "cls", "title"),
    [
        ("rwsem_down_write_slowpath", "waiting-task", None),
        ("mutex_lock_nested", "waiting-task", None),
        ("register_lock_class", "lockdep", None),
        ("debug_smp_processor_id", "preemptible", None),
        ("rcu_sched_clock_irq", "rcu-stall", None),
    ],
)
def test_what_else_a_frame_tells(frame: str, cls: str, title: str | None) -> None:
    """A panic's own trace, a sleep that nothing interrupts, and more who print."""
    (block,) = blocks(log_of((*TRACE[:2], f" {frame}+0x1e/0x2a", *CALLERS)))
    report = read(block, SKIP)
    assert block.head.cls == cls
    assert title in (None, report.title)
    assert blocks(log_of((*TRACE[:2], f" ? {frame}+0x1e/0x2a", *CALLERS))) == []


def test_a_panic_by_its_frame() -> None:
    """Where frames have addresses; without, a command line's `panic=` would be looked at."""
    texts = ("Call Trace:", " [<ffffffff816ab4e3>] panic+0x1e4/0x3ef", " frob_reset+0x1/0x2")
    (block,) = blocks(log_of(texts))
    assert read(block, SKIP).title == "kernel panic in frob_reset"


def test_a_data_race_without_its_head() -> None:
    """KCSAN's frames follow without a line that announces them."""
    text = "write to 0xffff8881001cb1e8 of 4 bytes by task 4926 on cpu 0:"
    (block,) = blocks(log_of((text, " frob_reset+0x1a/0x60", " frob_ioctl+0x44/0x90")))
    assert read(block, SKIP).title == "KCSAN: race in frob_reset"


def test_the_end_of_a_panic_alone() -> None:
    """Its last line repeats what it said first."""
    end = "---[ end Kernel panic - not syncing: Fatal exception in interrupt ]---"
    (block,) = blocks(log_of(("Kernel Offset: 0x2a000000 from 0xffffffff81000000", end)))
    assert block.head.cls == "panic"
    assert read(block, SKIP).title == "kernel panic: Fatal exception"


def test_within_a_report_they_are_its_lines() -> None:
    """Beside their head the same lines are no matches of their own, and open nothing."""
    (block,) = blocks(FAULT)
    assert (block.head.signature, block.lines) == ("kernel.paging-request", FAULT_TEXTS)


def test_a_trace_that_was_asked_for_is_no_fault() -> None:
    """A sysrq or a driver prints registers and a trace without a head and without an end mark."""
    texts = (
        "sysrq: Show backtrace of all active CPUs",
        "NMI backtrace for cpu 0",
        "CPU: 0 PID: 12 Comm: frobd Not tainted 6.1.0 #1",
        "RIP: 0010:frob_idle+0xb/0x10",
        "RSP: 0018:ffffb0a2c3b2fc80 EFLAGS: 00000246",
        "Call Trace:",
        " <TASK>",
        " frob_idle+0x1/0x2",
        " </TASK>",
        "eth0: link up",
    )
    assert blocks(log_of(texts)) == []


def test_an_end_mark_alone() -> None:
    """It tells that there was a report, and of no function."""
    (block,) = blocks(log_of(("eth0: link up", FAULT_TEXTS[-1])))
    assert (block.head.cls, read(block, SKIP).function) == ("report-rest", None)


def test_what_is_followed_without_a_head_is_bounded() -> None:
    """Chatter ends it, and so does silence."""
    watch = assembler()
    feed(watch, parsed(log_of(("Call trace:", " frob_lookup+0xac/0x2a8"))))
    assert watch.following
    assert watch.tick(10_000_000) == []
    assert not watch.following
