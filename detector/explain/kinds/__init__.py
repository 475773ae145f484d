"""Explains each kind of report in the words and numbers of the report itself.

In: a report and the list of generic functions. Out: statements. One module for each family of
reports; what has no explainer of its own has a fixed sentence that holds for every report of its
kind. A memory fault is explained by its address (see `sentences`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from detector.explain.block_text import head_of
from detector.explain.kinds.hangs import (
    explain_hard_lockup,
    explain_hung,
    explain_soft_lockup,
    explain_workqueue,
)
from detector.explain.kinds.held_locks import explain_exhausted
from detector.explain.kinds.kasan import explain_kasan, explain_kfence
from detector.explain.kinds.locks import (
    explain_atomic_sleep,
    explain_lockdep,
    explain_preemptible,
    explain_spinlock,
    explain_workqueue_leak,
)
from detector.explain.kinds.memory import explain_allocation, explain_oom
from detector.explain.kinds.objects import (
    explain_bad_page,
    explain_list,
    explain_mm_teardown,
    explain_netdev,
    explain_refcount,
    explain_slab,
    explain_usercopy,
    explain_vfs_busy,
)
from detector.explain.kinds.panics import explain_panic, then_panicked
from detector.explain.kinds.rcu import explain_rcu_stall, explain_suspicious_rcu
from detector.explain.kinds.sanitisers import (
    explain_kcsan,
    explain_kmsan,
    explain_leak,
    explain_ubsan,
)
from detector.explain.kinds.stacks import explain_double_fault, explain_stack_overflow
from detector.explain.kinds.traps import (
    explain_bug,
    explain_divide,
    explain_invalid_opcode,
    explain_trap,
    explain_warning,
)
from detector.model import CrashReport, Statement

Explainer = Callable[[CrashReport, Container[str]], list[Statement]]

_EXPLAINERS: Mapping[str, Explainer] = {
    "hung-task": explain_hung,
    "soft-lockup": explain_soft_lockup,
    "hard-lockup": explain_hard_lockup,
    "workqueue-lockup": explain_workqueue,
    "rcu-stall": explain_rcu_stall,
    "kasan": explain_kasan,
    "kfence": explain_kfence,
    "kmsan": explain_kmsan,
    "kcsan": explain_kcsan,
    "ubsan": explain_ubsan,
    "memory-leak": explain_leak,
    "lockdep": explain_lockdep,
    "lockdep-exhausted": explain_exhausted,
    "atomic-sleep": explain_atomic_sleep,
    "preemptible": explain_preemptible,
    "spinlock-bug": explain_spinlock,
    "suspicious-rcu": explain_suspicious_rcu,
    "refcount": explain_refcount,
    "list-corruption": explain_list,
    "slab": explain_slab,
    "bad-page": explain_bad_page,
    "usercopy": explain_usercopy,
    "vfs-busy": explain_vfs_busy,
    "netdev-reference": explain_netdev,
    "mm-teardown": explain_mm_teardown,
    "oom": explain_oom,
    "memory-pressure": explain_allocation,
    "warning": explain_warning,
    "kernel-bug": explain_bug,
    "kernel-trap": explain_trap,
    "divide-error": explain_divide,
    "invalid-opcode": explain_invalid_opcode,
    "double-fault": explain_double_fault,
    "workqueue-leak": explain_workqueue_leak,
    "stack-overflow": explain_stack_overflow,
}
_FIXED: Mapping[str, str] = {
    "unwinder": (
        "The stack unwinder met a frame that it could not follow; the trace that it was making may "
        "be wrong, nothing else need be."
    ),
    "cfi": (
        "An indirect call or jump led to where it may not: the function pointer was overwritten, "
        "or leads to code of another type, or to code that was built without these checks."
    ),
    "kobject": (
        "The kernel's tree of devices (sysfs) was used wrongly by the driver below: a name given "
        "twice, or an object used before it was set up or after it was torn down."
    ),
    "reference-leak": (
        "Who took the reference below has not given it back when it should have been; what it "
        "refers to cannot be freed."
    ),
    "msr-access": (
        "The processor, or the hypervisor in its place, refused an access to a model-specific "
        "register; the kernel went on without it."
    ),
    "waiting-task": (
        "The task was in uninterruptible sleep when the kernel showed it; why it was shown is not "
        "in the report."
    ),
    "cpu-backtrace": (
        "The CPUs were made to show what they do; why, is not in the report. Which of them is the "
        "one that does not come back, if any, only its trace can tell."
    ),
    "fortify": "A copy, or the search for the end of a string, would have left its object.",
    "rust-panic": "Rust code found a state that its author held impossible.",
    "firmware-panic": "The trusted firmware beside the kernel stopped; the kernel itself need "
    "not be at fault.",
}


def explain_kind(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """Returns what this kind of report means, and that the kernel panicked in the end where it
    did.
    """
    if report.kind == "panic":
        return explain_panic(report)
    explainer = _EXPLAINERS.get(report.kind)
    if explainer is not None:
        statements = explainer(report, skip)
    else:
        words = _FIXED.get(report.kind)
        statements = [Statement(words, "certain", (head_of(report),))] if words else []
    return [*statements, *then_panicked(report)]
