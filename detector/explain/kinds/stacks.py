"""Explains stacks that ran over and double faults, by repeated frames and the pointer.

In: a report of class `stack-overflow` or `double-fault`. Out: statements. Formats:
arch/x86/kernel/traps.c handle_stack_overflow(), exc_double_fault() (4.10 to 6.x),
arch/arm64/kernel/traps.c handle_bad_stack() (4.14 to 6.x). The SYSCALL instruction does not change
the stack pointer (Intel SDM volume 2B): until the entry code has loaded the kernel's, an exception
finds that of user space.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from detector.crash.identity import base
from detector.explain.block_text import first, head_of, place, quoted
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

_GUARD = lazy_regex(
    r"BUG: (?P<which>\S+ )?stack guard page was hit at \S+ \(stack is (?P<range>\S+)\)"
)
_OVERFLOW = (
    "A kernel stack ran over its end: as a rule too deep a chain of calls (a function "
    "that calls itself), or too large local variables."
)
_REPEATED = "A kernel stack ran over its end: the same calls repeat on it."
_DOUBLE = (
    "A second exception struck while the first one was being delivered: most often the kernel "
    "stack had overflowed."
)
_LONGEST_CYCLE = 16  # frames of one round
_LEAST_ROUNDS = 3
# arch/x86/entry/entry_64.S, entry_64_compat.S (4.x to 6.x)
_ENTRIES = (
    "entry_SYSCALL", "entry_SYSENTER", "entry_INT80", "syscall_return_via_sysret", "asm_",
    "swapgs_restore_regs_and_return_to_usermode", "native_iret", "common_interrupt_return",
    "paranoid_", "error_entry", "error_return",
)  # fmt: skip
_PAGE, _WORD = 4096, 8  # bytes, x86_64
_USER_END = 1 << 47  # arch/x86/include/asm/page_64_types.h, four levels of page tables


def explain_stack_overflow(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A stack that ran over, and the frames that repeat in its trace."""
    del skip
    repeated = repeats(report)
    matched = first(report.lines, _GUARD)
    evidence = (quoted(matched),) if matched is not None else (head_of(report),)
    return [Statement(_REPEATED if repeated else _OVERFLOW, "certain", evidence), *repeated]


def explain_double_fault(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A double fault: with a stack pointer of user space, or with frames that repeat."""
    del skip
    stack = report.registers.get("rsp")
    if stack is not None and 0 < stack < _USER_END and report.arch == "x86_64":
        return _on_user_stack(report, stack)
    if (at_end := _at_end(report, stack)) is not None:
        return [at_end, *repeats(report)]
    return [Statement(_DOUBLE, "certain", (head_of(report),)), *repeats(report)]


def _at_end(report: CrashReport, stack: int | None) -> Statement | None:
    """A push whose page fault found no stack to put its frame on: CR2 is the word below the stack
    pointer, and the next page. None where the fault was another.
    """
    wrote, text = report.registers.get("cr2"), report.instruction or ""
    if stack is None or stack % _PAGE or wrote != stack - _WORD:
        return None
    if report.arch != "x86_64" or not text.startswith(("push", "call")):
        return None
    return Statement(
        f"The stack pointer had come to the end of what is mapped: `{text}` at rsp = {stack:#x} "
        f"could not write at {wrote:#x}, and the exception for that found no stack either. A "
        "kernel stack overflowed, or the stack pointer was set there wrongly.",
        "certain",
        (f"cr2 = {wrote:#x} = {stack:#x} - {_WORD}", f"{stack:#x} % {_PAGE} = 0"),
    )


def _on_user_stack(report: CrashReport, stack: int) -> list[Statement]:
    """A double fault whose stack pointer is no kernel's: at an entry, or after it was lost."""
    text = (
        "A second exception struck while the first one was being delivered, and the stack pointer "
        f"was {stack:#x}: an address of user space, of no kernel stack."
    )
    why = "The stack pointer was loaded with a wrong value."
    if report.pc is not None and base(report.pc.function).startswith(_ENTRIES):
        why = (
            f"It struck at an entry of the kernel ({place(report.pc)}), where the stack pointer is "
            "still, or again, the program's. Not an overflow: an exception was raised there, or "
            "the entry's own code or data was not mapped (look at cr2 and cr3), or hardware or a "
            "hypervisor is at fault."
        )
    evidence = (f"rsp = {stack:#x} < {_USER_END:#x}",)
    return [Statement(text, "certain", evidence), Statement(why, "likely", evidence)]


def repeats(report: CrashReport) -> list[Statement]:
    """The frames that repeat in the trace, outermost first; empty where none do."""
    names = [base(frame.function) for frame in report.frames if frame.reliable]
    repeating = _cycle(names)
    if repeating is None:
        return []
    at, length, rounds = repeating
    cycle = names[at : at + length][::-1]
    chain = " → ".join(cycle)
    text = (
        f"{cycle[0]} calls itself: it stands {rounds} times in a row in the trace."
        if length == 1
        else f"These calls repeat in the trace, {rounds} times in a row: {chain} → {cycle[0]}."
    )
    return [Statement(text, "certain", (chain,))]


def _cycle(names: Sequence[str]) -> tuple[int, int, int] | None:
    """(start, length, rounds) of what repeats over the most frames; the shortest where two do as
    far. None where nothing repeats three times.
    """
    best: tuple[int, int, int] | None = None
    for length in range(1, min(_LONGEST_CYCLE, len(names) // _LEAST_ROUNDS) + 1):
        run = 0
        for at in range(len(names) - length):
            run = run + 1 if names[at] == names[at + length] else 0
            rounds = run // length + 1
            covered = rounds * length
            if rounds >= _LEAST_ROUNDS and (best is None or covered > best[1] * best[2]):
                best = (at + 1 - run, length, rounds)
    return best
