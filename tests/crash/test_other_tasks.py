"""What a block says of other tasks is not mixed into the one that crashed."""

from __future__ import annotations

import pytest

from detector import crash
from detector.crash.facts import facts
from detector.crash.frames import trace
from detector.model import Block, CrashReport
from tests.support.crashes import match


def test_pid_and_name_are_of_one_task():
    """A warning's head names CPU and pid; a header of another CPU in between names another task."""
    said = facts(
        (
            "WARNING: CPU: 1 PID: 1798 at lib/demo.c:287 demo_put+0x16a/0x250",
            "CPU: 0 PID: 26531 Comm: other Not tainted 4.14.90+ #1",
            "CPU: 1 PID: 1798 Comm: kworker/1:2 Not tainted 4.14.90+ #1",
        )
    )
    assert (said.cpu, said.pid, said.comm) == (1, 1798, "kworker/1:2")
    assert said.kernel == "4.14.90+"


def test_the_trace_of_rcus_own_thread_is_not_that_of_the_stall():
    """RCU shows its own thread first where that starves."""
    lines = (
        "rcu: RCU grace-period kthread stack dump:",
        "rcu_sched       R23480    10      2 0x80000000",
        "Call Trace:",
        " rcu_gp_kthread+0x743/0x1d20",
        "NMI backtrace for cpu 1",
        "CPU: 1 PID: 4356 Comm: demo Not tainted 4.18.0 #31",
        "Call Trace:",
        " demo_ioctl+0x1d3/0x870",
    )
    assert [frame.function for frame in trace(lines)] == ["demo_ioctl"]


def test_the_program_counter_is_kept_beside_the_guilty_function():
    """A copy that faults for its caller: both are known, and the block's own lines."""
    lines = (
        "BUG: unable to handle page fault for address: ffffc90000eb0000",
        "RIP: 0010:memcpy_erms+0x6/0x10",
        "Call Trace:",
        " demo_copy+0x2b/0x700",
        "RIP: 0033:0x7f05b4e6ec7d",
    )
    block = Block(match(lines[0], "memory-fault"), lines, True)
    report = crash.read(block, frozenset({"memcpy_erms"}))
    assert (report.function, report.pc and report.pc.function) == ("demo_copy", "memcpy_erms")
    assert report.lines == lines


def test_a_program_counter_without_a_symbol_is_none():
    """A jump to nowhere is at no function, whatever a later dump says."""
    lines = ("RIP: 0010:0x0", "Call Trace:", " demo+0x1/0x2", "RIP: 0010:later+0x1/0x2")
    assert crash.read(Block(match(lines[0], "memory-fault"), lines, True)).pc is None


def test_the_trace_behind_rcus_own_thread_needs_no_head():
    """arm prints the stalled CPU's frames without a line above; RCU's thread has one."""
    lines = (
        "rcu: RCU grace-period kthread stack dump:",
        "task:rcu_sched       state:R  running task     stack:    0 pid:   10 ppid:     2",
        "Backtrace:",
        "[<801c2674>] (rcu_gp_kthread) from [<8016e220>] (kthread+0x174/0x18c)",
        "NMI backtrace for cpu 0",
        "CPU: 0 PID: 1760 Comm: demo Not tainted 5.10.2 #10",
        "(demo_poll) from [<80110ce4>] (demo_ioctl+0x20/0x24)",
    )
    assert [frame.function for frame in trace(lines)] == ["demo_poll", "demo_ioctl"]


WARNED = (
    (
        "WARNING: CPU: 1 PID: 1798 at drivers/demo.c:40 demo_put+0x16a/0x250",
        "Kernel panic - not syncing: panic_on_warn set ...",
        "CPU: 1 PID: 1798 Comm: kworker/1:2 Not tainted 4.15.0 #1",
    ),
    (
        "WARNING: drivers/demo.c:40 at demo_put+0x16a/0x250, CPU#1: kworker/1:2/1798",
        "CPU: 1 UID: 0 PID: 1798 Comm: kworker/1:2 Not tainted 6.18.0 #1 PREEMPT",
    ),
)
OTHER = (
    "CPU: 0 PID: 26531 Comm: other Not tainted 4.15.0 #1",
    "RIP: 0010:other_fault+0x4/0x10",
    "RAX: 00000000000001f4 RBX: 00000000001606f0 RCX: 0000000000000001",
    "Call Trace:",
    " other_ioctl+0x3ea/0x510",
    "Code: 0f 1f 80 00 00 00 00 55 48 89 e5 <0f> 22 e7 5d c3 0f 1f 80",
)


@pytest.mark.parametrize("warned", WARNED, ids=("4.15", "6.18"))
def test_a_warning_is_not_read_from_what_another_cpu_printed(warned: tuple[str, ...]) -> None:
    """Two CPUs print at once; the warning's own trace is lost, its function stands in its head."""
    lines = (*warned, "Call Trace:", *OTHER)
    report = crash.read(Block(match(lines[0], "warning"), lines, True))
    assert report.function == "demo_put"
    assert (report.pc, report.frames, report.registers, report.code) == (None, (), {}, ())


@pytest.mark.parametrize("warned", WARNED, ids=("4.15", "6.18"))
def test_a_warnings_own_dump_is_read_behind_that_of_another_task(warned: tuple[str, ...]) -> None:
    """What another task printed first takes nothing from the warning's trace."""
    own = (*warned[1:], "Call Trace:", " demo_put+0x16a/0x250", " demo_close+0x10/0x40")
    lines = (warned[0], *OTHER, *own)
    report = crash.read(Block(match(lines[0], "warning"), lines, True))
    assert [frame.function for frame in report.frames] == ["demo_put", "demo_close"]
    assert report.function == "demo_put"


def test_a_task_that_moved_to_another_cpu_is_the_same() -> None:
    """The head is printed before the dump: in between the task may be moved."""
    lines = (
        *WARNED[0][:2],
        WARNED[0][2].replace("CPU: 1", "CPU: 0"),
        "Call Trace:",
        " demo+0x1/0x2",
    )
    report = crash.read(Block(match(lines[0], "warning"), lines, True))
    assert [frame.function for frame in report.frames] == ["demo"]


def test_idle_tasks_of_two_cpus_are_two() -> None:
    """Each CPU has a task with pid 0."""
    lines = (
        "WARNING: CPU: 1 PID: 0 at drivers/demo.c:40 demo_put+0x16a/0x250",
        "CPU: 0 PID: 0 Comm: swapper/0 Not tainted 4.15.0 #1",
        "Call Trace:",
        " other+0x1/0x2",
    )
    report = crash.read(Block(match(lines[0], "warning"), lines, True))
    assert (report.function, report.frames) == ("demo_put", ())


def test_the_traps_own_handlers_do_not_warn() -> None:
    """arm64 to 4.x shows its BRK path above the frame that warned (arch/arm64/kernel/traps.c)."""
    lines = (
        "WARNING: CPU: 0 PID: 16 at drivers/demo.c:215 demo_call32+0x220/0x240",
        "Kernel panic - not syncing: panic_on_warn set ...",
        "CPU: 0 PID: 16 Comm: kworker/0:2 Not tainted 4.9.22 #15",
        "Call trace:",
        "[<ffff20000832d678>] panic+0x208/0x3e0",
        "[<ffff200008092278>] bug_handler+0x48/0x68",
        "[<ffff200008085c3c>] brk_handler+0x1e4/0x2e0",
        "[<ffff2000093a2fc8>] demo_work+0xd8/0x180",
    )
    report = crash.read(Block(match(lines[0], "warning"), lines, True), frozenset({"panic"}))
    assert (report.function, report.offset) == ("demo_call32", 0x220)


STALL = (
    "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "rcu: \tTasks blocked on level-0 rcu_node (CPUs 0-1): P31/1:b..l",
    "\t(detected by 1, t=10502 jiffies, g=4905, q=28)",
    "task:frob            state:R  running task     stack:24880 pid: 1768 ppid:  1337 flags:0x4000",
    "Call Trace:",
    " __schedule+0x911/0x21b0",
    " asm_sysvec_apic_timer_interrupt+0x12/0x20",
    " frob_read+0x1d4/0x5d0",
    " vfs_read+0x1c/0x80",
    "task:kworker/u4:0    state:R  running task     stack:25072 pid:   31 ppid:     2 flags:0x4000",
    "Call Trace:",
    " __schedule+0x911/0x21b0",
    " asm_sysvec_apic_timer_interrupt+0x12/0x20",
    " demo_work+0x675/0x920",
    " process_one_work+0x1c/0x80",
    "rcu: Stack dump where RCU GP kthread last ran:",
    "NMI backtrace for cpu 1",
    "CPU: 1 PID: 1790 Comm: other Not tainted 5.12.0-rc6 #0",
    "Call Trace:",
    " dump_stack+0x141/0x1d7",
    " asm_sysvec_apic_timer_interrupt+0x12/0x20",
    " frob_write+0x1c/0x80",
    " vfs_write+0x1c/0x80",
)


def stall(*lines: str) -> CrashReport:
    """The report of an RCU stall."""
    block = Block(match(lines[0], "rcu-stall"), lines, False)
    return crash.read(block, frozenset({"__schedule", "dump_stack"}))


def test_a_stalls_task_is_the_one_whose_dump_names_the_function():
    """CPU, pid and name come from one dump; what its head does not say stays open."""
    report = stall(*STALL)
    assert report.function == "frob_read"
    assert (report.cpu, report.pid, report.comm) == (None, 1768, "frob")
    report = stall(*STALL[:3], *STALL[9:])
    assert (report.function, report.cpu, report.pid) == ("demo_work", None, 31)
    report = stall(*STALL[:3], *STALL[15:])
    assert (report.function, report.cpu, report.pid, report.comm) == (
        "frob_write",
        1,
        1790,
        "other",
    )
    assert report.kernel == "5.12.0-rc6"


@pytest.mark.parametrize(
    ("heads", "cpu"), [(("Task dump for CPU 3:",), 3), ((), None)], ids=["cpu", "no cpu"]
)
def test_a_task_shown_by_an_older_kernel(heads, cpu):
    """sched_show_task() to 5.8; dump_cpu_task() names the CPU in the line above."""
    lines = (
        *STALL[:3],
        *heads,
        "frob:1          R  running task    21280  7720   5511 0x00000000",
        "Call Trace:",
        " apic_timer_interrupt+0xf/0x20",
        " frob_read+0x1d4/0x5d0",
        " vfs_read+0x1c/0x80",
        "CPU: 1 PID: 1790 Comm: other Not tainted 4.18.0 #0",
    )
    report = stall(*lines)
    assert (report.cpu, report.pid, report.comm) == (cpu, 7720, "frob:1")


def test_a_stalls_frame_without_the_head_of_a_dump_has_no_task():
    """What a later dump's head says is not of it."""
    report = stall(*STALL[:3], *STALL[4:9], *STALL[16:])
    assert (report.function, report.cpu, report.pid, report.comm) == (
        "frob_read",
        None,
        None,
        None,
    )


def test_a_failed_allocations_head_names_its_task():
    """warn_alloc() prints current->comm first: another task's line in between is not of it."""
    said = facts(
        (
            "frob: vmalloc: allocation failure: 17179869184 bytes, mode:0x14080c0(GFP_KERNEL)",
            "CPU: 1 PID: 5953 Comm: other Not tainted 4.15.0+ #222",
        )
    )
    assert (said.cpu, said.pid, said.comm, said.kernel) == (None, None, "frob", "4.15.0+")
    said = facts(
        (
            "frob: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP)",
            "CPU: 1 PID: 5953 Comm: other Kdump: loaded Not tainted 4.15.0+ #222",
            "CPU: 0 PID: 5955 Comm: frob Kdump: loaded Not tainted 4.15.0+ #222",
        )
    )
    assert (said.cpu, said.pid, said.comm) == (0, 5955, "frob")


@pytest.mark.parametrize(
    "held",
    ["1 lock held by other/5953:", "no locks held by other/5953.", "2 locks held by other/5953:"],
)
def test_lockdeps_list_names_the_task_that_holds(held):
    """lockdep_print_held_locks(current) stands before dump_stack()'s line."""
    lines = (
        "WARNING: suspicious RCU usage",
        "rcu_scheduler_active = 2, debug_locks = 1",
        held,
        "CPU: 0 PID: 5955 Comm: frob Not tainted 4.15.0+ #222",
    )
    said = facts(lines)
    assert (said.cpu, said.pid, said.comm) == (None, 5953, "other")
    said = facts(("BUG: workqueue lockup", "Showing all locks held in the system:", *lines[2:]))
    assert (said.cpu, said.pid, said.comm) == (0, 5955, "frob")
