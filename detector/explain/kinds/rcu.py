"""Explains RCU stalls (for whom, how many jiffies, does its own thread starve) and its
misuse.

In: a report of class `rcu-stall` or `suspicious-rcu`. Out: statements; jiffies stay jiffies, since
the log does not say how many make a second. Formats: kernel/rcu/tree_stall.h
print_cpu_stall_info(), rcu_check_gp_kthread_starvation() (4.20 to 6.x; kernel/rcu/tree.c before),
kernel/rcu/tree_exp.h, kernel/rcu/tasks.h, kernel/locking/lockdep.c lockdep_rcu_suspicious().
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from detector.explain.block_text import every, first, head_of, quoted
from detector.explain.kinds.hangs import SNAPSHOT, snapshot
from detector.explain.kinds.held_locks import held_locks
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

_HEAD = lazy_regex(
    r"(?:rcu: )?INFO: (?P<flavour>rcu\w*) (?P<self>self-)?detected (?P<expedited>expedited "
    r")?stalls?"
    r"(?P<on> on (?:CPUs?/tasks:|CPU|tasks:))?(?: \{(?P<who>[^}]*)\})?(?: (?P<jiffies>\d+) "
    r"jiffies)?"
)
_SINCE = lazy_regex(r".*\((?:detected by (?P<by>\d+), )?t=(?P<jiffies>\d+) jiffies")
_CPU = lazy_regex(
    r"(?:rcu: )?\s*(?P<cpu>\d+)-?[.!?\dOoND]{0,5}: \((?P<count>\d+) (?P<what>ticks this GP|GPs "
    r"behind"
    r"|GPs? behind)\)"
)
_TASKS = lazy_regex(
    r"(?:rcu: )?\s*Tasks blocked on level-\d+ rcu_node \(CPUs [\d-]+\):(?P<tasks>.*)"
)
_STARVED = lazy_regex(
    r"(?:rcu: )?(?P<flavour>rcu\w*) kthread starved for (?P<jiffies>\d+) jiffies!"
    r"(?:.*->state=(?:0x)?(?P<state>[0-9a-f]+))?(?:.*->cpu=(?P<cpu>\d+))?"
)
_TIMER = lazy_regex(
    r"(?:rcu: )?(?P<flavour>rcu\w*) kthread timer wakeup didn't happen for (?P<jiffies>\d+) "
    r"jiffies!"
)
_TIMER_CPU = lazy_regex(r"(?:rcu: )?\s*Possible timer handling issue on cpu=(?P<cpu>\d+)")
_ENDED = lazy_regex(
    r"(?:rcu: )?INFO: Stall ended (?:before state dump start|during stack backtracing)"
)
_SEEN = lazy_regex(
    r"(?:rcu: )?All QSes seen, last (?P<flavour>rcu\w*) kthread activity (?P<jiffies>\d+)"
)
_NO_LOCKS = lazy_regex(r"no locks held by .{1,40}/\d+\.")
_HELD = lazy_regex(r"(?P<count>\d{1,3}) locks? held by .{1,40}/\d+:")
_ENTRY = lazy_regex(r" #\d{1,3}: ")
_USED = lazy_regex(r"(?P<place>\S+:\d+) (?P<what>.{1,160})")
_OF_TASK = SNAPSHOT.replace("that CPU was when it was", "it was when it was")
_MOST = 8
_BUSY, _STOOD = 0.9, 0.01  # of its ticks that a CPU took
_RAN = lazy_regex(
    r"CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: (?P<comm>.{0,64}?) "
    r"(?:Kdump: loaded )?(?:Not tainted|Tainted: )"
)
_AT = lazy_regex(
    r"(?:RIP: [0-9a-f]{4}:|pc : |RIP: [0-9a-f]{4}:\[<[0-9a-f]+>\] +(?:\[<[0-9a-f]+>\] )?)"
    r"(?P<symbol>[A-Za-z_$][\w$.]*\+0x[0-9a-f]+)/0x"
)
_SHOWN = lazy_regex(r"task:(?P<comm>.{1,16}?) +state:(?P<state>\S) .*?\bpid: *(?P<pid>\d+)\b")


def explain_rcu_stall(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """For whom RCU waited and how long; then what the report says of RCU's own thread."""
    del skip
    matched = first(report.lines, _HEAD)
    if matched is None:
        text = "RCU waited too long for a CPU or a task to pass a quiescent state."
        return [Statement(text, "certain", (head_of(report),))]
    since = first(report.lines, _SINCE)
    jiffies = matched["jiffies"] or (since["jiffies"] if since is not None else None)
    evidence = dict.fromkeys(quoted(item) for item in (matched, since) if item is not None)
    period = f"{jiffies} jiffies" if jiffies else "longer than its stall detector allows"
    kind = "an expedited grace period" if matched["expedited"] else "a grace period"
    quiet = first(report.lines, _SEEN) is not None  # then no CPU is late, and none is shown
    text = (
        f"RCU ({matched['flavour']}) has been waiting {period} for {kind} to end{_held_by(report)}."
        f"{'' if quiet else _snapshot(report)}"
    )
    statements = [
        Statement(text, "certain", tuple(evidence)),
        *_ticks(report),
        *_on_cpus(report),
        *_blocked_tasks(report),
        *_own_thread(report),
    ]
    if (ended := first(report.lines, _ENDED)) is not None:
        text = "The stall ended while it was reported: the traces are of what came after it."
        statements.append(Statement(text, "certain", (quoted(ended),)))
    return statements


def _snapshot(report: CrashReport) -> str:
    """The warning that the trace is a snapshot, of what was late."""
    cpus, tasks = _late(report)
    if str(report.cpu) not in cpus and str(report.pid) not in tasks:
        if cpus and report.cpu is not None:
            return f" The trace here is CPU {report.cpu}'s, which is none of those."
        if tasks and not cpus and report.pid is not None:
            return f" The trace here is that of {_named(report)}, which is none of those."
    if report.cpu is None or str(report.pid) in tasks or not cpus:
        return _OF_TASK if report.frames or report.pc is not None else ""
    return snapshot(report)


def _named(report: CrashReport) -> str:
    """The report's task, by name where that is known."""
    return f"{report.comm} (pid {report.pid})" if report.comm else f"the task with pid {report.pid}"


def _held_by(report: CrashReport) -> str:
    """The CPUs and tasks that the report lists as not yet quiet, in words."""
    cpus, tasks = _late(report)
    parts = [
        f"{name} {', '.join(numbers[:_MOST])}" + (" and others" if len(numbers) > _MOST else "")
        for name, numbers in (("CPU", cpus), ("the task with pid", tasks))
        if numbers
    ]
    return f"; not yet quiet: {' and '.join(parts)}" if parts else ""


def _late(report: CrashReport) -> tuple[list[str], list[str]]:
    """The numbers of the CPUs, and the pids of the tasks, that are listed as not yet quiet."""
    matched = first(report.lines, _HEAD)
    listed = (matched["who"] or "").split() if matched is not None else []
    cpus = [item.partition("-")[0] for item in listed if item[:1].isdigit()]
    tasks = [item[1:] for item in listed if re.fullmatch(r"P\d+", item)]
    cpus += [item["cpu"] for item in every(report.lines, _CPU)]
    for line in every(report.lines, _TASKS):
        tasks += re.findall(r"\bP(\d+)", line["tasks"])
    return list(dict.fromkeys(cpus)), list(dict.fromkeys(tasks))


def _ticks(report: CrashReport) -> Iterator[Statement]:
    """Yields how many of its timer interrupts a late CPU took since it noticed the grace period, by
    kernel/rcu/tree_stall.h print_cpu_stall_info() (tree.c up to 4.x), where it says whether it ran.
    """
    for cpu, count, jiffies, evidence in _counted(report):
        if count >= jiffies * _BUSY:
            text = (
                f"CPU {cpu} took {count} timer interrupts in these {jiffies} jiffies: it ran all "
                "the time and took interrupts, so it was busy, not stopped."
            )
            yield Statement(text, "likely", evidence)
        elif count <= jiffies * _STOOD:
            text = (
                f"CPU {cpu} took {count} timer interrupt{'s' if count != 1 else ''} since it "
                f"noticed this grace period, of {jiffies} jiffies: its tick may have stopped "
                "(interrupts off, or a timer or machine that stood still), or it noticed late."
            )
            yield Statement(text, "possible", evidence)


def _counted(report: CrashReport) -> Iterator[tuple[str, int, int, tuple[str, ...]]]:
    """Yields (CPU, ticks, jiffies of the stall, lines) of each late CPU that has a tick count."""
    since = first(report.lines, _SINCE)
    jiffies = int(since["jiffies"]) if since is not None else 0
    if since is None or not jiffies:
        return
    seen = {line["cpu"]: line for line in every(report.lines, _CPU) if "ticks" in line["what"]}
    for cpu, line in list(seen.items())[:_MOST]:
        yield cpu, int(line["count"]), jiffies, (quoted(line), quoted(since))


def was_busy(report: CrashReport | None) -> bool:
    """Returns whether every late CPU took its timer interrupts during the stall.
    Then no guest was stopped.
    """
    counted = list(_counted(report)) if report is not None and report.kind == "rcu-stall" else []
    return bool(counted) and all(count >= jiffies * _BUSY for _, count, jiffies, _ in counted)


def _on_cpus(report: CrashReport) -> Iterator[Statement]:
    """Yields what the late CPUs ran when they were shown, by the header of their traces."""
    cpus, _ = _late(report)
    seen: set[str] = set()
    for at, text in enumerate(report.lines):
        ran = _RAN.match(text)
        if ran is None or ran["cpu"] not in cpus or ran["cpu"] in seen or len(seen) >= _MOST:
            continue
        seen.add(ran["cpu"])
        below = [line for line in report.lines[at + 1 : at + 12] if line.strip()]
        stop = next((k for k, line in enumerate(below) if _RAN.match(line)), len(below))
        where = first(below[:stop], _AT)
        idle = ran["comm"].startswith("swapper/")
        what = "was idle" if idle else f"ran {ran['comm']} (pid {ran['pid']})"
        inside = f", in {where['symbol']}" if where is not None else ""
        yield Statement(
            f"CPU {ran['cpu']} {what} when it was shown{inside}.",
            "certain",
            (quoted(ran), *((quoted(where),) if where is not None else ())),
        )


def _blocked_tasks(report: CrashReport) -> Iterator[Statement]:
    """Yields the names of the tasks that hold up the grace period: preempted, or asleep, inside of
    a read-side section.
    """
    _, tasks = _late(report)
    shown = {item["pid"]: item for item in every(report.lines, _SHOWN)}
    for pid in tasks[:_MOST]:
        if (task := shown.get(pid)) is not None:
            state = {"R": "ready to run", "D": "asleep (D)", "S": "asleep (S)"}.get(
                task["state"], f"in state {task['state']}"
            )
            yield Statement(
                f"The task with pid {pid} is {task['comm']}, {state} inside of an RCU read-side "
                "section.",
                "certain",
                (quoted(task),),
            )


def _starved_by(report: CrashReport, starved: re.Match[str]) -> str:
    """Returns where to look for what keeps RCU's thread from running; one that is ready to run on
    a late CPU waits for the same.
    """
    ready = starved["state"] is not None and int(starved["state"], 16) == 0
    if ready and starved["cpu"] in _late(report)[0]:
        return (
            f"It waits for CPU {starved['cpu']}, which the stall names: what that CPU runs keeps "
            "both from going on."
        )
    return (
        "What keeps RCU's thread from running is the cause to look for (a real-time task, "
        "interrupts that stay off, timers that do not fire, a machine that stands still); the "
        "CPUs that the stall names may only be victims."
    )


def _own_thread(report: CrashReport) -> Iterator[Statement]:
    if (starved := first(report.lines, _STARVED)) is not None:
        state = starved["state"]
        ready = (
            "; it is ready to run now"
            if state and int(state, 16) == 0
            else " (it slept)"
            if state
            else ""
        )
        where = f"; it was last on CPU {starved['cpu']}" if starved["cpu"] else ""
        yield Statement(
            f"RCU's own thread, {starved['flavour']}, has not run for {starved['jiffies']} jiffies"
            f"{ready}{where}.",
            "certain",
            (quoted(starved),),
        )
        yield Statement(_starved_by(report, starved), "likely", (quoted(starved),))
    if (timer := first(report.lines, _TIMER)) is not None:
        on = first(report.lines, _TIMER_CPU)
        yield Statement(
            f"The timer that should wake RCU's thread has not fired for {timer['jiffies']} jiffies"
            + (f"; it belongs to CPU {on['cpu']}" if on is not None else "")
            + ": timers, or the CPU that runs them, are stuck.",
            "certain",
            tuple(quoted(item) for item in (timer, on) if item is not None),
        )
    if starved is None and (seen := first(report.lines, _SEEN)) is not None:
        yield Statement(
            "All CPUs had passed a quiescent state by then; RCU's own thread had been inactive for "
            f"{seen['jiffies']} jiffies and did not end the grace period.",
            "certain",
            (quoted(seen),),
        )


def explain_suspicious_rcu(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """RCU used without the protection that it needs, with the place as printed."""
    del skip
    used = next(
        (result for result in map(_USED.match,
            report.lines[1:6]) if (result and "usage" in result["what"])
         or (result and "RCU" in result["what"])),
        None,
    )  # fmt: skip
    text = (
        "Code slept, or may sleep, inside of an RCU read-side section, where it must not"
        if used is not None and used["what"].startswith("Illegal context switch")
        else "RCU was used without the protection that it needs: a pointer read outside of a "
        "read-side section and without its lock, or a call that is illegal where it stands"
    )
    if used is None:
        return [Statement(f"{text}.", "certain", (head_of(report),)), *held_locks(report)]
    text += f"; at {used['place']}: {used['what']}"
    off = next((line.strip() for line in report.lines if line.endswith("debug_locks = 0")), None)
    if off is None:
        doubted = list(_without_section(report, used))
        statement = Statement(text, "possible" if doubted else "certain", (quoted(used),))
        return [statement, *doubted, *held_locks(report)]
    # That change is in mainline from 5.14 on.
    text = (
        f"{text.rstrip('.')}. Lockdep was off by then, as after an earlier report of its own; "
        'kernels without "rcu: Reject RCU_LOCKDEP_WARN() false positives" may print this falsely '
        "where it is switched off meanwhile."
    )
    return [Statement(text, "possible", (quoted(used), off)), *held_locks(report)]


def _without_section(report: CrashReport, used: re.Match[str]) -> Iterator[Statement]:
    """Yields that lockdep's list of locks does not hold the section that its check speaks of; a
    read-side section is in the list, as a lock (include/linux/rcupdate.h rcu_lock_acquire()).
    """
    listed = first(report.lines, _NO_LOCKS) or _list_of_others(report)
    if listed is not None and used["what"].startswith("Illegal context switch"):
        text = (
            "Lockdep's list for the task holds no such section: check and list disagree, so the "
            "alarm may be false."
        )
        yield Statement(text, "certain", (quoted(used), quoted(listed)))


def _list_of_others(report: CrashReport) -> re.Match[str] | None:
    """The head of a list of locks that is whole and has no read-side section of RCU."""
    held = first(report.lines, _HELD)
    if held is None:
        return None
    start = report.lines.index(held.string) + 1
    listed = [text for text in report.lines[start : start + 2 * _MOST] if _ENTRY.match(text)]
    whole = len(listed) == int(held["count"]) and all("(" in text for text in listed)
    return held if whole and not any("rcu" in text for text in listed) else None
