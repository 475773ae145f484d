"""The shape of a kernel report's lines: what ends one, what continues it, which heads belong
together.

In: a line's text or the classes of two heads. Out: yes, no, or a label. No state: the machine keeps
that.
"""

from __future__ import annotations

import re

NMI_TRACE = "Sending NMI from CPU"
"""After this line the other CPUs print their traces into the report (lib/nmi_backtrace.c)."""

REPLAY = "** replaying previous printk message **"
"""kernel/printk/printk.c to 5.9: the line before this one was cut on the console and follows once more, whole."""

_BANNER = re.compile(r"Linux version \d|Booting Linux on physical CPU")
_END = re.compile(
    r"---\[ end (?:trace|Kernel panic)|Rebooting in \d+ seconds|Starting crashdump kernel"
)
_BAR = re.compile(r"={32,}$")
_TRACE = re.compile(
    r"\s*(?:Call Trace|Call trace|Backtrace|backtrace|stack backtrace|Stack traceback)\b.*:"
)
_AFTER_END = re.compile(
    r"\s*(?:RIP|EIP|Code|RSP|ESP|EFLAGS|R[A-D]X|R[SDB][IP]|R\d\d|E[A-D]X|ESI|FS|CS|CR2|DR\d|PKRU|Modules "
    r"linked in|Kernel Offset"
    r"|PHYS_OFFSET|CPU features|Memory Limit|SMP|Dumping ftrace buffer|Starting crashdump "
    r"kernel|Disabling lock debugging"
    r"|Shutting down cpus|note|Fixing recursive fault)\b|\s*\(ftrace buffer "
    r"empty\)|\s*</?(?:TASK|IRQ|NMI)>|---\[ end "
)
_LABEL = re.compile(r"\s*(?:\[[0-9a-f]+\] \*?)?([A-Za-z_][\w -]{0,30}?) ?[:=]")
_USER = re.compile(r"(?:PC|LR) is at 0x|(?:pc|lr|sp) : (?:\[<)?0000|Code: ")

_SELF_CLOSING = frozenset({"kasan", "kmsan", "kcsan", "kfence", "ubsan"})
"""Reports between two bars of `=` (mm/kasan/report.c, mm/kmsan/report.c, kernel/kcsan/report.c, mm/kfence/report.c, lib/ubsan.c)."""

_TRACE_IS_END = frozenset(
    {
        "soft-lockup",
        "hard-lockup",
        "rcu-stall",
        "hung-task",
        "workqueue-lockup",
        "lockdep",
        "suspicious-rcu",
        "atomic-sleep",
        "preemptible",
    }
    | {
        "bad-page",
        "spinlock-bug",
        "slab",
        "kernel-bug-message",
        "memory-leak",
        "panic",
        "oom",
        "memory-pressure",
        "workqueue-leak",
    }
)
"""Reports that print no end mark: a trace is their end (kernel/watchdog.c, kernel/rcu/tree_stall.h, kernel/hung_task.c …)."""

_ONE_LINE = frozenset(
    {
        "mm-teardown",
        "vfs-busy",
        "netdev-reference",
        "lockdep-exhausted",
        "firmware-panic",
        "unwinder",
    }
)
"""Reports of one line that tells, without a trace; some are repeated every ten seconds for hours."""

_PARALLEL = frozenset(
    {
        "memory-fault",
        "kernel-bug",
        "invalid-opcode",
        "divide-error",
        "warning",
        "soft-lockup",
        "hard-lockup",
    }
)
"""What two CPUs may well report at one time."""

_DIES = frozenset(
    {
        "memory-fault",
        "memory-fault-hint",
        "kernel-bug",
        "list-corruption",
        "usercopy",
        "double-fault",
        "stack-overflow",
        "cfi",
    }
)
_WARNED = frozenset(
    {"refcount", "odebug", "list-corruption", "netdev-watchdog", "usercopy", "fortify", "cfi"}
)
_JOINS = {
    "oops": _DIES | {"kernel-trap"},
    "invalid-opcode": _DIES,
    "kernel-trap": frozenset({"kernel-bug"}),
    "double-fault": frozenset({"double-fault", "stack-overflow"}),
    "stack-overflow": frozenset({"double-fault", "stack-overflow"}),
    "kernel-bug": frozenset({"list-corruption", "usercopy", "bad-page", "fortify", "slab"}),
    "memory-fault": frozenset({"memory-fault-hint", "stack-overflow"}),
    "warning": _WARNED,
    **dict.fromkeys(_WARNED, frozenset({"warning"})),
}
"""Class of the later head → classes of the heads that it may belong to."""

_JOINS_WITHIN = 32


def joins(head_class: str, later_class: str, lines: int, *, traced: bool) -> bool:
    """Whether a later head is a line of the open report and not a report of its own.

    The kernel announces some faults twice: `kernel BUG at` and then `invalid opcode`, `Unable to
    handle` and then `Internal error: Oops`, `refcount_t: underflow` and then `WARNING:`; and a
    panic is the last word of whatever came before it. Except for the panic, the second head comes
    before the trace: `lines` is how many lines the report has so far, `traced` whether its trace
    has begun.
    """
    if later_class == "panic":
        return True
    return not traced and lines <= _JOINS_WITHIN and head_class in _JOINS.get(later_class, ())


def in_parallel(head_class: str, later_class: str) -> bool:
    """Whether two heads without caller ids may be two CPUs at one time, rather than one that cuts
    the other off.
    """
    return head_class == later_class and head_class in _PARALLEL


def is_banner(text: str) -> bool:
    """Whether the line opens a new boot: init/main.c, arch/arm64/kernel/setup.c."""
    return _BANNER.match(text) is not None


def is_end(text: str, head_class: str) -> bool:
    """Whether the line is the last one of a report with this head: the end trace, the end of a
    panic, the closing bar of a sanitiser.
    """
    return _END.match(text) is not None or (
        head_class in _SELF_CLOSING and _BAR.match(text) is not None
    )


def is_one_line(head_class: str) -> bool:
    """Whether a report of this class is whole with its head, so that nothing need be followed for
    it.
    """
    return head_class in _ONE_LINE


def is_whole(head_class: str, *, traced: bool) -> bool:
    """Whether a report that prints no end mark has all it prints once something else follows."""
    return traced and head_class in _TRACE_IS_END


def starts_trace(text: str) -> bool:
    """Whether a call trace starts here."""
    return _TRACE.match(text) is not None


def continues_after_end(text: str) -> bool:
    """Whether a line after the end trace is still the report's: x86 repeats the registers there, a
    panic adds its own.
    """
    return _AFTER_END.match(text) is not None


def looks_user(text: str) -> bool:
    """Whether the line, next to a user fault, is that fault's: arm64's old block repeats the
    kernel's lines with user addresses.
    """
    return _USER.match(text) is not None


def label(text: str) -> str | None:
    """What a report prints once only names itself by: `CPU`, `Mem abort info`, `x29`, `pgd`; None
    for frames and prose.
    """
    found = _LABEL.match(text)
    return found[1] if found else None
