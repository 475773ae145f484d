"""Explains panics by the reason that the line gives.

In: a report of class `panic`, or one whose block ends in a panic. Out: statements. Reasons:
kernel/panic.c, kernel/exit.c, init/main.c, init/do_mounts.c, kernel/hung_task.c, kernel/watchdog.c,
arch/x86/kernel/cpu/mce/core.c, arch/arm64/kernel/traps.c, mm/oom_kill.c, drivers/tty/sysrq.c (6.x).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from detector.explain.block_text import first, head_of, quoted
from detector.explain.kinds.stacks import repeats
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

_REASONS: tuple[tuple[str, str], ...] = (
    (
        "Fatal exception in interrupt",
        (
            "The kernel counted the exception before it as one in an interrupt, or with soft "
            "interrupts off, where no task can be killed in its place. In many versions the "
            "handlers of double faults and breakpoints count as such by themselves."
        ),
    ),
    (
        "Fatal exception",
        (
            "The exception before it was made fatal (panic_on_oops), or struck where it "
            "cannot be survived."
        ),
    ),
    ("Fatal machine check", "The processor reported a hardware error that cannot be survived."),
    ("Machine check", "The processor reported a hardware error that cannot be survived."),
    ("Fatal hardware error", "The firmware reported a hardware error that cannot be survived."),
    ("Fatal Hardware Error", "The firmware reported a hardware error that cannot be survived."),
    ("Uncorrected hardware memory error", "A memory error hit the kernel's own data."),
    (
        "Asynchronous SError",
        (
            "A processor, memory or bus reported an error late (SError): the trace "
            "shows who ran when it arrived, not who caused it. Suspect hardware or firmware."
        ),
    ),
    (
        "panic_on_warn set",
        "A warning was made fatal (panic_on_warn): the report before it is the cause.",
    ),
    ("hung_task: blocked tasks", "Hung tasks are fatal on this host (kernel.hung_task_panic)."),
    ("softlockup: hung tasks", "Soft lockups are fatal on this host (kernel.softlockup_panic)."),
    (
        "Hard LOCKUP",
        (
            "Hard lockups are fatal on this host (kernel.hardlockup_panic, or the boot "
            "option nmi_watchdog=panic)."
        ),
    ),
    ("RCU Stall", "RCU stalls are fatal on this host (kernel.panic_on_rcu_stall)."),
    (
        "VFS: Unable to mount root fs",
        (
            "The root file system was not found or could not be mounted: a "
            "wrong root= option, a missing driver, an initramfs that does not fit the kernel."
        ),
    ),
    ("No working init found", "No init program could be started from the root file system."),
    ("Requested init", "The init program that the boot options name could not be started."),
    ("sysrq triggered crash", "Somebody asked for it: SysRq-c (echo c > /proc/sysrq-trigger)."),
    ("sysrq", "Somebody asked for it, with a SysRq key."),
    ("System is deadlocked on memory", "Memory ran out and no process is left that may be killed."),
    ("Out of memory and no killable", "Memory ran out and no process is left that may be killed."),
    ("out of memory", "Running out of memory is fatal on this host (vm.panic_on_oom)."),
    ("Out of memory: ", "Running out of memory is fatal on this host (vm.panic_on_oom)."),
    (
        "corrupted stack end",
        (
            "The mark at the end of a kernel stack was overwritten: the stack "
            "overflowed, or something wrote over it."
        ),
    ),
    (
        "stack-protector",
        (
            "The guard word on the stack of a function was overwritten: as a rule a local buffer "
            "ran over, in that function or in one that it called."
        ),
    ),
    ("kernel stack overflow", "A kernel stack ran over its end."),
    ("bad pgtable", "A page table was overwritten."),
    (
        "NMI: Not continuing",
        (
            "A non-maskable interrupt whose cause nobody knows was made fatal; "
            "hardware sends it, or somebody pressed the NMI button."
        ),
    ),
    ("NMI IOCK error", "A device reported a fatal error by a non-maskable interrupt."),
    ("An NMI occurred", "A management controller, or somebody's NMI button, asked for a crash."),
    (
        "Timeout: Not all CPUs entered",
        (
            "After a machine check some processors did not answer: they "
            "hang, in hardware or firmware."
        ),
    ),
)
# Kinds whose reports are printed by running code: die() has no part in them.
_NO_EXCEPTION = frozenset({
    "memory-pressure", "hung-task", "lockdep", "atomic-sleep", "suspicious-rcu", "rcu-stall",
    "soft-lockup", "workqueue-lockup", "netdev-reference", "preemptible", "kmsan", "kcsan",
    "memory-leak", "oom", "kasan", "kfence", "ubsan", "warning", "refcount", "bad-page",
    "spinlock-bug", "mm-teardown", "unwinder", "msr-access", "cpu-backtrace", "waiting-task",
    "workqueue-leak", "lockdep-exhausted", "kobject", "reference-leak",
})  # fmt: skip
_EARLY = lazy_regex(
    r"PANIC: early exception (?P<vector>(?:0x)?[0-9a-f]{2}) (?:IP|rip) [0-9a-f]+:(?P<pc>[0-9a-f]+) "
)
_INIT = lazy_regex(r"Attempted to kill init!(?: exitcode=0x(?P<code>[0-9a-f]{8}))?")
_SIGNALS = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV",
            15: "SIGTERM", 31: "SIGSYS"}  # fmt: skip
# do_signal_stop() in kernel/signal.c leaves these in group_exit_code.
_STOPS = {19: "SIGSTOP", 20: "SIGTSTP", 21: "SIGTTIN", 22: "SIGTTOU"}
HARDWARE = (
    "machine check",
    "Machine check",
    "hardware error",
    "Hardware Error",
    "hardware memory error",
    "SError",
    "Not all CPUs entered",
)
"""Words of the reasons that blame the hardware."""


def explain_panic(report: CrashReport) -> list[Statement]:
    """Returns what the reason means; the reason itself where it is not known."""
    if not report.panic and (early := first(report.lines, _EARLY)) is not None:
        text = (
            f"The kernel took the exception {early['vector']} at {early['pc']} while it was "
            "starting, before it had handlers for any: it stops there."
        )
        return [Statement(text, "certain", (quoted(early),))]
    if not report.panic:
        text = "The kernel stopped for good; its reason is not in the report."
        return [Statement(text, "certain", (head_of(report),))]
    if (matched := _INIT.search(report.panic)) is not None:
        return list(_init(matched, report.arch))
    words = next((words for phrase, words in _REASONS if phrase in report.panic), None)
    text = words or f"The kernel stopped for good. Its reason: {report.panic}"
    own = repeats(report) if "stack" in report.panic else []
    return [Statement(text, "certain", (f"Kernel panic - not syncing: {report.panic}",)), *own]


def then_panicked(report: CrashReport) -> list[Statement]:
    """That a report of another kind ended in a panic, and by which reason."""
    if not report.panic or report.kind == "panic":
        return []
    words = next((words for phrase, words in _REASONS if phrase in report.panic), None)
    if "Fatal exception" in report.panic and report.kind in _NO_EXCEPTION:
        words = "That exception is not this report: it was another one."
    text = f"Then the kernel panicked: {report.panic.rstrip('. ')}."
    ended = _INIT.search(report.panic)
    how = list(_init(ended, report.arch))[1:] if ended is not None else []
    return [Statement(f"{text} {words}" if words else text, "certain", (report.panic,)), *how]


def _init(matched: re.Match[str], arch: str | None) -> Iterator[Statement]:
    """Yields how init ended; exitcode is a wait status: signal in bits 0 to 6, exit code in
    bits 8 to 15 (kernel/exit.c do_exit(), include/linux/wait.h).
    """
    text = "Process 1 (init) ended, and without it the kernel cannot go on."
    yield Statement(text, "certain", (matched[0],))
    if matched["code"] is None:
        return
    status = int(matched["code"], 16)
    number = status & 0x7F
    numbered = not (arch or "").startswith("mips")  # MIPS numbers its signals otherwise
    if numbered and number in _STOPS:
        text = (
            f"Its exit code holds signal {number} ({_STOPS[number]}), which kills nobody: init was "
            "stopped before; how it ended does not stand there."
        )
        yield Statement(text, "certain", (f"exitcode=0x{matched['code']}",))
        return
    how = (
        f"it was killed by signal {number}"
        + (f" ({_SIGNALS[number]})" if numbered and number in _SIGNALS else "")
        if number
        else f"it exited with code {status >> 8 & 0xFF}"
    )
    yield Statement(f"By its exit code {how}.", "certain", (f"exitcode=0x{matched['code']}",))
