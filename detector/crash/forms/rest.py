"""Forms of what is left of reports whose head is lost or cut: the class is known, the kind
is not.

A report may be known by a line of its text, or by a frame of the function that prints it.
"""

from __future__ import annotations

from detector.crash.forms.bugs import BAD_PAGE, PREEMPTIBLE, SPINLOCK
from detector.crash.forms.faults import NULL_TITLE, PAGING_TITLE
from detector.crash.forms.form import AT, CALLERS, FAULT, LOCK_AT, LOOP, Form, after, form, recipe
from detector.crash.forms.hangs import NON_STATIC, STALLS
from detector.crash.forms.sanitisers import LEAK, UBSAN
from detector.crash.guilty import PC, STACK, TRACE
from detector.lazy_regex import lazy_regex

UNNAMED_FAULT = form("memory-fault", r"", PAGING_TITLE, FAULT)
UNNAMED_NULL = form("memory-fault", r"", NULL_TITLE, FAULT)
"""A memory fault whose `Unable to handle …` is lost: the address in its block says which of the
two."""

UNNAMED = form(
    "report-rest",
    r"^(?:---\[ end trace |\s*R?E?SP: |EIP: |Process )",
    "kernel report without its head in {function}",
    FAULT,
    recipe(TRACE, STACK, skip="panic|schedule"),
)
"""What only says that there was a report."""

INTERRUPTED = form(
    "report-rest",
    r"^\s*RSP: 0018:[0-9a-f]{16} EFLAGS: 0000[0-9a-f]{4} ORIG_RAX: f{14}",
    UNNAMED.title,
    LOOP,
    FAULT,
)
"""The same of a CPU that an interrupt stopped: of lockups and stalls, where one loops."""

_DEADLOCK_TITLE = "possible deadlock in {function}"
_OWN = "check_|validate_chain|print_"
_DEADLOCK = recipe(TRACE, STACK, skip=_OWN)
"""The lock validator's own functions stand on top (kernel/locking/lockdep.c)."""

_OF_KASAN = recipe(TRACE, STACK, skip="kernel_fault|tag_check|mem_abort|^el1_|^el1h_")
_OF_VALIDATOR = recipe(TRACE, STACK, skip=_OWN + "|lock|rcu")
_WARNS = r"warn_slowpath_\w+|__warn"
_WORK = "process_one_work|flush_workqueue|drain_workqueue|destroy_workqueue"
_LAST_FUNCTION = recipe(lazy_regex(r"last function: (?P<fn>\w+)"), plain=True)
_TAKES = after(r"\] takes:", LOCK_AT)


_SLEEPS = "schedule|^_*(?:mutex|down|rwsem|rt_mutex)_|^wait_(?:for|on)|io_schedule|^_*folio"


def _by(printer: str, kind: str, title: str, skip: str = "^$") -> Form:
    """A report that is known by the frame of the function that prints it; `skip` are its
    helpers.
    """
    head = rf"\b(?:{printer})(?:\.[\w.]+)?(?:\+0x|\) from )"
    return form(kind, head, title, recipe(TRACE, STACK, skip=f"{printer}|{skip}"))


PANICKED = _by("panic", "panic", "kernel panic in {function}", "schedule|_stack_chk")
"""A panic that only its own frame shows."""

RESTS = (
    form(
        "kasan",
        r"^(?P<access>Read|Write) of size \d+ (?:at addr|by task)",
        "KASAN: bad access {access} in {function}",
        _OF_KASAN,
    ),
    form(
        "kasan",
        r"^The buggy address belongs to|^Memory state around the buggy",
        "KASAN: bad access in {function}",
        _OF_KASAN,
    ),
    form("kasan", r"^(?:Allocated|Freed) by task \d", "KASAN: bad access"),
    _by(
        r"kasan_report_(?:invalid|double)_free",
        "kasan",
        "KASAN: invalid-free in {function}",
        "slab_|kfree|vunmap|vfree",
    ),
    _by(
        r"kasan_report\w*|kasan_object_err|__asan_report_\w+",
        "kasan",
        "KASAN: bad access in {function}",
        "kernel_fault|tag_check|mem_abort|^el1_|^el1h_",
    ),
    form(
        "lockdep",
        r"is trying to acquire",
        _DEADLOCK_TITLE,
        recipe(AT, AT, STACK, skip=_WORK),
        _DEADLOCK,
    ),
    form("lockdep", r"is trying to lock:", "locking bug in {function}", CALLERS),
    form(
        "lockdep",
        r"is leaving the kernel with locks",
        "lock held when returning to user space in {function}",
        after("is leaving the kernel with locks still held", LOCK_AT),
    ),
    form(
        "lockdep",
        r"with a lock still held there",
        "held lock freed in {function}",
        recipe(AT, plain=True),
    ),
    form(
        "lockdep",
        r"needs lockdep annotation",
        "INFO: trying to register non-static key in {function}",
        NON_STATIC,
    ),
    form("lockdep", r"^but task is already holding", _DEADLOCK_TITLE, _DEADLOCK),
    form("lockdep", r"^which lock already depends", _DEADLOCK_TITLE, _DEADLOCK),
    form("lockdep", r"^ ?Possible .*unsafe locking", _DEADLOCK_TITLE, _DEADLOCK),
    form("lockdep", r"^other info that might", "locking bug in {function}", _OF_VALIDATOR),
    _by(
        "register_lock_class",
        "lockdep",
        "INFO: trying to register non-static key in {function}",
        "stack|lock|IRQ",
    ),
    _by("lockdep_sys_exit", "lockdep", "lock held when returning to user space"),
    _by("debug_check_no_locks_held", "lockdep", "still has locks held in {function}"),
    _by("debug_check_no_locks_freed", "lockdep", "held lock freed in {function}"),
    form(
        "lockdep",
        r"just changed the state of lock",
        _DEADLOCK_TITLE,
        after("just changed the state of lock", LOCK_AT),
    ),
    form("lockdep", r"\] takes:$", "inconsistent lock state in {function}", _TAKES, _DEADLOCK),
    form("lockdep", r"is trying to release lock", "bad unlock balance in {function}", CALLERS),
    _by("print_usage_bug", "lockdep", "inconsistent lock state in {function}", _OWN),
    _by("print_unlock_imbalance_bug", "lockdep", "bad unlock balance in {function}"),
    _by("print_freed_lock_bug", "lockdep", "held lock freed in {function}"),
    _by(
        "print_lock_(?:invalid_wait_context|nested_lock_not_held)",
        "lockdep",
        "locking bug in {function}",
        _OWN,
    ),
    _by(
        "print_(?:circular_bug|deadlock_bug|bad_irq_dependency|irq_inversion_bug)",
        "lockdep",
        _DEADLOCK_TITLE,
        _OWN,
    ),
    form(
        "suspicious-rcu",
        r"suspicious rcu_|in RCU\S* |RCU-list|rcu_scheduler_active = |lockdep_rcu_suspicious",
        "suspicious RCU usage in {function}",
        recipe(TRACE, STACK, skip="rcu|kmem|slab"),
    ),
    form(
        "rcu-stall",
        r"jiffies,? g=|this GP\) idle=|^All QSes seen, "
        r"|rcu_dump_cpu_stacks|print_(?:other_)?cpu_stall|RCU grace-period kthread"
        r"|RCU GP kthread last ran|rcu_sched_clock_irq|rcu_check_callbacks",
        "INFO: rcu detected stall in {function}",
        *STALLS,
    ),
    form(
        "atomic-sleep",
        r"^in_atomic\(\): |__might_resched|___might_sleep|__schedule_bug",
        "BUG: call from a wrong context in {function}",
        recipe(TRACE, STACK, skip="schedule"),
    ),
    form(
        "preemptible",
        r"^caller is |check_preemption_disabled|debug_smp_processor_id|__this_cpu_preempt_check",
        "BUG: use of one CPU's data in preemptible code in {function}",
        PREEMPTIBLE,
    ),
    form(
        "spinlock-bug",
        r", \.owner_cpu: |\b(?:spin_dump|spin_bug|rwlock_bug)\b",
        "BUG: lock misused or damaged in {function}",
        SPINLOCK,
    ),
    form(
        "bad-page",
        r"^page dumped because: |\bbad_page\b",
        "BUG: Bad page state in {function}",
        *BAD_PAGE,
    ),
    form(
        "slab",
        r"^INFO: (?:Slab|Object) 0x",
        "BUG: slab object damaged in {function}",
        CALLERS,
    ),
    _by(
        "check_bytes_and_report|print_trailer",
        "slab",
        "BUG: slab object damaged in {function}",
        "object_err|slab_err|free_consistency_checks|alloc_consistency_checks",
    ),
    form("kmsan", r"^Uninit was |^Local variable ", "KMSAN: uninitialised value"),
    _by(r"__msan_warning|kmsan_\w+", "kmsan", "KMSAN: uninitialised value in {function}"),
    form("kcsan", r"^Reported by Kernel Concurrency|^value changed: ", "KCSAN: race"),
    form(
        "kcsan",
        r"^(?:read|write|race)\b.* of \d+ bytes by ",
        "KCSAN: race in {function}",
        recipe(STACK),
    ),
    form(
        "ubsan",
        r"is out of range for type|^shift exponent |signed integer overflow|ubsan_",
        "UBSAN: undefined-behaviour in {function}",
        UBSAN,
    ),
    form(
        "memory-leak",
        r"^unreferenced object 0x|^  (?:comm|hex dump) ",
        "memory leak in {function}",
        LEAK,
    ),
    _by("warn_alloc(?:_failed)?", "memory-pressure", "allocation failure in {function}"),
    form(
        "warning",
        rf"\b(?:{_WARNS})(?:\.[\w.]+)?(?:\+0x|\) from )",
        "WARNING in {function}",
        recipe(PC, STACK, skip=_WARNS),
        recipe(TRACE, STACK, skip=_WARNS),
    ),
    form(
        "workqueue-leak",
        r"last function: ",
        "BUG: workqueue leaked lock or atomic in {function}",
        _LAST_FUNCTION,
    ),
    form("panic", r"---\[ end Kernel panic|^Rebooting in ", "kernel panic"),
    PANICKED,
    form(
        "hung-task",
        r'^"echo 0 > /proc',
        "INFO: task hung in {function}",
        recipe(TRACE, STACK, choose="hung"),
    ),
    _by(
        r"io_schedule\w*|rwsem_down_\w+|mutex_lock_nested|__mutex_lock_slowpath"
        r"|__wait_rcu_gp|synchronize_\w+|__flush_work|__cancel_work_timer",
        "waiting-task",
        "task in uninterruptible sleep in {function}",
        _SLEEPS + "|^wait_on|^__wait_rcu",
    ),
    form(
        "waiting-task",
        r"^task:.* state:D |^\S.{0,14}? +D (?:ffff|0000|   0 )",
        "task in uninterruptible sleep in {function}",
        recipe(TRACE, STACK, skip=_SLEEPS),
    ),
    form(
        "cpu-backtrace",
        r"^(?:Sending NMI from CPU|NMI backtrace for cpu|Task dump for CPU) ",
        "backtrace of CPUs, in {function}",
        FAULT,
    ),
)

_BEFORE_OTHERS = frozenset({"waiting-task", "cpu-backtrace", "panic", "hung-task", "report-rest"})
PRINTED = tuple(item for item in RESTS if item.kind not in _BEFORE_OTHERS)
"""Forms that a frame may show far below the first line of what is left of a report."""
