"""The shape of kernel reports by class: their ends, continuations, lines, and double heads.

In: a line's text or the classes of heads. Out: yes or no. No state: the machine keeps that.
"""

from __future__ import annotations

from detector.lazy_regex import lazy_regex

WITHIN = "report-within"
"""Class of the lines that stand within a report and open none: a register dump, a trace."""

REQUESTED = "trace-requested"
"""Class of the lines after which somebody sees the traces that he had the kernel show (SysRq)."""

NMI_TRACE = "Sending NMI from CPU"
"""After this line the other CPUs print their traces into the report (lib/nmi_backtrace.c)."""

REPLAY = "** replaying previous printk message **"
"""kernel/printk/printk.c to 5.9: the line before this one was cut on the console and follows once
more, whole."""

_BANNER = lazy_regex(r"Linux version \d|Booting Linux on physical CPU")
_END = lazy_regex(
    r"---\[ end (?:trace|Kernel panic)|Rebooting in \d+ seconds|Starting crashdump kernel"
)
_BAR = lazy_regex(r"={32,}$")
_AFTER_END = lazy_regex(
    r"\s*(?:RIP|EIP|Code|RSP|ESP|EFLAGS|R[A-D]X|R[SDB][IP]|R\d\d|E[A-D]X|ESI|FS|CS|CR2|DR\d|PKRU"
    r"|Modules "
    r"linked in|Kernel Offset"
    r"|PHYS_OFFSET|CPU features|Memory Limit|SMP|Dumping ftrace buffer|Starting crashdump "
    r"kernel|Disabling lock debugging"
    r"|Shutting down cpus|note|Fixing recursive fault)\b|\s*\(ftrace buffer "
    r"empty\)|\s*</?(?:TASK|IRQ|NMI)>|---\[ end "
)
# kernel/panic.c panic(), after its trace; arch/*/kernel/setup.c.
_AFTER_PANIC = lazy_regex(
    r"---\[ end Kernel panic|Rebooting in |SMP: stopping|Kernel Offset: |CPU features: "
    r"|PHYS_OFFSET: |Memory Limit: |Shutting down cpus"
)
_NO_FAULT = lazy_regex(r"FAULT_INJECTION: forcing a failure|FAULT_FLAG_ALLOW_RETRY missing ")
_NAMED = lazy_regex(
    r"[\w./-]{1,32}(?: [\w.:-]{1,24}){0,2}(?: ?\([^)]{1,24}\)| ?\[\d+\])?: "
    r"|device \S+ (?:entered|left) |.{0,32}\bIN=\S* OUT="
)
_USER = lazy_regex(r"(?:PC|LR) is at 0x|(?:pc|lr|sp) : (?:\[<)?0000|Code: ")

_SELF_CLOSING = frozenset({"kasan", "kmsan", "kcsan", "kfence", "ubsan"})
"""Reports between two bars of `=` (mm/kasan/report.c, mm/kmsan/report.c, kernel/kcsan/report.c,
mm/kfence/report.c, lib/ubsan.c)."""

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
        "kobject",
        "reference-leak",
        "msr-access",
        "suspend-failed",
        "waiting-task",
        "cpu-backtrace",
        "lockdep-exhausted",
    }
)
"""Reports that print no end mark: a trace is their end (kernel/watchdog.c, kernel/rcu/tree_stall.h,
kernel/hung_task.c …)."""

_ONE_LINE = frozenset(
    {
        "mm-teardown",
        "vfs-busy",
        "netdev-reference",
        "firmware-panic",
        "unwinder",
        "driver-warning",
    }
)
"""Reports of one line that tells, without a trace; some are repeated every ten seconds for
hours."""

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
    "invalid-opcode": frozenset({"kernel-bug", "list-corruption", "usercopy", "cfi", "fortify"}),
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
_INLINED = lazy_regex(r"\[inline\](?: at addr [0-9a-f]{8,16})?\s*$")  # KASAN's heads to 4.9
_SAME_START = 11  # "BUG: KASAN:", "WARNING: CP"

_ONE_PRINTER = frozenset({"hung-task"})
"""Reports that one thread prints, each after the other (khungtaskd, kernel/hung_task.c)."""

_BARE_TRACE = frozenset({"kmsan", "kcsan", "kfence", "reference-leak"})
"""Reports whose frames follow without a line that says so (mm/kmsan/report.c,
kernel/kcsan/report.c, mm/kfence/report.c)."""

_PROSE = {
    "kasan": ("kasan", "page", "slab"),
    "kfence": ("kfence", "kasan", "page"),
    "kmsan": ("kmsan", "page"),
    "kcsan": ("kcsan", "lockdep"),
    "ubsan": ("ubsan",),
    "slab": ("slab", "page", "kasan"),
    "bad-page": ("page",),
    "memory-leak": ("memory-leak",),
    "rcu-stall": ("rcu-stall", "hung-task", "workqueue-lockup", "lockdep"),
    "hung-task": ("hung-task", "workqueue-lockup", "lockdep"),
    "soft-lockup": ("rcu-stall", "hung-task", "lockdep"),
    "hard-lockup": ("rcu-stall", "hung-task", "lockdep"),
    "workqueue-lockup": ("workqueue-lockup", "hung-task", "lockdep"),
    "oom": ("memory", "page", "hung-task"),
    "memory-pressure": ("memory", "page"),
    "panic": ("memory", "rcu-stall", "hung-task"),
    "rust-panic": ("rust-panic",),
    "waiting-task": ("hung-task", "lockdep"),
    "cpu-backtrace": ("rcu-stall", "hung-task", "lockdep"),
    "suspend-failed": ("hung-task", "workqueue-lockup", "lockdep"),
    "kernel-bug-message": ("page", "slab", "kasan", "memory-leak", "hung-task", "lockdep"),
    **dict.fromkeys(
        (
            "lockdep",
            "lockdep-exhausted",
            "suspicious-rcu",
            "atomic-sleep",
            "preemptible",
            "spinlock-bug",
            "workqueue-leak",
        ),
        ("lockdep",),
    ),
}
"""Class → the kinds of prose (see `phrases`) that its reports print."""

BEFORE_PAGE_TABLE = frozenset(
    {"Mem abort info", "ESR", "EC", "SET", "EA", "FSC", "Data abort info", "ISV", "CM", "GCS"}
    | {"user pgtable", "swapper pgtable", "pgd", "Exception class"}
)
"""What stands between the head of a memory fault and the page table of its address
(arch/arm64/mm/fault.c, arch/arm/mm/fault.c)."""

_NO_REGISTERS = frozenset(
    {"lockdep", "suspicious-rcu", "hung-task", "ubsan", "kasan", "kmsan", "kcsan", "atomic-sleep",
        "preemptible", "bad-page"}
    | {"slab", "memory-leak", "oom", "memory-pressure", "workqueue-lockup", "workqueue-leak",
        "spinlock-bug", "mm-teardown"}
    | {"vfs-busy", "netdev-reference", "lockdep-exhausted", "kobject", "reference-leak",
        "msr-access", "suspend-failed", "waiting-task"}
)  # fmt: skip
"""Reports that call dump_stack(): registers stand only under its trace, those of user space
(show_trace_log_lvl)."""

_SCHED_SHOWS_TASK = frozenset({"hung-task", "waiting-task"})
_DUMP_LABELS = frozenset({"CPU", "Pid", "Hardware name", "Modules linked in"})
_AFTER_TRACE = frozenset(
    {"Code", "RIP", "RSP", "RAX", "RDX", "RBP", "R10", "R13", "ORIG_RAX", "FS", "CS", "CR2", "DR0",
        "DR3", "PKRU"}
    | {"Modules linked in", "Kernel Offset", "note", "Instruction dump", "Krnl Code",
        "Last Breaking-Event-Address"}
)  # fmt: skip


def joins(head_class: str, later_class: str, lines: int, *, traced: bool) -> bool:
    """Returns whether a later head is a line of the open report and not a report of its own.

    The kernel announces some faults twice: `kernel BUG at` and then `invalid opcode`, `Unable to
    handle` and then `Internal error: Oops`, `refcount_t: underflow` and then `WARNING:`; and a
    panic is the last word of whatever came before it. Except for the panic, the second head comes
    before the trace: `lines` is how many lines the report has so far, `traced` whether its trace
    has begun.
    """
    if later_class == "panic":
        return True
    return not traced and lines <= _JOINS_WITHIN and head_class in _JOINS.get(later_class, ())


def expands(text: str, later: str) -> bool:
    """Returns whether a head repeats the one before it for the caller of an inlined function.
    scripts/decode_stacktrace.sh and syzbot print one line for each function that the inlined one
    was compiled into.
    """
    return _INLINED.search(text) is not None and text[:_SAME_START] == later[:_SAME_START]


def is_banner(text: str) -> bool:
    """Returns whether the line opens a new boot: init/main.c, arch/arm64/kernel/setup.c."""
    return _BANNER.match(text) is not None


def is_end(text: str, head_class: str) -> bool:
    """Returns whether the line is the last one of a report with this head.
    That is the end trace, the end of a panic, or the closing bar of a sanitiser.
    """
    return _END.match(text) is not None or (
        head_class in _SELF_CLOSING and _BAR.match(text) is not None
    )


def is_of_others(text: str, head_class: str) -> bool:
    """Returns whether reports with this newest head never print the line.
    That is an end mark where a trace is the end, or what follows a panic where there was none.
    """
    if head_class == "panic":
        return False
    traced = head_class in _TRACE_IS_END | _SELF_CLOSING and text.startswith("---[ end trace")
    return traced or _AFTER_PANIC.match(text) is not None


def is_one_line(head_class: str) -> bool:
    """Returns whether a report of this class is whole with its head.
    Nothing need be followed for it then.
    """
    return head_class in _ONE_LINE


def is_whole(head_class: str, *, traced: bool) -> bool:
    """Returns whether a report without an end mark is whole once something else follows."""
    return traced and head_class in _TRACE_IS_END


def follows_its_like(head_class: str, later_class: str) -> bool:
    """Returns whether a later head ends the report with this head: one thread prints both."""
    return head_class == later_class and head_class in _ONE_PRINTER


def has_bare_trace(head_class: str) -> bool:
    """Returns whether the frames of a report with this head follow without a line above them."""
    return head_class in _BARE_TRACE


def prose(head_class: str) -> tuple[str, ...]:
    """The kinds of prose that reports with this head print."""
    return _PROSE.get(head_class, ())


def never_prints(head_class: str, name: str) -> bool:
    """Returns whether reports with this head have no line of this name.
    kernel/hung_task.c shows the task as the scheduler knows it, without the lines of dump_stack().
    """
    return head_class in _SCHED_SHOWS_TASK and name in _DUMP_LABELS


def has_registers(head_class: str) -> bool:
    """Returns whether reports with this head show registers before their trace."""
    return head_class not in _NO_REGISTERS


def follows_trace(name: str) -> bool:
    """Returns whether a line of this name may stand behind the trace as well as before it."""
    return name in _AFTER_TRACE


def tells_no_fault(text: str) -> bool:
    """Returns whether a message prints a trace and reports no fault.
    lib/fault-inject.c fail_dump, fs/userfaultfd.c handle_userfault.
    """
    return _NO_FAULT.match(text) is not None


def is_chatter(text: str) -> bool:
    """Returns whether a text begins with the name of who printed it.
    Examples: `eth0: `, `EXT4-fs (sda1): `, `systemd[1]: `.
    """
    return _NAMED.match(text) is not None


def continues_after_end(text: str) -> bool:
    """Returns whether a line after the end trace is still the report's.
    x86 repeats the registers there, a panic adds its own.
    """
    return _AFTER_END.match(text) is not None


def looks_user(text: str) -> bool:
    """Returns whether the line, next to a user fault, is a part of that fault's report.
    arm64's old block repeats the kernel's lines with user addresses.
    """
    return _USER.match(text) is not None
