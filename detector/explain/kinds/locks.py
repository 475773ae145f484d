"""Explains lockdep's reports, sleeping in atomic context, and broken spinlocks.

In: a report of one of those classes. Out: statements with the locks, tasks and counters that the
block prints. Formats: kernel/locking/lockdep.c, kernel/locking/spinlock_debug.c,
kernel/sched/core.c __might_resched() and __schedule_bug(), lib/smp_processor_id.c (3.x to 6.x); the
fields of preempt_count: include/linux/preempt.h (4.x to 6.x).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from itertools import takewhile

from detector.explain.block_text import distinctive, first, head_of, place, quoted
from detector.explain.kinds.held_locks import held_locks, locks_held
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

_LOCKDEP: tuple[tuple[str, str], ...] = (
    (
        "possible circular locking dependency",
        (
            "Lockdep found a cycle: the task takes a second lock "
            "while it holds a first one, and elsewhere the first was taken under the second, "
            "directly or "
            "over others. With the wrong timing all wait for ever; it need not have happened "
            "this time."
        ),
    ),
    (
        "possible recursive locking",
        (
            "Lockdep saw a task take a lock while it holds one of the same "
            "class. If both are the same lock, it waits for itself; if they are two, the code "
            "does not "
            "tell lockdep in which order they nest."
        ),
    ),
    (
        "irq lock inversion",
        (
            "Lockdep found a lock that an interrupt takes, and on the other hand an "
            "order of locks in which that interrupt may strike while the lock is held."
        ),
    ),
    (
        "unsafe lock order",
        (
            "Lockdep found a lock that interrupts take, followed by one that is held "
            "with interrupts on: an interrupt that strikes there can close the circle."
        ),
    ),
    (
        "inconsistent lock state",
        (
            "Lockdep saw a lock, or two of one class, taken in an interrupt and also where that "
            "interrupt may strike: where it strikes the holder, the CPU waits for itself."
        ),
    ),
    (
        "Invalid wait context",
        (
            "A lock that may sleep (on a real-time kernel also a spinlock) was "
            "taken in a context that must not sleep."
        ),
    ),
    ("bad unlock balance", "A task released a lock that it does not hold."),
    ("bad contention", "A task waited for a lock in a way that the lock's state contradicts."),
    ("held lock freed", "Memory was freed, or set up again, while a lock in it is held."),
    (
        "held when returning to user space",
        "A system call went back to user space with a lock held.",
    ),
    (
        "still has locks held",
        "A task held locks where it must hold none: it ended, froze, or could be frozen there.",
    ),
    ("lock held at task exit", "A task ended with a lock held."),
    ("Nested lock was not taken", "A lock was taken as nested in another one that is not held."),
    (
        "non-static key",
        (
            "A lock was used that lockdep does not know: it was not initialised, or lies "
            "in memory that is no longer what it was. Lockdep is off from here on."
        ),
    ),
    (
        "has not been registered",
        ("A lock's key is unknown to lockdep: it was not registered, or was freed before."),
    ),
)
_LOCK = (
    r"(?:[0-9a-f]{8,16} )?\((?P<name>[^{]{1,120}?)\)\{[^}]*\}(?:-\{\S+\})?,? at: "
    r"(?:\[<[0-9a-f]+>\] *)?(?P<place>\S+)"
)
_WANTS = lazy_regex(r"(?P<comm>.{1,40})/(?P<pid>\d+) is trying to acquire lock:")
_HOLDS = lazy_regex(r"but task is already holding lock:")
_RELEASES = lazy_regex(
    r"(?P<comm>.{1,40})/(?P<pid>\d+) is trying to release lock \((?P<name>.{1,120})\) at:"
)
_AT = lazy_regex(r"\s*" + _LOCK)
_USAGE = lazy_regex(r"inconsistent \{(?P<before>[^}]{2,40})\} -> \{(?P<now>[^}]{2,40})\} usage\.")
_USE = lazy_regex(
    r"(?P<inside>IN-)?(?P<context>HARDIRQ|SOFTIRQ|RECLAIM_FS)(?:-ON)?-(?P<kind>[WR])$"
)
_CONTEXTS = {
    "HARDIRQ": ("a hard interrupt", "hard interrupts on"),
    "SOFTIRQ": ("a soft interrupt", "soft interrupts on"),
    "RECLAIM_FS": ("the reclaim of memory", "reclaim of memory allowed"),
}
_TAKES = lazy_regex(r"(?P<comm>.{1,40})/(?P<pid>\d+) \[HC\d.{1,60}\] takes:")
_NMI = (
    "Lockdep saw a lock taken in an NMI that is taken elsewhere as well. An NMI strikes also where "
    "interrupts are off: where it strikes the holder, the CPU waits for itself."
)
_ATOMIC = lazy_regex(
    r"in_atomic\(\): (?P<atomic>\d), irqs_disabled\(\): (?P<irqs>\d),(?: non_block: "
    r"(?P<block>\d),)? "
    r"pid: (?P<pid>\d+), name: (?P<comm>.+?)\s*$"
)
_NEST = lazy_regex(r"RCU nest depth: (?P<depth>[1-9]\d*), expected: 0")
_CONTEXT = lazy_regex(
    r"(?:BUG|Debug): sleeping function called from invalid context at (?P<place>\S+)"
)
_SCHEDULING = lazy_regex(
    r"(?:BUG: )?scheduling while atomic: (?P<comm>.{1,40})/(?P<pid>\d+)/0x(?P<count>[0-9a-f]{1,8})"
)
_READ_SIDE = "rcu_read_lock"
_COUNTED = (
    "preemption is off (by a spinlock, an interrupt, soft interrupts that are off, an RCU "
    "read-side section, or by itself)"
)
_HELD_WRONGLY = ("locks held", "lock held", "held lock freed")
_LAST_FUNCTION = lazy_regex(r"\s*last function: (?P<function>\S+)")
_DISABLED = lazy_regex(r"Preemption disabled at:")
_CALL = lazy_regex(
    r"BUG: using (?P<call>\w+)\(\) in preemptible \[[0-9a-f]+\] code: (?P<comm>.+)/(?P<pid>\d+)"
)
_CALLER = lazy_regex(r"caller is (?P<caller>\S+)")
_CHECKS = (
    "processor_id|preempt|this_cpu|dump_stack|debug_"  # the check itself and what it prints with
)
_SPINLOCK = lazy_regex(
    r"BUG: (?P<lock>spinlock|rwlock)(?:-\w+)? (?P<what>lockup suspected|lockup|already unlocked|"
    r"recursion|cpu recursion|bad magic|wrong owner|wrong CPU|uninitialized|trylock failure on UP)"
    r"(?: on CPU#(?P<cpu>\d+), (?P<comm>.{1,40})/(?P<pid>\d+))?"
)
_STATE = lazy_regex(
    r" lock: (?P<lock>.*?), \.magic: (?P<magic>[0-9a-f]{8}), \.owner: "
    r"(?P<owner>.{1,40})/(?P<pid>-?\d+), "
    r"\.owner_cpu: (?P<cpu>-?\d+)"
)
_SPINLOCK_WORDS = {
    "lockup suspected": "A CPU has been waiting for a spinlock far too long.",
    "lockup": "A CPU has been waiting for a spinlock far too long.",
    "already unlocked": "A spinlock was released that nobody holds.",
    "recursion": "A task took a spinlock that it holds already.",
    "cpu recursion": "A CPU took a spinlock that the same CPU holds already.",
    "bad magic": "A spinlock does not hold the mark of an initialised one.",
    "wrong owner": "A spinlock was released by a task that does not hold it.",
    "wrong CPU": "A spinlock was released on another CPU than it was taken on.",
    "uninitialized": "A spinlock was used that was never initialised.",
    "trylock failure on UP": "A spinlock was held already, on a machine of one CPU.",
}
# spin_lock sets both marks, spin_unlock clears both: debug_spin_lock_after(), debug_spin_unlock()
# (kernel/locking/spinlock_debug.c, 3.x to 6.x); a run queue's owner is set by hand up to 4.19.
_STALE_OWNER = (
    "A task asked for a spinlock whose mark names that task as the owner, but no CPU: one of the "
    "two marks is stale or was overwritten."
)
_OTHER_CPU = (
    "A task asked for a spinlock whose marks name that task as the owner, but another CPU than the "
    "one on which it runs: it was moved while it held the lock, or the marks are stale or were "
    "overwritten."
)
_MAGIC = {"spinlock": "dead4ead", "rwlock": "deaf1eed"}


def explain_lockdep(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """Returns what lockdep holds against the code, and the two locks."""
    del skip
    head = report.lines[0] if report.lines else report.title or ""
    words = next((words for phrase, words in _LOCKDEP if phrase in head), None)
    usage = first(report.lines, _USAGE)
    if usage is not None and "IN-NMI" in (usage["before"], usage["now"]):
        words = _NMI
    statements = [Statement(words or "Lockdep found a lock misused.", "certain", (head.strip(),))]
    statements += _two_locks(report)
    if any(phrase in head for phrase in _HELD_WRONGLY):
        statements += held_locks(report)
    if usage is not None:
        text = f"Before, it was {_used(usage['before'])}; now {_used(usage['now'])}."
        statements.append(Statement(text, "certain", (quoted(usage),)))
    if (release := first(report.lines, _RELEASES)) is not None:
        statements.append(
            Statement(
                f"{release['comm']} (pid {release['pid']}) was to release {release['name']}.",
                "certain",
                (quoted(release),),
            )
        )
    return statements


def _used(usage: str) -> str:
    """Returns lockdep's name of a use in words; kernel/locking/lockdep.c usage_str[] (2.6.18 to
    6.x), INITIAL USE against IN-NMI from verify_lock_unused() (5.9 on). A lock has …-ON-… where it
    was taken with interrupts on, or held when they were switched on (mark_held_locks()).
    """
    if usage == "IN-NMI":
        return "taken in an NMI"
    if usage in ("INITIAL USE", "INITIAL READ USE"):
        return "taken outside of NMIs"
    matched = _USE.match(usage)
    if matched is None:
        return f"taken as {usage}"
    inside, outside = _CONTEXTS[matched["context"]]
    how = " for reading" if matched["kind"] == "R" else ""
    return f"taken in {inside}{how}" if matched["inside"] else f"held with {outside}{how}"


def _two_locks(report: CrashReport) -> Iterator[Statement]:
    """Yields which task asks for which lock, and which one it holds."""
    wants, holds = (first(report.lines, pattern) for pattern in (_WANTS, _HOLDS))
    takes = first(report.lines, _TAKES)
    if wants is None and takes is not None and (lock := _lock_below(report, takes)) is not None:
        text = f"{takes['comm']} (pid {takes['pid']}) takes {lock['name']} at {lock['place']}."
        yield Statement(text, "certain", (quoted(takes), quoted(lock)))
    if wants is None:
        return
    lower = _lock_below(report, wants)
    held = _lock_below(report, holds) if holds is not None else None
    if lower is None:
        return
    text = f"{wants['comm']} (pid {wants['pid']}) asks for {lower['name']} at {lower['place']}" + (
        f" while it holds {held['name']}, taken at {held['place']}." if held is not None else "."
    )
    evidence = (quoted(lower), *((quoted(held),) if held is not None else ()))
    yield Statement(text, "certain", evidence)


def _lock_below(report: CrashReport, matched: re.Match[str]) -> re.Match[str] | None:
    """The lock below; where a log was symbolized, it has a line for each inlined function, and the
    last is its own.
    """
    at = next(at for at, text in enumerate(report.lines) if text is matched.string)
    below = list(takewhile(bool, map(_AT.match, report.lines[at + 1 :])))
    own = [item for item in below if item and below[0] and item["name"] == below[0]["name"]]
    return own[-1] if own else None


def explain_atomic_sleep(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """Sleeping where it is forbidden: by the preempt count, or by the two flags printed."""
    del skip
    if (matched := first(report.lines, _SCHEDULING)) is not None:
        reasons = _preempt_count(int(matched["count"], 16))
        text = (
            f"{matched['comm']} (pid {matched['pid']}) called the scheduler where it must not sleep"
        )
        text += f": {reasons}." if reasons else "."
        return [Statement(text, "certain", (quoted(matched),)), *_disabled_at(report)]
    context, atomic = first(report.lines, _CONTEXT), first(report.lines, _ATOMIC)
    where = f" at {context['place']}" if context is not None else ""
    text = f"A function that may sleep was called{where} where sleeping is forbidden"
    if context is None:  # __cant_sleep and __cant_migrate print the same lines below their heads
        text = "A function was called in a context in which it must not run"
    if atomic is not None:
        reasons = " and ".join(
            words
            for words, flag in (
                (
                    _COUNTED,
                    atomic["atomic"],
                ),
                ("interrupts are off", atomic["irqs"]),
                ("the section is marked as one that must not block", atomic["block"] or "0"),
            )
            if flag != "0"
        )
        if not reasons and (nest := first(report.lines, _NEST)) is not None:
            reasons = f"an RCU read-side section is open (depth {nest['depth']})"
        elif not reasons and any(lock["name"] == _READ_SIDE for lock in locks_held(report)):
            reasons = "an RCU read-side section is open"  # its depth is printed from 5.16 on
        text += f": {reasons}" if reasons else ""
        text += f"; the task is {atomic['comm']} (pid {atomic['pid']})"
    evidence = tuple(quoted(item) for item in (context, atomic) if item is not None)
    return [
        Statement(text + ".", "certain", evidence or (head_of(report),)),
        *held_locks(report),
        *(_disabled_at(report) if atomic is None or atomic["atomic"] != "0" else ()),
    ]


def explain_workqueue_leak(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A work item that came back in a state that it must not leave, and the locks left behind."""
    del skip
    item = first(report.lines, _LAST_FUNCTION)
    name = f"The work item {item['function']}" if item is not None else "A work item"
    text = f"{name} came back with a lock held, preemption off, or inside of an RCU section."
    evidence = (quoted(item),) if item is not None else (head_of(report),)
    return [Statement(text, "certain", evidence), *held_locks(report)]


def _preempt_count(count: int) -> str:
    """The fields of preempt_count in words: bits 0 to 7 preemption, 8 to 15 soft interrupts,
    16 to 19 interrupts, 20 to 23 NMIs.

    schedule() itself has switched preemption off once (in_atomic_preempt_off); a soft interrupt
    that is served counts 1, local_bh_disable() 2 (SOFTIRQ_DISABLE_OFFSET).
    """
    softirqs = count >> 8 & 0xFF
    fields = (
        (max(0, (count & 0xFF) - 1), "preemption is off (depth {}, the scheduler's own apart)"),
        (softirqs & 1, "a soft interrupt is served"),
        (softirqs >> 1, "soft interrupts are off (depth {})"),
        (count >> 16 & 0xF, "an interrupt is served (depth {})"),
        (count >> 20 & 0xF, "an NMI is served (depth {})"),
    )
    return " and ".join(words.format(value) for value, words in fields if value)


def _disabled_at(report: CrashReport) -> Iterator[Statement]:
    """Yields where preemption was switched off last; up to 5.15 ___might_sleep() prints that also
    where it is on again and only an RCU section forbids to sleep (kernel/sched/core.c).
    """
    matched = first(report.lines, _DISABLED)
    if matched is None:
        return
    at = next(at for at, text in enumerate(report.lines) if text is matched.string)
    symbol = re.search(r"([A-Za-z_$][\w$.]*\+0x[0-9a-f]+)/0x", "\n".join(report.lines[at : at + 2]))
    if symbol is not None:
        text = f"Preemption was switched off in {symbol[1]}."
        yield Statement(text, "certain", (quoted(matched), symbol[1]))


def explain_preemptible(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """Data of one CPU used while the task may move."""
    matched, caller = first(report.lines, _CALL), first(report.lines, _CALLER)
    text = "Data of one CPU was used while the task could still move to another CPU"
    if matched is not None:
        text = (
            f"{matched['comm']} (pid {matched['pid']}) called {matched['call']}() while it could "
            "still "
            "move to another CPU"
        )
    frames = distinctive((frame for frame in report.frames if frame.reliable), skip)
    by = next((frame for frame in frames if not re.search(_CHECKS, frame.function)), None)
    if caller is not None and not re.search(_CHECKS, caller["caller"]):
        text += f", from {caller['caller'].partition('/')[0]}."
    else:
        text += f", from {place(by)}." if by is not None else "."
    evidence = tuple(quoted(item) for item in (matched, caller) if item is not None)
    return [Statement(text, "certain", evidence or (head_of(report),))]


def explain_spinlock(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """Returns what is wrong with the spinlock; its magic number and owner as printed."""
    matched, state = first(report.lines, _SPINLOCK), first(report.lines, _STATE)
    if matched is None:
        text = "A spinlock or rwlock was used wrongly, or its memory was overwritten."
        return [Statement(text, "certain", (head_of(report),))]
    words = _SPINLOCK_WORDS[matched["what"]].replace("spinlock", matched["lock"])
    if matched["what"] == "recursion" and state is not None and matched["cpu"] != state["cpu"]:
        words = _STALE_OWNER if state["cpu"] == "-1" else _OTHER_CPU
        words = words.replace("spinlock", matched["lock"])
    if matched["cpu"] is not None and words.startswith("A CPU "):
        who = f"CPU {matched['cpu']}, with {matched['comm']} (pid {matched['pid']}) on it,"
        words = words.replace("A CPU", who, 1)
    statements = [Statement(words, "certain", (quoted(matched),))]
    callers = distinctive((frame for frame in report.frames if frame.reliable), skip)
    user = next((frame for frame in callers if not frame.function.startswith("spin_")), None)
    if user is not None:
        statements.append(
            Statement(f"The lock is used in {place(user)}.", "likely", (place(user),))
        )
    if state is None:
        return statements
    if state["magic"] != _MAGIC[matched["lock"]]:
        zero = state["magic"] == "00000000"
        statements.append(
            Statement(
                f"Its mark is {state['magic']} instead of {_MAGIC[matched['lock']]}: the lock was "
                + ("never initialised, or its memory was cleared or freed." if zero else
                   "overwritten, or its memory freed and used again."),
                "likely",
                (quoted(state),),
            )
        )  # fmt: skip
    elif state["owner"] != "<none>":
        where = f"on CPU {state['cpu']}" if state["cpu"] != "-1" else "but no CPU"
        text = f"The lock's marks name {state['owner']} (pid {state['pid']}) as its owner, {where}."
        statements.append(Statement(text, "certain", (quoted(state),)))
    return statements
