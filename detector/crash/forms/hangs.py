"""Forms of the reports of what does not come back, lockups, stalls, hung tasks, and of
what ends everything: panics.

To 4.11 they say INFO or BUG in brackets and name the function in the line `at:`.
"""

from __future__ import annotations

from detector.crash.forms.form import (
    ADDRESS_AND_NAME,
    AT,
    CALLERS,
    FAULT,
    LOCK_AT,
    LOOP,
    NAME,
    after,
    form,
    recipe,
)
from detector.crash.guilty import PC, STACK, TRACE
from detector.lazy_regex import lazy_regex

_TIMER = "apic_timer_interrupt|rcu"
STALLS = (
    recipe(lazy_regex("apic_timer_interrupt"), PC, STACK, skip=_TIMER, choose="stall"),
    recipe(
        lazy_regex("apic_timer_interrupt|Exception stack|el1h_64_irq"),
        STACK,
        skip=_TIMER,
        choose="stall",
    ),
)
_WARNS = (
    "^panic$|check_panic_on_warn|warn_slowpath|^__warn|report_bug|fixup_bug|(?:handle|invalid)_"
)
"""They stand between a WARN() and the panic that was made of it (kernel/panic.c, lib/bug.c)."""

_CORRUPTED_IN = recipe(lazy_regex(r"is corrupted in: (?!\[?<?[0-9a-f]{8})" + NAME), plain=True)

HANGS = (
    form("soft-lockup", r"BUG: soft lockup", "BUG: soft lockup in {function}", LOOP, FAULT),
    form(
        "hard-lockup",
        r"[hH]ard LOCKUP|detected LOCKUP",
        "BUG: hard lockup in {function}",
        LOOP,
        FAULT,
    ),
    form(
        "rcu-stall",
        r"INFO: rcu\w* (?:self-)?detected (?:expedited )?stall",
        "INFO: rcu detected stall in {function}",
        *STALLS,
    ),
    form(
        "hung-task",
        r"INFO: task .* blocked (?:in I/O wait )?for more than [0-9]+ seconds",
        "INFO: task hung in {function}",
        recipe(TRACE, STACK, choose="hung"),
    ),
    form(
        "hung-task",
        r"INFO: task .* can't die for more than .* seconds",
        "INFO: task can't die in {function}",
        recipe(TRACE, STACK, skip="schedule"),
    ),
    form(
        "panic",
        r"Kernel panic - not syncing: stack-protector:",
        "kernel panic: stack is corrupted in {function}",
        _CORRUPTED_IN,
        recipe(TRACE, STACK, skip="stack_chk"),
    ),
    form(
        "panic",
        r"Kernel panic - not syncing: corrupted stack end",
        "kernel panic: corrupted stack end in {function}",
        recipe(TRACE, STACK, skip="schedule|retint_kernel", choose="stall"),
        recipe(TRACE, STACK, skip="schedule|retint_kernel|^panic$"),
    ),
    form(
        "stack-overflow",
        r"Kernel panic - not syncing: kernel stack overflow",
        "kernel stack overflow in {function}",
        recipe(TRACE, STACK, skip="bad_stack", choose="stall"),
        recipe(TRACE, STACK, skip="bad_stack|^panic$"),
    ),
    form(
        "panic",
        r"Kernel panic - not syncing: Attempted to kill init!",
        "kernel panic: Attempted to kill init!",
    ),
    form(
        "panic",
        r"Kernel panic - not syncing: Couldn't open N_TTY ldisc for ",
        "kernel panic: Couldn't open N_TTY ldisc",
    ),
    form("panic", r"Kernel panic - not syncing: Fatal exception", "kernel panic: Fatal exception"),
    form(
        "panic",
        r"Kernel panic - not syncing: panic_on_warn set",
        "kernel panic: panic_on_warn set",
        recipe(PC, STACK, skip=_WARNS),
        recipe(TRACE, STACK, skip=_WARNS),
    ),
    form("panic", r"PANIC: early exception ", "PANIC: early exception in {function}", FAULT),
    form(
        "panic",
        r"Kernel panic(?: - not syncing)?: (?P<what>.*?) ?(?:\]---)?$",
        "kernel panic: {what}",
    ),
    form(
        "firmware-panic",
        r"trusty: panic.* ASSERT FAILED.*?\): (?P<what>.+)",
        "trusty: ASSERT FAILED: {what}",
    ),
    form("firmware-panic", r"trusty: panic \(.*?\): (?P<what>.+)", "trusty: panic: {what}"),
    form(
        "rust-panic",
        r"rust_kernel: panicked at ",
        "{message} in {function}",
        recipe(TRACE, STACK, skip="__rustc::|rust_begin_unwind"),
        body=r"panicked at .*\n(?P<message>.+)",
    ),
)


_DEADLOCK = "possible deadlock in {function}"
_ACQUIRES = after("is trying to acquire", LOCK_AT)
_CHANGED = after("just changed the state of lock", LOCK_AT)
_LEAVES = after("leaving the kernel with locks still held", LOCK_AT)
_RCU = recipe(TRACE, STACK, skip="rcu|kmem|slab")
_WORK = "process_one_work|flush_workqueue|drain_workqueue|destroy_workqueue"
"""They take locks for the work item's sake."""
NON_STATIC = recipe(TRACE, STACK, skip="stack|lock|IRQ")

LOCKS = (
    form(
        "lockdep",
        r"WARNING: possible circular locking dependency detected",
        _DEADLOCK,
        recipe(AT, AT, STACK, skip=_WORK),
        body=r"is trying to acquire lock",
    ),
    form(
        "lockdep", r"WARNING: possible irq lock inversion dependency detected", _DEADLOCK, _CHANGED
    ),
    form(
        "lockdep",
        r"WARNING: .*-safe -> .*-unsafe lock order detected",
        _DEADLOCK,
        recipe(lazy_regex("which became .* at:"), STACK),
    ),
    form("lockdep", r"WARNING: possible recursive locking detected", _DEADLOCK, _ACQUIRES),
    form(
        "lockdep",
        r"WARNING: inconsistent lock state",
        "inconsistent lock state in {function}",
        CALLERS,
    ),
    form(
        "suspicious-rcu",
        r"WARNING: suspicious RCU usage",
        "WARNING: suspicious RCU usage in {function}",
        _RCU,
    ),
    form(
        "lockdep",
        r"WARNING: .*still has locks held!",
        "WARNING: still has locks held in {function}",
        recipe(AT, plain=True),
    ),
    form(
        "lockdep",
        r"WARNING: Nested lock was not taken",
        "WARNING: nested lock was not taken in {function}",
        CALLERS,
    ),
    form(
        "lockdep",
        r"(?P<word>WARNING|BUG): lock held when returning to user space",
        "{word}: lock held when returning to user space in {function}",
        _LEAVES,
    ),
    form(
        "lockdep",
        r"(?P<word>WARNING|BUG): bad unlock balance detected!",
        "{word}: bad unlock balance in {function}",
        recipe(ADDRESS_AND_NAME, TRACE, STACK),
        CALLERS,
    ),
    form(
        "lockdep",
        r"WARNING: held lock freed!",
        "WARNING: held lock freed in {function}",
        recipe(AT, plain=True),
    ),
    form(
        "lockdep",
        r"BUG: held lock freed!",
        "BUG: held lock freed in {function}",
        recipe(ADDRESS_AND_NAME, plain=True),
    ),
    form(
        "lockdep",
        r"BUG: .*still has locks held!",
        "BUG: still has locks held in {function}",
        recipe(ADDRESS_AND_NAME, plain=True),
    ),
    form(
        "lockdep",
        r"BUG: Invalid wait context",
        "WARNING: locking bug in {function}",
        recipe(TRACE, STACK, skip="lock_sock|release_sock"),
    ),
    form(
        "lockdep",
        r"INFO: possible (?:circular locking dependency|recursive locking) detected",
        _DEADLOCK,
        _ACQUIRES,
    ),
    form("lockdep", r"INFO: possible irq lock inversion dependency detected", _DEADLOCK, _CHANGED),
    form("lockdep", r"INFO: \w+-safe -> \w+-unsafe lock order detected", _DEADLOCK, _ACQUIRES),
    form(
        "lockdep",
        r"INFO: inconsistent lock state",
        "inconsistent lock state in {function}",
        after("takes", LOCK_AT),
    ),
    form(
        "lockdep",
        r"INFO: trying to register non-static key",
        "INFO: trying to register non-static key in {function}",
        NON_STATIC,
    ),
    form(
        "suspicious-rcu",
        r"INFO: suspicious (?:RCU usage|rcu_dereference)",
        "INFO: suspicious RCU usage in {function}",
        _RCU,
    ),
)
