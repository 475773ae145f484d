"""Forms of the reports of what does not come back, lockups, stalls, hung tasks, and of
what ends everything: panics.
"""

from __future__ import annotations

from detector.crash.forms.form import CALLERS, FAULT, LOOP, NAME, form, recipe
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
    ),
    form(
        "stack-overflow",
        r"Kernel panic - not syncing: kernel stack overflow",
        "kernel stack overflow in {function}",
        recipe(TRACE, STACK, skip="bad_stack", choose="stall"),
        CALLERS,
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
