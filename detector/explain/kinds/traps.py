"""Explains exceptions without a bad address, and checks that a kernel makes of itself:
WARN, BUG.

In: a report of one of those classes. Out: statements. What an instruction did is read in
`sentences`. Formats: kernel/panic.c __warn(), lib/bug.c report_bug(), arch/x86/kernel/traps.c,
arch/arm64/include/asm/brk-imm.h (4.x to 6.x).

What does not fit: Intel SDM volume 2, DIV and IDIV. The trap leaves the registers as they were
before the instruction.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from detector.explain.block_text import first, head_of, place, quoted
from detector.explain.kinds.checks import explain_check, explain_eeh, is_eeh, printed_with
from detector.explain.kinds.objects import (
    explain_list,
    explain_odebug,
    explain_refcount,
    explain_usercopy,
    names_usercopy,
)
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
            "The kernel met a breakpoint that none of its users (kprobes, patching of code) "
            "claimed: code that is being patched meanwhile, or was overwritten."
        ),
    ),
    (
        "stack segment",
        (
            "The kernel used an address that is not canonical, relative to rsp or rbp. Where "
            "rsp was used, the stack pointer is wrong; rbp may hold any pointer."
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
            "The CPU met an instruction that it does not know: a BUG(), one that this machine "
            "lacks, or code that was overwritten."
        ),
    ),
)


def explain_warning(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A WARN(): where; a reference count or an object that the line before names."""
    if "refcount bug" in (report.title or ""):
        return explain_refcount(report, skip)
    if is_eeh(report):
        return explain_eeh(report)
    matched = first(report.lines, _WARNING)
    where = f" at {matched['place']}" if matched is not None else ""
    stopped = report.panic or any(frame.function == "panic" for frame in report.frames)
    went_on = "" if stopped or not report.complete else "; the kernel said so and went on"
    text = f"A WARN(){where} was hit: a check in the code failed{went_on}."
    evidence = (quoted(matched),) if matched is not None else (head_of(report),)
    return [
        Statement(text, "certain", evidence),
        *printed_with(report),
        *explain_odebug(report),
        *explain_check(report),
    ]


def explain_bug(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A BUG(): where; a list's corruption is explained by the line before it."""
    if "corrupted list" in (report.title or ""):
        return explain_list(report, skip)
    matched = first(report.lines, _BUG)
    where = f" at {matched['place']}" if matched is not None else ""
    text = f"A BUG(){where} was hit: the kernel found a state that it cannot go on from."
    evidence = (quoted(matched),) if matched is not None else (head_of(report),)
    copied = explain_usercopy(report, skip) if names_usercopy(report) else printed_with(report)
    return [Statement(text, "certain", evidence), *copied, *_fortified(report)]


def _fortified(report: CrashReport) -> list[Statement]:
    """What FORTIFY_SOURCE stopped; lib/string.c (4.13 on), lib/string_helpers.c (6.1 on)."""
    if report.pc is None or report.pc.function not in ("fortify_panic", "__fortify_panic"):
        return []
    text = (
        "FORTIFY_SOURCE stopped it: a copy, or the search for the end of a string, would have "
        "left its object."
    )
    return [Statement(text, "certain", (place(report.pc),))]


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
            "not printed, a check that the compiler put there (UBSAN, CFI), or a point that it "
            "held to be out of reach."
        )
        return [Statement(text, "certain", (f"`{report.instruction}`",))]
    if report.instruction:
        text = (
            f"The CPU refused `{report.instruction}`: it lacks that instruction or does not allow "
            "it here, or the code shown is not what ran."
        )
        return [Statement(text, "likely", (f"`{report.instruction}`",))]
    text = (
        "The CPU met an instruction that it does not know or does not allow there: a BUG() or "
        "another trap that the compiler put there, one that this machine lacks, or code that was "
        "overwritten."
    )
    return [Statement(text, "certain", (head_of(report),))]


_DIVISION = lazy_regex(r"(?P<sign>i?)div (?P<divisor>\w+)$")
_LEGACY = lazy_regex(
    r"(?P<part>[re]?)(?P<name>[abcd]x|[sd]i|[sb]p)$|(?P<byte>[abcd])(?P<half>[lh])$"
)
_LOW_BYTE = lazy_regex(r"(?P<name>[sd]i|[sb]p)l$")
_NUMBERED = lazy_regex(r"(?P<name>r\d+)(?P<part>[dwb]?)$")
_BITS: Mapping[str, int] = {"r": 64, "e": 32, "": 16, "d": 32, "w": 16, "b": 8}


def explain_divide(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A division that trapped, shown by the registers where the instruction could be decoded."""
    del skip
    if report.instruction and not report.instruction.startswith(("div", "idiv", "aam")):
        text = (
            "The kernel divided by zero, or a quotient did not fit; the instruction shown does not "
            "divide, so it is not the one that trapped."
        )
        return [Statement(text, "likely", (f"`{report.instruction}`",))]
    matched = _DIVISION.match(report.instruction or "")
    held = _held(report, matched["divisor"]) if matched is not None else None
    if matched is None or held is None:
        text = "The kernel divided by zero, or a quotient did not fit."
        return [Statement(text, "certain", (head_of(report),))]
    name, (divisor, bits) = matched["divisor"], held
    evidence = [f"`{report.instruction}`", f"{name} = {divisor:#x}"]
    if divisor == 0:
        text = f"The kernel divided by zero: the divisor, {name}, is 0."
        return [Statement(text, "certain", tuple(evidence))]
    halves = _dividend(report, bits)
    if halves is None:
        text = f"The quotient did not fit: the divisor, {name}, is {divisor:#x}, not 0."
        return [Statement(text, "certain", tuple(evidence))]
    (high, low), names = halves
    evidence += [f"{register} = {value:#x}" for register, value in names.items()]
    if _fits(high << bits | low, divisor, bits, signed=bool(matched["sign"])):
        text = (
            f"The registers shown do not explain the trap: the divisor, {name}, is "
            f"{divisor:#x}, not 0, and the quotient fits."
        )
        return [Statement(text, "likely", tuple(evidence))]
    text = f"The quotient did not fit: the divisor, {name}, is {divisor:#x}, not 0."
    return [Statement(text, "certain", tuple(evidence))]


def _fits(dividend: int, divisor: int, bits: int, *, signed: bool) -> bool:
    """Returns whether the quotient of `dividend` (2 * `bits` wide) fits into `bits`."""
    if not signed:
        return dividend // divisor < 1 << bits
    dividend, divisor = _signed(dividend, 2 * bits), _signed(divisor, bits)
    size = abs(dividend) // abs(divisor)  # the quotient is rounded towards zero
    return size < 1 << bits - 1 or (size == 1 << bits - 1 and (dividend < 0) != (divisor < 0))


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


def _dividend(report: CrashReport, bits: int) -> tuple[tuple[int, int], dict[str, int]] | None:
    """((high, low) half of what is divided, the registers that hold them)."""
    if bits == 8:
        if (held := _held(report, "ax")) is None:
            return None
        return (held[0] >> 8, held[0] & 0xFF), {"ax": held[0]}
    prefix = {64: "r", 32: "e", 16: ""}[bits]
    high, low = _held(report, f"{prefix}dx"), _held(report, f"{prefix}ax")
    if high is None or low is None:
        return None
    return (high[0], low[0]), {f"{prefix}dx": high[0], f"{prefix}ax": low[0]}


def _held(report: CrashReport, name: str) -> tuple[int, int] | None:
    """(value, bits) of an x86 register by any of its names; None where it is not printed."""
    shift = 0
    if (matched := _NUMBERED.match(name)) is not None:
        full, bits = matched["name"], _BITS[matched["part"]] if matched["part"] else 64
    elif (matched := _LOW_BYTE.match(name)) is not None:
        full, bits = matched["name"], 8
    elif (matched := _LEGACY.match(name)) is None:
        return None
    elif matched["byte"]:
        full, bits, shift = f"{matched['byte']}x", 8, 8 if matched["half"] == "h" else 0
    else:
        full, bits = matched["name"], _BITS[matched["part"]]
    names = (full,) if full.startswith("r") and full[1:].isdecimal() else (f"r{full}", f"e{full}")
    value = next(
        (report.registers[name_given] for name_given in names if name_given in report.registers),
        None,
    )
    return None if value is None else (value >> shift & (1 << bits) - 1, bits)
