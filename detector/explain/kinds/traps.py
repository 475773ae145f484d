"""Explains exceptions without a bad address, and checks that a kernel makes of itself:
WARN, BUG.

In: a report of one of those classes. Out: statements. What an instruction did is read in
`sentences`. Formats: kernel/panic.c __warn(), lib/bug.c report_bug(), arch/x86/kernel/traps.c,
arch/arm64/include/asm/brk-imm.h (4.x to 6.x).
"""

from __future__ import annotations

from collections.abc import Container

from detector.explain.block_text import first, quoted
from detector.explain.kinds.objects import explain_list, explain_odebug, explain_refcount
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

_WARNING = lazy_regex(
    r"WARNING: (?:CPU: \d+ PID: \d+ )?(?:at )?(?:\[.*\] )?(?P<place>[\w./-]+\.[chSrs]+:\d+)"
)
_BUG = lazy_regex(r"[kK]ernel BUG at (?P<place>[^\s:!]{1,200}:\d+)")
_MESSAGES: tuple[tuple[str, str], ...] = (
    (
        "int3",
        (
            "The kernel met a breakpoint that nobody had set there: code that is being patched, or "
            "was overwritten."
        ),
    ),
    (
        "stack segment",
        (
            "The kernel used its stack pointer, or rbp, at an address that is not "
            "canonical: it was overwritten, or the stack was."
        ),
    ),
    (
        "control protection",
        (
            "A jump landed where no jump may land, or a return went elsewhere than "
            "its call came from (CET)."
        ),
    ),
    ("alignment check", "A memory operand was not aligned while the CPU was asked to check that."),
    ("bounds", "A `bound` instruction found its index out of range."),
    ("monitor event", "A check in the code failed: s390 prints so for WARN() and BUG()."),
    (
        "illegal operation",
        (
            "The CPU met an instruction that it does not know: a BUG(), or code that "
            "was overwritten."
        ),
    ),
)


def explain_warning(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A WARN(): where; a reference count or an object that the line before names."""
    if "refcount bug" in (report.title or ""):
        return explain_refcount(report, skip)
    matched = first(report.lines, _WARNING)
    where = f" at {matched['place']}" if matched is not None else ""
    stopped = report.panic or any(frame.function == "panic" for frame in report.frames)
    went_on = "" if stopped else ", said so, and went on"
    text = (
        f"A WARN(){where} was hit: the kernel found a state that its author held "
        f"impossible{went_on}."
    )
    evidence = (quoted(matched),) if matched is not None else (report.title or "",)
    return [Statement(text, "certain", evidence), *explain_odebug(report)]


def explain_bug(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A BUG(): where; a list's corruption is explained by the line before it."""
    if "corrupted list" in (report.title or ""):
        return explain_list(report, skip)
    matched = first(report.lines, _BUG)
    where = f" at {matched['place']}" if matched is not None else ""
    text = f"A BUG(){where} was hit: the kernel found a state that it cannot go on from."
    evidence = (quoted(matched),) if matched is not None else (report.title or "",)
    return [Statement(text, "certain", evidence)]


def explain_trap(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A trap by the word that names it; nothing for one whose word says it all."""
    del skip
    head = report.lines[0] if report.lines else report.title or ""
    words = next((words for name, words in _MESSAGES if name in head), None)
    return [Statement(words, "certain", (head.strip(),))] if words else []


def explain_invalid_opcode(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """An instruction that the CPU does not know."""
    del skip
    if (report.instruction or "").startswith("ud"):
        text = (
            "The kernel ran into an instruction that is there to stop it: a BUG() whose place is "
            "not "
            "printed, or a point that the compiler held to be out of reach."
        )
        return [Statement(text, "certain", (f"`{report.instruction}`",))]
    if report.instruction:
        text = (
            f"The CPU refused `{report.instruction}`: it lacks that instruction or does not allow "
            "it here, or the code shown is not what ran."
        )
        return [Statement(text, "likely", (f"`{report.instruction}`",))]
    text = (
        "The CPU met an instruction that it does not know: a BUG(), or code that was overwritten."
    )
    return [Statement(text, "certain", (report.title or "",))]
