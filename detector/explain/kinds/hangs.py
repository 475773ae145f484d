"""Explains what does not come back: hung tasks, soft and hard lockups, stuck work queues.

In: a report whose head is a watchdog's. Out: statements; every number is the line's own. Formats:
kernel/hung_task.c (3.x to 6.18; the lines about an owner from 6.16 on), kernel/watchdog.c,
kernel/workqueue.c (4.x to 6.x), kernel/locking/lockdep.c debug_show_all_locks().
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence

from detector.crash.identity import base
from detector.explain.block_text import (
    distinctive,
    every,
    first,
    head_of,
    place,
    quoted,
    stack_after,
)
from detector.explain.host_facts import is_virtual
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Frame, Statement

_HUNG = lazy_regex(
    r"INFO: task (?P<comm>.{1,40}):(?P<pid>\d+) (?P<what>blocked(?: in I/O wait)?|can't die) for "
    r"more than (?P<seconds>\d+) seconds"
)
_OWNER = lazy_regex(
    r"INFO: task .{1,40}:(?P<waiter>\d+) (?:<\w+> )?(?:is )?blocked on an? "
    r"(?P<lock>mutex|semaphore|"
    r"rw-semaphore),? (?:likely (?:owned|last held) by task (?P<owner>.{1,40}):(?P<pid>\d+)"
    r"|but the (?:owner|last holder) is not found)"
)
_TASK = lazy_regex(r"task:(?P<comm>.{1,16}?) +state:(?P<state>\S) .*?\bpid: *(?P<pid>\d+)\b")
_OLD_TASK = lazy_regex(  # kernel/sched/core.c sched_show_task(), up to 5.8
    r"(?P<comm>.{1,16}?) +(?P<state>R) +running task +\d+ +(?P<pid>\d+) +\d+ 0x[0-9a-f]+"
)
_TRACE = lazy_regex(r"\s*Call [Tt]race\s*:")
_HOLDER = lazy_regex(r"(?P<count>\d+) locks? held by (?P<comm>.{1,40})/(?P<pid>\d+):")
_LOCK = lazy_regex(
    r" #(?P<depth>\d+): +(?P<address>[0-9a-f]{8,16}) "
    r"\((?P<name>[^{]{1,80}?)\)\{\S{3,4}\}(?:-\{\S+\})?,? "
    r"at: (?:\[<[0-9a-f]+>\] )?(?P<place>\S+)"
)
# Which wait a function is: prefixes of its name, innermost match wins. Sources: kernel/locking,
# kernel/sched/completion.c, mm/filemap.c, fs/buffer.c, net/sunrpc/sched.c, kernel/rcu/update.c.
_WAITS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("rpc_wait_bit_killable", "__rpc_execute", "nfs_wait_bit_killable"), "an NFS server's answer"),
    (("nfs4_wait_clnt_recover",), "the recovery of an NFS mount"),
    (("synchronize_rcu", "synchronize_srcu", "synchronize_net", "__wait_rcu_gp", "rcu_barrier"),
     "an RCU grace period"),
    (("jbd2_log_wait_commit", "jbd2_journal_commit_transaction", "wait_transaction_locked"),
     "the ext4 journal"),
    (("xlog_", "xfs_log_"), "the XFS log"),
    (("blk_mq_freeze_queue_wait", "blk_mq_get_tag", "__bio_queue_enter"), "a block device's queue"),
    (("io_schedule", "wait_on_page_bit", "folio_wait_bit", "__wait_on_buffer", "bit_wait_io",
      "submit_bio_wait"), "I/O"),
    (("percpu_down_write", "__percpu_down_read", "percpu_rwsem_wait"), "a per-CPU rw-semaphore"),
    (("rwsem_down_", "__down_read", "__down_write", "down_read", "down_write", "call_rwsem_down"),
     "an rw-semaphore"),
    (("mutex_lock", "__mutex_lock", "__ww_mutex_lock", "rt_mutex_slowlock"), "a mutex"),
    (("__flush_work", "flush_work", "__cancel_work", "flush_workqueue"), "a work item to end"),
    (("__down", "down"), "a semaphore"),
    (("wait_for_completion", "__wait_for_common", "wait_for_common", "do_wait_for_common"),
     "a completion that another task or an interrupt has to signal"),
)  # fmt: skip
# Names of kernel/hung_task.c debug_show_blocker() → the wait in words.
_LOCKS = {"mutex": "a mutex", "semaphore": "a semaphore", "rw-semaphore": "an rw-semaphore"}
_OF_NO_KIND = ("I/O", "a completion that another task or an interrupt has to signal")
_SOFT = lazy_regex(
    r"(?:\S+ )?(?:\S+ )?BUG: soft lockup[ -]*(?:CPU#(?P<cpu>\d+),? stuck for (?P<seconds>\d+)s! "
    r"\[(?P<comm>.*):(?P<pid>\d+)\])?"
)
_TRACED = lazy_regex(r"CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: \d+ Comm: ")
_HARD = lazy_regex(
    r".*(?:hard LOCKUP on cpu|LOCKUP on CPU|Hard LOCKUP)\D{0,3}(?P<cpu>\d+)?", re.IGNORECASE
)
_POOL = lazy_regex(r".*workqueue lockup - pool(?P<pool>.*?) stuck for (?P<seconds>\d+)s!")
_FLIGHT = lazy_regex(r"\s+in-flight: (?P<pid>\d+)\S*:(?P<function>[\w.]+)")
_SPINS = ("queued_spin_lock_slowpath", "native_queued_spin_lock_slowpath", "_raw_spin_lock",
          "do_raw_spin_lock", "__raw_spin_lock", "queued_write_lock_slowpath",
          "queued_read_lock_slowpath", "__pv_queued_spin_lock_slowpath",
          "pv_native_safe_halt_spin", "ticket_spin_lock", "__ticket_spin_lock",
          "arch_spin_lock", "spin_lock")  # fmt: skip
_CROSS_CALLS = ("smp_call_function", "csd_lock_wait", "on_each_cpu", "generic_exec_single")
SNAPSHOT = (
    " The trace shows where that CPU was when it was looked at, not necessarily where the fault is."
)


def snapshot(report: CrashReport) -> str:
    """The warning that a watchdog's trace is a snapshot; "" where there is no trace."""
    return SNAPSHOT if report.frames or report.pc is not None else ""


def explain_hung(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A task that slept too long: which, how long, on what, and who holds that."""
    matched = first(report.lines, _HUNG)
    if matched is None:
        return [Statement("A task waited without end.", "certain", (head_of(report),))]
    who = f"Task {matched['comm']} (pid {matched['pid']})"
    if matched["what"] == "can't die":
        text = f"{who} was killed and is not gone after more than {matched['seconds']} s."
    else:
        text = f"{who} {_slept(report, matched['pid'])} for more than {matched['seconds']} s" + (
            ", in an I/O wait." if "I/O" in matched["what"] else "."
        )
    statements = [Statement(text, "certain", (quoted(matched),)), *_shown_awake(report, matched)]
    owners = [item for item in every(report.lines, _OWNER) if item["waiter"] == matched["pid"]]
    statements += _waits_for(report, skip, owners)
    for owner in owners:
        statements += _owner(report, owner)
    statements += _sharers(report, matched["pid"])
    return statements


def _slept(report: CrashReport, pid: str) -> str:
    """Returns how the task waited. The detector looks for uninterruptible sleep alone; a vendor's
    may count killable sleep as well, which the functions of such a wait show.
    """
    killable = any("killable" in base(frame.function) for frame in report.frames if frame.reliable)
    task = _task_line(report, pid)
    if killable or (task is not None and task["state"] != "D"):
        return "was blocked"
    return "slept uninterruptibly (state D)"


def _task_line(report: CrashReport, pid: str) -> re.Match[str] | None:
    """The line that shows the task's state."""
    lines = (*every(report.lines, _TASK), *every(report.lines, _OLD_TASK))
    return next((item for item in lines if item["pid"] == pid), None)


def shown_running(report: CrashReport | None) -> bool:
    """Returns whether the task of a "can't die" report ran, or was ready to, when it was shown."""
    matched = first(report.lines, _HUNG) if report is not None else None
    if report is None or matched is None or matched["what"] != "can't die":
        return False
    task = _task_line(report, matched["pid"])
    return task is not None and task["state"] == "R"


def _shown_awake(report: CrashReport, matched: re.Match[str]) -> Iterator[Statement]:
    """Yields that the task was no longer asleep when it was shown."""
    task = _task_line(report, matched["pid"])
    if shown_running(report) and task is not None:
        text = "When it was shown it ran, or was ready to run (state R): it was not waiting then."
        yield Statement(text, "certain", (quoted(task),))
    elif task is not None and task["state"] == "R":
        text = (
            "When it was shown it was ready to run (state R): it had just been woken, and the "
            "trace need not be that of its wait."
        )
        yield Statement(text, "certain", (quoted(task),))


def _waits_for(
    report: CrashReport, skip: Container[str], owners: Sequence[re.Match[str]]
) -> Iterator[Statement]:
    """Yields what the innermost wait of the trace is; where that is of no kind of its own (a
    completion, I/O), the frames right above it may say whose. Where the kernel names another sort
    of lock, both stand there.
    """
    waits = [
        (at, words)
        for at, frame in enumerate(report.frames)
        if frame.reliable and (words := _wait(frame)) is not None
    ]
    if not waits:
        return
    at, words = waits[0]
    if words in _OF_NO_KIND:
        above = (wait for wait in waits if at < wait[0] <= at + 4 and wait[1] not in _OF_NO_KIND)
        at, words = next(above, (at, words))
    callers = distinctive((item for item in report.frames[at + 1 :] if item.reliable), skip)
    asker = next(
        (item for item in callers if _wait(item) is None and "wait" not in item.function), None
    )
    asks = f", asked for by {place(asker)}" if asker is not None else ""
    evidence = [place(report.frames[at])]
    if owners and words in _LOCKS.values():
        if words != _LOCKS[owners[0]["lock"]]:
            words += f" by its trace, for {_LOCKS[owners[0]['lock']]} by the kernel's word"
        evidence.append(quoted(owners[0]))
    yield Statement(f"It waits for {words}{asks}.", "likely", tuple(evidence))


def _wait(frame: Frame) -> str | None:
    name = base(frame.function)
    return next((words for names, words in _WAITS if _is(name, names)), None)


def _is(name: str, names: Sequence[str]) -> bool:
    """Returns whether `name` is one of `names`, or begins with one that is longer than a word."""
    return any(name == item or (len(item) > 6 and name.startswith(item)) for item in names)


def _owner(report: CrashReport, matched: re.Match[str]) -> Iterator[Statement]:
    """Yields who holds the lock, where the kernel says so, and what that task does."""
    lock = _LOCKS[matched["lock"]].partition(" ")[2]
    if matched["owner"] is None:
        text = f"The kernel does not find who holds the {lock}."
        yield Statement(text, "certain", (quoted(matched),))
        return
    owner = f"{matched['owner']} (pid {matched['pid']})"
    yield Statement(
        f"Task {owner} holds the {lock}, as far as the kernel can tell: look there for the cause.",
        "likely",
        (quoted(matched),),
    )
    yield from _task_of(report, matched["pid"], owner)


def _task_of(report: CrashReport, pid: str, owner: str) -> Iterator[Statement]:
    """Yields what the task that holds the lock does, where its trace is printed below."""
    task = _task_line(report, pid)
    if task is None:
        return
    below = report.lines[report.lines.index(task.string) + 1 :]
    trace = first(below[:3], _TRACE)
    stack = stack_after(below, trace) if trace is not None else ()
    asleep = [item for item in stack if "sched" not in base(item.function)]
    where = f", in {place(asleep[0])}" if asleep else ""
    what = {"D": "sleeps uninterruptibly itself", "S": "sleeps", "R": "runs"}.get(task["state"])
    if what:
        yield Statement(f"{owner} {what}{where}.", "certain", (quoted(task),))


def _sharers(report: CrashReport, pid: str) -> Iterator[Statement]:
    """Yields who else lists the lock that the task listed last: lockdep lists a lock that is
    being waited for like one that is held, so the last one of a sleeper is what it waits for.
    """
    locks: dict[str, list[re.Match[str]]] = {}
    holder = ""
    names: dict[str, str] = {}
    for text in report.lines:
        if (head := _HOLDER.match(text)) is not None:
            holder = head["pid"]
            names[holder] = f"{head['comm']} (pid {holder})"
        elif holder and (lock := _LOCK.match(text)) is not None:
            locks.setdefault(holder, []).append(lock)
    if not locks.get(pid):
        return
    waited = locks[pid][-1]
    others = {
        other: [item["address"] for item in listed].index(waited["address"])
        for other, listed in locks.items()
        if other != pid and any(item["address"] == waited["address"] for item in listed)
    }
    if others:
        text = (
            f"The lock that it listed last, {waited['name']}, taken or waited for at "
            f"{waited['place']}, is listed also by {_some([names[other] for other in others])}"
        )
        holders = [other for other, at in others.items() if at + 1 < len(locks[other])]
        if holders:
            last = locks[holders[0]][-1]
            text += (
                f"; {_some([names[other] for other in holders])} went on to take another lock "
                f"after it, so holds it: {names[holders[0]]} listed {last['name']} last, at "
                f"{last['place']}."
            )
        else:
            text += ": one of them may hold it."
        yield Statement(text, "likely", (quoted(waited),))


def _some(names: Sequence[str]) -> str:
    """The first four names, and how many more there are."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def explain_soft_lockup(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A CPU that did not schedule: which, how long, whose task, and whether it spins on a lock."""
    matched = first(report.lines, _SOFT)
    if matched is None or matched["seconds"] is None:
        text = "A CPU did not let another task run for longer than the watchdog allows."
        text += snapshot(report)
        return [Statement(text, "certain", (head_of(report),)), *_spins(report, skip)]
    other = first(report.lines, _TRACED)
    if other is not None and int(other["cpu"]) == int(matched["cpu"]):
        other = None
    text = (
        f"CPU {matched['cpu']} let no other task run for {matched['seconds']} s; "
        f"{matched['comm']} (pid "
        f"{matched['pid']}) was on it when the watchdog looked."
    )
    statements = [
        Statement(text + (snapshot(report) if other is None else ""), "certain", (quoted(matched),))
    ]
    if other is not None:
        text = f"The report contradicts itself: what follows its head is of CPU {other['cpu']}."
        statements.append(Statement(text, "certain", (quoted(other),)))
        return statements  # the trace says nothing of this CPU
    return [*statements, *_spins(report, skip), *_virtual(report)]


def _spins(report: CrashReport, skip: Container[str]) -> Iterator[Statement]:
    """Yields whether the CPU waits for a spinlock: then another CPU holds the answer."""
    spinning = [frame for frame in (report.pc, *report.frames[:3]) if _spinlock(frame)]
    if not spinning or spinning[0] is None:
        yield from _calls(report, skip)
        return
    callers = distinctive((item for item in report.frames if item.reliable), skip)
    caller = next((item for item in callers if not _spinlock(item)), None)
    asks = f", asked for by {place(caller)}" if caller else ""
    yield Statement(
        f"It spins for a spinlock{asks}: whoever holds that lock does not give it back; look at "
        "what the other CPUs do.",
        "likely",
        (place(spinning[0]),),
    )


def _calls(report: CrashReport, skip: Container[str]) -> Iterator[Statement]:
    """Yields whether the CPU waits for others to answer a call; kernel/smp.c csd_lock_wait(),
    smp_call_function_*() (2.6.2x to 6.x).
    """
    inner = [frame for frame in (report.pc, *report.frames[:4]) if frame is not None]
    waiting = [frame for frame in inner if base(frame.function).startswith(_CROSS_CALLS)]
    if waiting:
        callers = distinctive((item for item in report.frames if item.reliable), skip)
        caller = next(
            (item for item in callers if not base(item.function).startswith(_CROSS_CALLS)), None
        )
        asks = f", asked for by {place(caller)}" if caller else ""
        yield Statement(
            f"It waits for other CPUs to answer a call{asks}: one of them has its interrupts off, "
            "or stands still; look at what the other CPUs do.",
            "likely",
            (place(waiting[0]),),
        )


def _spinlock(frame: Frame | None) -> bool:
    return frame is not None and base(frame.function).startswith(_SPINS)


def _virtual(report: CrashReport) -> Iterator[Statement]:
    """A virtual machine that its host stops for as long reports the same: the watchdog counts
    wall time.
    """
    if report.hardware and is_virtual(report):
        yield Statement(
            "The machine is virtual: where its host stops or starves it for so long, it reports "
            "the same.",
            "possible",
            (report.hardware,),
        )


def explain_hard_lockup(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A CPU that took no interrupts."""
    matched = first(report.lines, _HARD)
    cpu = f"CPU {matched['cpu']}" if matched is not None and matched["cpu"] else "A CPU"
    text = (
        f"{cpu} took no timer interrupts for longer than the watchdog allows "
        "(kernel.watchdog_thresh, 10 s unless it was changed): it ran with interrupts off, or the "
        f"hardware held it.{snapshot(report)}"
    )
    evidence = (quoted(matched),) if matched is not None else (head_of(report),)
    return [Statement(text, "certain", evidence), *_spins(report, skip), *_virtual(report)]


def explain_workqueue(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A pool of workers without progress, and what runs in it."""
    del skip
    matched = first(report.lines, _POOL)
    if matched is None:
        return [
            Statement("A pool of kernel workers made no progress.", "certain", (head_of(report),))
        ]
    text = (
        f"The pool of kernel workers{matched['pool']} made no progress for {matched['seconds']} s."
    )
    statements = [Statement(text, "certain", (quoted(matched),))]
    running = list(every(report.lines, _FLIGHT))[:4]
    if running:
        listed = ", ".join(f"{item['function']} (pid {item['pid']})" for item in running)
        statements.append(
            Statement(
                f"Work items that run now: {listed}. One that blocks or spins holds up the rest of "
                "its pool.",
                "certain",
                tuple(quoted(item) for item in running),
            )
        )
    return statements
