"""The shape of a kernel report's lines: what ends one, what continues it, which heads belong together.

In: a line's text or the classes of two heads. Out: yes, no, or a label. No state: the machine keeps that.
"""

from __future__ import annotations

import re

NMI_TRACE = "Sending NMI from CPU"
"""After this line the other CPUs print their traces into the report (lib/nmi_backtrace.c)."""

REPLAY = "** replaying previous printk message **"
"""printk.c before 5.10: the line before this one was cut on the console and follows once more, whole."""

_BANNER = re.compile(r"Linux version \d|Booting Linux on physical CPU")
_END = re.compile(r"---\[ end (?:trace|Kernel panic)|Rebooting in \d+ seconds")
_BAR = re.compile(r"={32,}$")
_TRACE = re.compile(r"\s*(?:Call Trace|Call trace|Backtrace|backtrace|stack backtrace|Stack traceback)\b.*:")
_AFTER_END = re.compile(
    r"\s*(?:RIP|EIP|Code|RSP|ESP|EFLAGS|R[A-D]X|R[SDB][IP]|R\d\d|E[A-D]X|ESI|FS|CS|CR2|DR\d|PKRU|Modules linked in|Kernel Offset"
    r"|PHYS_OFFSET|CPU features|Memory Limit|SMP|Dumping ftrace buffer|Starting crashdump kernel|Disabling lock debugging"
    r"|Shutting down cpus|note|Fixing recursive fault)\b|\s*\(ftrace buffer empty\)|\s*</?(?:TASK|IRQ|NMI)>|---\[ end "
)
_LABEL = re.compile(r"\s*(?:\[[0-9a-f]+\] \*?)?([A-Za-z_][\w -]{0,30}?) ?[:=]")

_SELF_CLOSING = frozenset({"kasan", "kmsan", "kcsan", "kfence", "ubsan"})
"""Reports between two bars of `=` (mm/kasan/report.c, mm/kmsan/report.c, kernel/kcsan/report.c, mm/kfence/report.c, lib/ubsan.c)."""

_ENDLESS = frozenset(
    {
        "soft-lockup", "hard-lockup", "rcu-stall", "hung-task", "workqueue-lockup", "lockdep", "atomic-sleep", "bad-page", "spinlock-bug",
        "kernel-bug-message", "memory-leak", "panic",
    }
)  # fmt: skip
"""Reports that print no end mark: their trace is their end (kernel/watchdog.c, kernel/rcu/tree_stall.h, kernel/hung_task.c …)."""

_DIES = frozenset(
    {"memory-fault", "memory-fault-hint", "kernel-bug", "list-corruption", "usercopy", "double-fault", "stack-overflow", "cfi"}
)
_WARNED = frozenset({"refcount", "odebug", "list-corruption", "nic-timeout", "netdev-watchdog", "usercopy", "fortify", "cfi"})
_WARNING = frozenset({"warning"})
_JOINS = {
    "oops": _DIES | {"kernel-trap"},
    "invalid-opcode": _DIES,
    "kernel-trap": frozenset({"kernel-bug"}),
    "double-fault": frozenset({"double-fault", "stack-overflow"}),
    "stack-overflow": frozenset({"double-fault", "stack-overflow"}),
    "kernel-bug": frozenset({"list-corruption", "usercopy", "bad-page", "fortify", "slab"}),
    "memory-fault": frozenset({"memory-fault-hint", "stack-overflow"}),
    "warning": _WARNED,
    **dict.fromkeys(_WARNED, _WARNING),
}
"""Class of the later head → classes of the heads that it may belong to."""

_JOINS_WITHIN = 12


def joins(head_class: str, later_class: str, lines: int) -> bool:
    """Whether a later head is a line of the open report and not a report of its own.

    The kernel announces some faults twice: `kernel BUG at` and then `invalid opcode`, `Unable to handle` and then `Internal error: Oops`,
    `refcount_t: underflow` and then `WARNING:`; and a panic is the last word of whatever came before it. Except for the panic, the
    second head follows closely: `lines` is how many lines the report has so far.
    """
    if later_class == "panic":
        return True
    return lines <= _JOINS_WITHIN and head_class in _JOINS.get(later_class, ())


def is_banner(text: str) -> bool:
    """Whether the line opens a new boot: init/main.c, arch/arm64/kernel/setup.c."""
    return _BANNER.match(text) is not None


def is_end(text: str, head_class: str) -> bool:
    """Whether the line is the last one of a report with this head: the end trace, the end of a panic, the closing bar of a sanitiser."""
    return _END.match(text) is not None or (head_class in _SELF_CLOSING and _BAR.match(text) is not None)


def is_endless(head_class: str) -> bool:
    """Whether reports of this class print no end mark, so that a finished trace is all the end there is."""
    return head_class in _ENDLESS


def starts_trace(text: str) -> bool:
    """Whether a call trace starts here."""
    return _TRACE.match(text) is not None


def continues_after_end(text: str) -> bool:
    """Whether a line after the end trace is still the report's: x86 repeats the registers there, a panic adds its own."""
    return _AFTER_END.match(text) is not None


def label(text: str) -> str | None:
    """What a report prints once only names itself by: `CPU`, `Mem abort info`, `x29`, `pgd`; None for frames and prose."""
    found = _LABEL.match(text)
    return found[1] if found else None
