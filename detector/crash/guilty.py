"""Finds the guilty function: a recipe walks down the block and gathers frames; the first
one that is not generic is it.

In: the lines of a block, a recipe (see forms), the list of generic functions. Out: a frame, and the
name under which it is known.

A recipe is a sequence of parts. `PC` is the line that names the program counter (its function is
gathered; a user `RIP: 0033:` names none), `TRACE` the line that starts a call trace, `STACK` all
frames from here to the next trace, and a pattern is a line that matches it (its symbol is gathered
if it names one). Frames that the kernel marks as doubtful are never gathered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from detector.crash import syscall_entries
from detector.crash.frames import SYMBOL, TRACE_START, frames_of
from detector.crash.identity import base, identity
from detector.lazy_regex import lazy_regex
from detector.model import Frame

SearchPart = Literal["pc", "trace", "stack"] | re.Pattern[str]
PC: SearchPart = "pc"
TRACE: SearchPart = "trace"
STACK: SearchPart = "stack"

_PC_LINE = lazy_regex(
    r"(?:.*\s)?(?:[RE]?IP|NIP|pc|PC is at|EIP is at|epc|ERA|Krnl PSW)\b *:?\s+(?:[0-9a-f]{4}:)?"
    r"(?:\[?<?(?:0x)?[0-9a-f]{8,16}>?\]?:?\s+){0,2}(?:\([\w ]+\)\s+)?\(?" + SYMBOL
)
_SYMBOL = lazy_regex(r"(?<![\w.])" + SYMBOL)
_PC_BARE = lazy_regex(
    r"\s*(?:RIP: 0033:|(?:[RE]?IP|pc|PC is at|epc)\b *:?\s+(?:[0-9a-f]{4}:)?"
    r"(?:0x[0-9a-f]+\s*$|\s*\(null\)|(?:\[<[ "
    r"0-9a-f]*(?:\(null\))?>\]\s*)+(?:0x[0-9a-f]+|\(null\))?\s*$))"
)
_CALLS = lazy_regex(r"(?:[0-9a-f\s]{8,}(?=Call))?\s*(?:Call [Tt]race|Backtrace)\s*:")
_LR_LINE = lazy_regex(
    r"\s*(?:LR is at|lr :|LR \[[0-9a-f]+\]|ra *:)\s+(?:\[?<?[0-9a-f]{8,16}>?\]?\s+)?" + SYMBOL
)
_NEW_TRACE = lazy_regex(
    r".*(?:Call [Tt]race|Allocated:|Allocated by task \d+|Freed:|Freed by task \d+|[^k] "
    r"backtrace(?: \(crc [0-9a-f]*\))?:|Backtrace:"
    r"|Uninit was (?:stored to memory|created) at|status: [0-9a-f]{16} badaddr: )"
)

_RISCV_CAUSE = lazy_regex(r"\s*status: [0-9a-f]{16} badaddr: ")
"""The last of riscv's registers; the frames follow without a line that says so
(arch/riscv/kernel/process.c)."""

Chooser = Callable[[Sequence[str]], tuple[str, int] | None]
CHOOSERS: dict[str, Chooser] = {"stall": syscall_entries.stalled, "hung": syscall_entries.hung}


@dataclass(frozen=True, slots=True)
class Guilty:
    """The guilty frame as printed, and the name of its function as identity."""

    frame: Frame
    name: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe: where to look, what else to skip (searched in the function's name), and how to
    choose among the frames ("" is the first).
    """

    parts: tuple[SearchPart, ...]
    skip: re.Pattern[str] | None = None
    choose: str = ""
    plain: bool = False
    """The function is named by the report itself: taken as it is, generic or not."""


def find(lines: Sequence[str], recipes: Sequence[Recipe], generic: Container[str]) -> Guilty | None:
    """The guilty frame by the first recipe that finds one; where all frames are generic, the
    one at the program counter.
    """
    for recipe in recipes:
        frames = [
            frame
            for frame in _without_handler(list(_gather(lines, recipe.parts)), recipe)
            if recipe.plain or not _skipped(frame, recipe, generic)
        ]
        if not frames:
            continue
        if recipe.plain:
            return Guilty(frames[0], base(frames[0].function))
        names = [identity(frame) for frame in frames]
        chosen = CHOOSERS[recipe.choose](names) if recipe.choose else (names[0], 0)
        if chosen is not None:
            return Guilty(frames[chosen[1]], chosen[0])
    if any(PC in recipe.parts for recipe in recipes):
        return next(
            (_known(frame) for text in lines if (frame := program_counter(text)) is not None), None
        )
    return None


def _without_handler(frames: list[Frame], recipe: Recipe) -> list[Frame]:
    """The frames without those of the fault's own handling: where the trace reaches the
    function at the program counter once more, what stands above it there (die hooks of vendors
    among it) ran after the fault.
    """
    if recipe.parts[0] != PC or not frames:
        return frames
    where = frames[0].function, frames[0].offset
    for place, frame in enumerate(frames[1:], 1):
        if (frame.function, frame.offset) == where:
            return [frames[0], *frames[place + 1 :]]
    return frames


def named_in(head: str) -> Guilty | None:
    """The function that a head line names with its offset: what is left where a report is cut
    behind it.
    """
    matched = _SYMBOL.search(head)
    return _known(_frame(matched)) if matched is not None else None


def link_register(lines: Sequence[str], generic: Container[str]) -> Guilty | None:
    """The caller that the link register names: the last resort where neither the pc nor a
    frame has a symbol.
    """
    for text in lines:
        matched = _LR_LINE.match(text)
        if matched is not None and base(matched["fn"]) not in generic:
            return _known(_frame(matched))
    return None


def program_counter(text: str) -> Frame | None:
    """The function that a line names as the one at the program counter."""
    matched = _PC_LINE.match(text)
    return _frame(matched) if matched is not None else None


def pc_of(lines: Sequence[str]) -> Frame | None:
    """The function at the program counter of the first register dump of kernel mode, or None
    where that dump names none.
    """
    for text in lines:
        if (frame := program_counter(text)) is not None:
            return frame
        if _PC_BARE.match(text) and not text.lstrip().startswith("RIP: 0033:"):
            return None
    return None


def _known(frame: Frame) -> Guilty:
    return Guilty(frame, identity(frame))


def _skipped(frame: Frame, recipe: Recipe, generic: Container[str]) -> bool:
    name = base(frame.function)
    return name in generic or (recipe.skip is not None and recipe.skip.search(name) is not None)


def _gather(lines: Sequence[str], parts: Sequence[SearchPart]) -> Iterator[Frame]:
    """Walks down once; each part goes on where the one before it stopped."""
    at, stacks, index = 0, 0, 0
    while index < len(parts):
        part = parts[index]
        if part != STACK:
            at, matched = _seek(lines, at, part)
            yield from matched
            index += 1
            continue
        if stacks:
            return
        stacks += 1
        following = parts[index + 1] if index + 1 < len(parts) else None
        while at < len(lines):
            text = lines[at]
            at += 1
            if _NEW_TRACE.match(text):
                break
            if following is not None and (hit := _hit(text, following)) is not None:
                yield from hit
                index += 1
                break
            yield from (frame for frame in frames_of(text) if frame.reliable and not frame.inlined)
        index += 1


def _seek(lines: Sequence[str], start: int, part: SearchPart) -> tuple[int, list[Frame]]:
    """The line that the part looks for, from `start` on.

    Where no `Call trace:` follows, any other start of a trace will do, and then any frames; where
    no program counter is named, the trace.
    """
    for at in range(start, len(lines)):
        if (matched := _hit(lines[at], part)) is not None:
            return at + 1, matched
    if part == TRACE:
        for at in range(start, len(lines)):
            if TRACE_START.match(lines[at]) or _RISCV_CAUSE.match(lines[at]):
                return at + 1, []
    return (len(lines) if not isinstance(part, str) else start), []


def _hit(text: str, part: SearchPart) -> list[Frame] | None:
    """The frames that a line yields for a part; None where the line is not what the part looks
    for.
    """
    if part == PC:
        frame = program_counter(text)
        return [frame] if frame is not None else [] if _PC_BARE.match(text) else None
    if part == TRACE:
        return [] if _CALLS.match(text) else None
    assert not isinstance(part, str)
    matched = part.search(text)
    if matched is None:
        return None
    return [_frame(matched)] if "fn" in part.groupindex and matched["fn"] is not None else []


def _frame(matched: re.Match[str]) -> Frame:
    groups = matched.groupdict()
    offset, size = groups.get("off"), groups.get("size")
    return Frame(
        matched["fn"],
        int(offset, 16) if offset else None,
        int(size, 16) if size else None,
        groups.get("mod"),
    )
