"""The assembler: what opens, continues, ends and cuts a block, and its bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.assemble import AssemblyLimits
from detector.model import Line
from tests.assemble.stream import (
    FAULT,
    FAULT_TEXTS,
    assembler,
    called,
    feed,
    head_of,
    interleave,
    on_host,
    shifted,
    stored,
    texts,
)
from tests.support.feeding import blocks, matched, opening, parsed

SECOND = 1_000_000


def test_a_block_is_its_lines() -> None:
    """From the head to the end trace, verbatim."""
    (block,) = blocks("[   99.000000] eth0: link up\n" + FAULT + "[  100.000011] eth0: link down\n")
    assert block.lines == FAULT_TEXTS
    assert block.complete
    assert block.head.signature == "kernel.paging-request"


def test_following_only_while_open() -> None:
    """Every line is wanted while a report is open, and no longer."""
    watch = assembler()
    assert not watch.following
    feed(watch, parsed(FAULT))
    assert watch.following
    assert len(feed(watch, parsed("[  120.000000] eth0: link up"))) == 1
    assert not watch.following


def test_the_panic_belongs_to_its_cause() -> None:
    """A panic after the end trace is the report's last word, not a report of its own."""
    (block,) = blocks(
        FAULT
        + (
            "[  100.100000] Kernel panic - not syncing: Oops: Fatal exception\n[  100.100010] "
            "SMP: stopping secondary CPUs\n"
        )
    )
    assert block.lines[-2:] == (
        "Kernel panic - not syncing: Oops: Fatal exception",
        "SMP: stopping secondary CPUs",
    )
    assert block.complete


def test_a_panic_without_a_cause_is_a_report() -> None:
    """With nothing before it, the panic opens a report."""
    (block,) = blocks(
        "[    2.000000] Kernel panic - not syncing: VFS: Unable to mount root fs on "
        "unknown-block(0,0)\n[    2.000001] Call Trace:\n"
    )
    assert block.head.signature == "kernel.panic"


@pytest.mark.parametrize(
    "name",
    [
        "warning-5.15-refcount",
        "bug-list-5.10",
        "ppc64le-6.6",
        "s390x-3.12-bug",
        "x86_64-6.8",
        "arm-6.1",
        "warning-3.10",
    ],
)
def test_announcements_are_one_report(name: str) -> None:
    """`refcount_t:` and the WARNING after it, `kernel BUG at` and `invalid opcode`, a bad address
    and its Oops: one report.
    """
    found = blocks(stored(name))
    assert len(found) == 1
    heads = [
        match
        for _, match in matched(parsed(stored(name)))
        if match is not None and match.signature in opening() and match.cls != "report-within"
    ]
    assert len(heads) + name.count("3.10") > 1
    assert found[0].head.text == heads[0].text


def test_another_report_of_the_context_cuts_the_first() -> None:
    """A second head in the same context ends the first block, incomplete, and opens the next."""
    kasan = "\n".join(stored("kasan-6.6").splitlines()[1:8])
    found = blocks(kasan + "\n" + called(shifted(FAULT, 111), "T4411"))
    assert [(block.head.signature, block.complete) for block in found] == [
        ("kernel.kasan", False),
        ("kernel.paging-request", True),
    ]
    assert found[1].lines == FAULT_TEXTS


def test_two_callers_come_apart() -> None:
    """With caller ids, two faults that print at one time give the blocks that they give apart."""
    one, two = called(stored("arm64-6.6"), "T3083"), called(stored("x86_64-6.14-gpf"), "C1")
    two = shifted(two, -181)
    apart = texts(blocks(one)) + texts(blocks(two))
    assert sorted(texts(blocks(interleave(one, two)))) == sorted(apart)


def test_equal_lines_of_two_callers_are_no_copies() -> None:
    """Two CPUs that die in the same code at the same time print the same lines; both reports have
    all of theirs, on one transport and on two.
    """
    log = stored("arm64-6.6")
    one, two = called(log, "T4242"), called(log, "T77")
    whole = texts(blocks(one))
    assert texts(blocks(interleave(one, two))) == whole * 2
    lines = [line for pair in zip(parsed(one), parsed(two), strict=True) for line in pair]
    watch = assembler()
    twice = [each for line in lines for each in (line, replace(line, source="second"))]
    assert texts(feed(watch, twice) + watch.flush()) == whole * 2


def test_two_cpus_without_callers() -> None:
    """Without caller ids a line goes to the report that still lacks one of its kind; die()
    serialises the rest.
    """
    first, second = (
        FAULT_TEXTS,
        tuple(
            text.replace("0001950b", "ffffc04000004000").replace("swapper/12", "cat")
            for text in FAULT_TEXTS
        ),
    )
    order = [*first[:3], *second[:2], first[3], second[2], *first[4:], *second[3:]]
    found = blocks("\n".join(f"[  100.{place:06}] {text}" for place, text in enumerate(order)))
    assert texts(found) == [first, second]


def test_nmi_lets_other_cpus_in() -> None:
    """After `Sending NMI from CPU` the traces of other CPUs belong to the report; other tasks'
    lines do not.
    """
    log = (
        "[  500.300001][    C1] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n[  "
        "500.300002][    C0] not yet\n"
        "[  500.300003][    C1] Sending NMI from CPU 1 to CPUs 0:\n[  500.300004][    C0] "
        "NMI backtrace for cpu 0\n"
        "[  500.300005][  T88] other\n"
    )
    (block,) = blocks(log)
    assert block.lines[1:] == ("Sending NMI from CPU 1 to CPUs 0:", "NMI backtrace for cpu 0")


def test_hosts_are_apart() -> None:
    """Two hosts that crash at one time have a block each."""
    rows = [
        line
        for pair in zip(parsed(FAULT), on_host(parsed(FAULT), "web02"), strict=True)
        for line in pair
    ]
    watch = assembler()
    found = feed(watch, rows) + watch.flush()
    assert [(block.head.host, block.lines) for block in found] == [
        ("web01", FAULT_TEXTS),
        ("web02", FAULT_TEXTS),
    ]


def test_what_user_space_wrote_is_left_out() -> None:
    """A line that user space wrote is no part of a kernel report, whatever it says."""
    lines = parsed(FAULT)
    forged = replace(lines[5], text="pc : innocent+0x1/0x2", trust="user")
    watch = assembler()
    found = feed(watch, [*lines[:5], forged, *lines[5:]]) + watch.flush()
    assert texts(found) == [FAULT_TEXTS]


def test_a_user_fault_opens_nothing() -> None:
    """A match of origin user is noise: no block, nothing to follow."""
    watch = assembler()
    assert (
        feed(
            watch,
            parsed(
                "[  1.000000] polipo[1657]: unhandled level 3 translation fault (11) at "
                "0xffffcd912fe0, esr 0x92000047"
            ),
        )
        == []
    )
    assert not watch.following


def test_a_user_fault_breaks_into_a_report() -> None:
    """Its lines repeat the kernel's, and are kept out of the open report."""
    user = [
        "polipo[1657]: unhandled level 3 translation fault (11) at 0xffffcd912fe0, esr 0x92000047",
        "CPU: 1 PID: 1657 Comm: polipo Not tainted 5.10.0-28-arm64 #1",
        "PC is at 0xaaaad8a9473c",
        "pc : [<0000aaaad8a9473c>] lr : [<0000aaaad8a94700>] pstate: 60000000",
    ]
    order = [*FAULT_TEXTS[:6], *user, *FAULT_TEXTS[6:]]
    watch = assembler()
    found = (
        feed(
            watch,
            parsed("\n".join(f"[  100.{place:06}] {text}" for place, text in enumerate(order))),
        )
        + watch.flush()
    )
    assert texts(found) == [FAULT_TEXTS]
    assert not watch.following


def test_copies_are_folded() -> None:
    """A line that two consoles print, or two transports ship, is one line."""
    watch = assembler()
    doubled = [each for line in parsed(FAULT) for each in (line, line)]
    assert texts(feed(watch, doubled) + watch.flush()) == [FAULT_TEXTS]
    other = [replace(line, source="other") for line in parsed(FAULT)]
    watch = assembler()
    rows = [*parsed(FAULT)[:4], *other[:6], *parsed(FAULT)[4:], *other[6:]]
    assert texts(feed(watch, rows) + watch.flush()) == [FAULT_TEXTS]
    assert watch.counts["folded"] == 10


def test_a_report_shipped_once_more() -> None:
    """A source that begins anew, as a replayed partition does, repeats the head: the copy is folded
    line by line.
    """
    watch = assembler()
    assert texts(feed(watch, [*parsed(FAULT)[:7], *parsed(FAULT)]) + watch.flush()) == [FAULT_TEXTS]


def test_a_frame_may_repeat() -> None:
    """A recursion prints a frame many times; stamps differ, and all are kept."""
    log = FAULT.replace("[  100.000010]", "[  100.000009]  frob_lookup+0xac/0x2a8\n[  100.000010]")
    (block,) = blocks(log)
    assert block.lines.count(" frob_lookup+0xac/0x2a8") == 2


def test_pieces_are_joined() -> None:
    """A KERN_CONT piece continues the line before it."""
    lines = parsed(FAULT)
    piece = replace(lines[1], text=" and more", continuation=True)
    watch = assembler()
    (block,) = feed(watch, [*lines[:2], piece, *lines[2:]]) + watch.flush()
    assert block.lines == (FAULT_TEXTS[0], FAULT_TEXTS[1] + " and more", *FAULT_TEXTS[2:])


def test_a_replayed_line_replaces_the_cut_one() -> None:
    """`** replaying previous printk message **`: what was cut follows whole."""
    rows = FAULT.splitlines()
    (block,) = blocks(
        "\n".join([*rows[:4], rows[4][:30], "** replaying previous printk message **", *rows[4:]])
    )
    assert block.lines == FAULT_TEXTS


def test_a_replayed_head_replaces_the_cut_one() -> None:
    """A head that was cut on the console opens no report of its own."""
    whole = "[  100.000000] WARNING: CPU: 0 PID: 7 at kernel/frob.c:12 frob_check+0x1/0x20"
    (block,) = blocks(
        f"{whole[:-16]}\n** replaying previous printk message **\n{whole}\n[  100.000001] "
        "Call Trace:\n"
    )
    assert block.lines == (whole.split("] ")[1], "Call Trace:")
    assert block.head.text == whole.split("] ")[1]


def test_a_sanitiser_ends_at_its_bar() -> None:
    """KASAN prints no end trace: the closing bar is its end, and what follows is not in it."""
    (block,) = blocks(stored("kasan-6.6") + "[  210.400140][ T4411] frob: all is well\n")
    assert block.lines[-1] == "Disabling lock debugging due to kernel taint"
    assert block.complete


def test_a_gap_ends_a_report_without_a_mark() -> None:
    """A hung task's report is whole when its trace is there and something else comes long after."""
    (block,) = blocks(stored("hung-task-6.1") + "[ 1500.000000] eth0: link up\n")
    assert block.complete
    assert "eth0: link up" not in block.lines
    (cut,) = blocks(
        "\n".join(stored("hung-task-6.1").splitlines()[:2]) + "\n[ 1500.000000] eth0: link up\n"
    )
    assert not cut.complete


def test_hung_tasks_in_a_row() -> None:
    """Each task has its own report."""
    log = stored("hung-task-6.1")
    found = blocks(log + log.replace("writer:1", "writer:2").replace("[ 1450.120", "[ 1450.130"))
    assert [(len(block.lines), block.complete) for block in found] == [(15, True), (15, False)]


def test_a_hung_task_does_not_take_turns_with_the_one_before() -> None:
    """One thread prints all of them, one after another (khungtaskd): a trace with registers of user
    space behind it, then the next head.
    """
    task = (
        "INFO: task demo:{pid} blocked for more than 140 seconds.",
        "      Not tainted 4.19.0 #7",
        '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.',
        "demo            D29880  {pid}   2584 0x00000004",
        "Call Trace:",
        " schedule+0x77/0x1a0",
        " {wait}+0x1a7/0x320",
        " demo_transfer+0x24c/0x870",
        " demo_ioctl+0x275/0x750",
        " do_syscall_64+0xc2/0x500",
        " entry_SYSCALL_64_after_hwframe+0x49/0xbe",
        "RIP: 0033:0x465209",
        "RSP: 002b:00007fad04d8cc68 EFLAGS: 00000246 ORIG_RAX: 0000000000000010",
        "RAX: ffffffffffffffda RBX: 000000000051bf00 RCX: 0000000000465209",
        "R13: 00000000004e71b8 R14: 00000000004a9178 R15: 00007fad04d8d6bc",
    )
    rows = [
        line.format(pid=pid, wait=wait)
        for pid, wait in (
            (71, "rt_mutex_slowlock"),
            (72, "wait_for_completion"),
            (73, "io_schedule"),
        )
        for line in task
    ]
    log = "\n".join(f"[  284.{place:06}] {text}" for place, text in enumerate(rows))
    found = blocks(log)
    assert [len(block.lines) for block in found] == [len(task)] * 3
    assert [block.lines[6].split("+")[0].strip() for block in found] == [
        "rt_mutex_slowlock",
        "wait_for_completion",
        "io_schedule",
    ]


def test_one_head_that_was_unrolled_with_its_address_is_one_report() -> None:
    """KASAN's heads to 4.9 end in the address, behind the mark that a symbolizer adds."""
    found = blocks(
        "[  100.000001] BUG: KASAN: slab-out-of-bounds in demo_word lib/demo.c:30 [inline] "
        "at addr ffff8800b43494c0\n"
        "[  100.000002] BUG: KASAN: slab-out-of-bounds in demo_copy+0x1d/0x40 lib/demo.c:31 "
        "at addr ffff8800b43494c0\n"
        "[  100.000003] Read of size 1 by task demo/77\n"
        "[  100.000004] CPU: 1 PID: 77 Comm: demo Not tainted 4.6.0 #1\n"
        "[  100.000005] Call Trace:\n"
        "[  100.000006]  [<ffffffff8173f88d>] demo_copy+0x1d/0x40 lib/demo.c:31\n"
    )
    assert [len(block.lines) for block in found] == [6]


def test_a_full_table_of_lockdep_is_followed_by_a_trace() -> None:
    """print_lockdep_off() and dump_stack() in kernel/locking/lockdep.c."""
    (block,) = blocks(
        "[  100.000001] BUG: MAX_LOCKDEP_KEYS too low!\n"
        "[  100.000002] turning off the locking correctness validator.\n"
        "[  100.000003] CPU: 1 PID: 7 Comm: kworker/u4:0 Not tainted 5.4.0 #1\n"
        "[  100.000004] Call Trace:\n"
        "[  100.000005]  dump_stack+0x1d7/0x2f8\n"
        "[  100.000006]  register_lock_class+0x1c1/0x1e40\n"
        "[  100.000007]  demo_setup+0x1c1/0x1e40\n"
    )
    assert len(block.lines) == 7


def test_a_report_of_one_line_is_soon_done() -> None:
    """What the kernel repeats every ten seconds for hours does not keep every line followed for
    hours.
    """
    watch = assembler()
    feed(
        watch,
        parsed(
            "[  100.000000] unregister_netdevice: waiting for eth0 to become free. Usage count = 3"
        ),
    )
    (block,) = watch.tick(SECOND)
    assert block.complete
    assert not watch.following


def test_a_boot_ends_everything() -> None:
    """What was open when the host went down is cut by the banner of the next boot."""
    watch = assembler()
    feed(watch, parsed("\n".join(FAULT.splitlines()[:4])))
    (block,) = feed(
        watch,
        parsed("[    0.000000] Linux version 5.10.0-28-arm64 (debian-kernel@lists.debian.org)"),
    )
    assert not block.complete
    assert watch.counts["cut:boot"] == 1


def test_a_late_line_is_left_out() -> None:
    """A line from long before the head, delivered late, is no part of the report and does not end
    it.
    """
    rows = FAULT.splitlines()
    (block,) = blocks(
        "\n".join(
            [
                *rows[:5],
                "[   50.000000] CPU: 1 PID: 2 Comm: other Not tainted 5.10.0-28-arm64 #1",
                *rows[5:],
            ]
        )
    )
    assert block.lines == FAULT_TEXTS


def test_deadline() -> None:
    """A block that is cut, no line for `idle_us`, is emitted with what there is; one that never
    ends after `age_us`.
    """
    watch = assembler(AssemblyLimits(idle_us=5 * SECOND, age_us=20 * SECOND))
    feed(watch, parsed("\n".join(FAULT.splitlines()[:5])), now_us=SECOND)
    assert watch.tick(5 * SECOND) == []
    (block,) = watch.tick(6 * SECOND)
    assert (block.lines, block.complete) == (FAULT_TEXTS[:5], False)
    assert watch.tick(7 * SECOND) == []
    feed(watch, parsed(FAULT.splitlines()[0]), now_us=10 * SECOND)
    for second in range(11, 29):
        feed(
            watch,
            parsed(f"[  100.1000{second}] x{second} : 0000000000000000"),
            now_us=second * SECOND,
        )
        assert watch.tick(second * SECOND) == []
    assert len(watch.tick(30 * SECOND)) == 1


def test_an_ended_block_waits_less() -> None:
    """After the end mark only a panic may follow: the wait is `linger_us`, and the block stays
    complete.
    """
    watch = assembler(AssemblyLimits(idle_us=5 * SECOND, linger_us=SECOND))
    feed(watch, parsed(FAULT), now_us=0)
    (block,) = watch.tick(SECOND)
    assert block.complete


def test_bounds_of_a_block() -> None:
    """Lines and characters are bounded, and each bound is counted when it acts."""
    watch = assembler(AssemblyLimits(lines=4))
    (block,) = feed(watch, parsed(FAULT))[:1]
    assert (block.lines, block.complete, watch.counts["cut:lines"]) == (FAULT_TEXTS[:4], False, 1)
    watch = assembler(AssemblyLimits(size=120))
    (block,) = feed(watch, parsed(FAULT))[:1]
    assert (block.complete, watch.counts["cut:size"]) == (False, 1)


def test_bounds_of_all_blocks() -> None:
    """Open reports are bounded per host and in all: the oldest goes."""
    line, match = head_of(FAULT)
    watch = assembler(AssemblyLimits(per_host=3, in_all=5))
    closed = []
    for number in range(10):
        caller = f"T{number}"
        closed += watch.feed(
            replace(line, caller=caller, kernel_time_us=number), replace(match, caller=caller), 0
        )
    assert (len(closed), watch.counts["cut:per_host"], len(watch.open_blocks())) == (7, 7, 3)
    for number in range(6):
        host = f"db{number}"
        closed += watch.feed(replace(line, host=host), replace(match, host=host), 0)
    assert (watch.counts["cut:in_all"], len(watch.open_blocks())) == (4, 5)


def test_a_restart_in_the_middle() -> None:
    """What was open is opened again, and ends as it would have ended."""
    lines = parsed(FAULT)
    for cut in range(1, len(lines) + 1):
        before = assembler()
        feed(before, lines[:cut])
        after = assembler()
        after.restore(before.open_blocks(), now_us=0)
        assert after.following
        found = feed(after, lines[cut:]) + after.flush()
        assert [(block.lines, block.complete) for block in found] == [(FAULT_TEXTS, True)]


def test_without_stamps() -> None:
    """Lines that carry no time at all still make blocks."""
    watch = assembler()
    lines = [Line(text, "log", number, "web01", "dmesg") for number, text in enumerate(FAULT_TEXTS)]
    assert texts(feed(watch, lines) + watch.flush()) == [FAULT_TEXTS]


def test_the_page_tables_address_says_whose_report_goes_on() -> None:
    """Two CPUs announce their faults; the one whose page table is printed is the one that dies
    (arch/arm64/mm/fault.c show_pte, then die()).
    """
    log = """\
[  625.659654] Unable to handle kernel paging request at virtual address 000aa028
[  625.659773] Unable to handle kernel paging request at virtual address 000bb028
[  625.659777] pgd = ffffffc0e4139000
[  625.659782] [000bb028] *pgd=0000000000000000, *pud=0000000000000000
[  625.659788] Internal error: Oops: 96000005 [#1] SMP
[  625.659809] CPU: 1 PID: 709 Comm: frobd Not tainted 4.4.120 #1
[  625.659828] PC is at frob_remove+0x20/0x258
"""
    first, second = sorted(blocks(log), key=lambda block: block.head.number)
    assert first.lines == ("Unable to handle kernel paging request at virtual address 000aa028",)
    assert len(second.lines) == 6
    assert second.lines[0].endswith("000bb028")
    assert second.lines[1].startswith("pgd = ")
    assert second.lines[-1].startswith("PC is at")


WARNING = """[  105.200000] ------------[ cut here ]------------
[  105.200001] WARNING: CPU: 3 PID: 812 at net/demo/demo.c:442 demo_watchdog+0x25c/0x264
[  105.200002] Modules linked in: demo
[  105.200003] CPU: 3 PID: 812 Comm: app Not tainted 4.14.0 #1
[  105.200004] Call trace:
[  105.200005]  demo_watchdog+0x25c/0x264
[  105.200006]  demo_timer+0x30/0x150
[  105.200007] ---[ end trace 1234567890abcdef ]---
"""


def test_a_head_whose_block_was_lost_takes_no_later_warnings_trace() -> None:
    """What begins another report seconds later ends it; within milliseconds it may be its own."""
    head = "Unable to handle kernel paging request at virtual address 00013fcb"
    first, second = blocks(f"[  100.100000] {head}\n{WARNING}")
    assert first.lines == (head,)
    assert len(second.lines) >= 6
    assert "demo_watchdog" in "\n".join(second.lines)
