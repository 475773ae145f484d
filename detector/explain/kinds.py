"""Reports that name no bad address: what each kind means, in a sentence or two, and what to look at
next.

In: the kind (the class of the signature that opened the report). Out: its meaning. Only what holds
for every report of the kind is said. Sources: the kernel files named by the signatures;
Documentation/admin-guide/lockup-watchdogs.rst, Documentation/RCU/stallwarn.rst (6.x).
"""

from __future__ import annotations

from collections.abc import Mapping

from detector.model import CrashReport

_STUCK = (
    "The trace shows where that CPU was when the watchdog looked, not necessarily where the "
    "fault is."
)

_KINDS: Mapping[str, str] = {
    "warning": (
        "A WARN_ON() was hit: the kernel found a state that its author held impossible, said "
        "so, and went on."
    ),
    "kernel-bug": (
        "A BUG_ON() was hit: the kernel found a state that it cannot go on from and killed the "
        "task (or the host)."
    ),
    "refcount": (
        "A reference counter left its range: an object was put more often than taken, or taken "
        "after its release (use after free)."
    ),
    "soft-lockup": (
        f"One CPU ran in the kernel for more than 20 s without letting another task run. {_STUCK}"
    ),
    "hard-lockup": (
        "One CPU took no interrupts for about 10 s: it spins with interrupts off, or the "
        f"hardware hangs. {_STUCK}"
    ),
    "rcu-stall": f"RCU waited 21 s or more for a CPU or a task to pass a quiescent state. {_STUCK}",
    "hung-task": (
        "A task slept uninterruptibly (state D) for 120 s or more: it waits for I/O or for a "
        "lock whose holder is not named here."
    ),
    "workqueue-lockup": (
        "A work queue's pool made no progress for 30 s or more: one of its work items blocks "
        "or spins."
    ),
    "double-fault": (
        "A second exception struck while the first one was being delivered: most often the "
        "kernel stack had overflowed."
    ),
    "stack-overflow": (
        "A kernel stack ran over its end: too deep a chain of calls, or too large local variables."
    ),
    "divide-error": "The kernel divided by zero, or a quotient did not fit.",
    "invalid-opcode": (
        "The CPU met an instruction that it does not know: a BUG(), or code memory that is corrupt."
    ),
    "list-corruption": "A list's neighbours do not point at each other: an entry was freed, deleted twice, or "
    "written over. The function "
    "named found it; it need not have done it.",
    "kasan": (
        "KASAN saw an access to memory that is freed or out of bounds; the report names the "
        "access, the allocation and the release."
    ),
    "kfence": (
        "KFENCE, which samples allocations, saw an access to memory that is freed or out of bounds."
    ),
    "kmsan": "KMSAN saw a value used that was never initialised.",
    "kcsan": "KCSAN saw two CPUs access one variable without synchronisation.",
    "ubsan": (
        "UBSAN saw an operation that the C language does not define: an index out of bounds, a "
        "shift too wide, an overflow."
    ),
    "lockdep": (
        "Lockdep found locks taken in an order, or in a context, that can deadlock; it need "
        "not have happened this time."
    ),
    "atomic-sleep": (
        "A function that may sleep was called where sleeping is forbidden (a spinlock held, "
        "interrupts off, an RCU section)."
    ),
    "bad-page": (
        "A page went back to the allocator in a state that a free page cannot have: memory "
        "corruption, or a reference too few."
    ),
    "slab": (
        "The slab allocator found an object's red zone or poison changed: somebody wrote "
        "outside an object, or after its release."
    ),
    "spinlock-bug": (
        "A spinlock was used wrongly: unlocked by another CPU, never initialised, or its "
        "memory was overwritten."
    ),
    "usercopy": (
        "A copy between kernel and user space would have left the bounds of a kernel object, "
        "and was stopped."
    ),
    "panic": "The kernel stopped for good; the line names the reason.",
    "memory-leak": "kmemleak found memory that nothing points to any more.",
    "suspicious-rcu": (
        "A pointer that RCU protects was read outside a read-side section, or a section holds "
        "what it must not."
    ),
    "preemptible": "Data of one CPU was used while the task could still move to another CPU.",
    "unwinder": (
        "The stack unwinder met a frame that it could not follow; the trace above may be "
        "wrong, nothing else need be."
    ),
    "vfs-busy": (
        "A file system was unmounted while some of its objects were still in use: a reference "
        "was leaked."
    ),
    "netdev-reference": (
        "A network device cannot go away, since somebody still holds a reference to it: a "
        "reference was leaked."
    ),
    "mm-teardown": (
        "A process's memory was torn down with counters left over: pages were leaked, or "
        "counted wrongly."
    ),
    "general-protection": (
        "The CPU refused an access without naming an address: on x86_64 a pointer that is not "
        "canonical, as a rule."
    ),
}
# Where the title says more than the kind.
_TITLES: tuple[tuple[str, str], ...] = (
    ("refcount bug", "refcount"),
    ("corrupted list", "list-corruption"),
    ("general protection", "general-protection"),
)

ALLOCATORS = (
    "kmem_cache_alloc",
    "__kmalloc",
    "kmalloc",
    "___slab_alloc",
    "__slab_alloc",
    "get_freepointer",
    "deactivate_slab",
    "slab_alloc",
)
FREELIST = (
    "The slab allocator followed its list of free objects to a bad address: that pointer "
    "lies inside a freed object, and something wrote "
    "over it after the release. The function named here is the victim, not the cause."
)


def meaning_of(report: CrashReport) -> str | None:
    """What this kind of report means, or None where the kind says nothing by itself (a memory fault
    is told by its address).
    """
    title = report.title or ""
    kind = next((kind for phrase, kind in _TITLES if phrase in title), report.kind)
    return _KINDS.get(kind)
