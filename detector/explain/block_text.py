"""Searches the lines of a block for what an explanation quotes.

In: the lines of a report and compiled patterns. Out: the first or all matches, sections, stacks. No
line makes this raise.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence

from detector.crash.frames import frames_of
from detector.crash.identity import base
from detector.model import CrashReport, Frame

_LONGEST_QUOTE = 240


def first(lines: Iterable[str], pattern: re.Pattern[str]) -> re.Match[str] | None:
    """The first line that the pattern matches at its start."""
    return next((matched for text in lines if (matched := pattern.match(text)) is not None), None)


def every(lines: Iterable[str], pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    """All lines that the pattern matches at their start, in order."""
    return (matched for text in lines if (matched := pattern.match(text)) is not None)


def quoted(matched: re.Match[str]) -> str:
    """The whole line of a match, as evidence: outer blanks removed, cut at 240 characters."""
    text = matched.string.strip()
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"


def head_of(report: CrashReport) -> str:
    """The line that a report begins with, as evidence; its title where it has no lines."""
    text = report.lines[0].strip() if report.lines else report.title or report.kind
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"


def stack_after(lines: Sequence[str], matched: re.Match[str]) -> tuple[Frame, ...]:
    """The frames that stand right below a line, up to the first line that holds none; doubtful
    ones are left out. `PID = 123` and an empty line may stand between.
    """
    start = next((at for at, text in enumerate(lines) if text is matched.string), None)
    stack: list[Frame] = []
    if start is None:
        return ()
    for text in lines[start + 1 :]:
        frames = frames_of(text)
        if not frames and (stack or not re.fullmatch(r"\s*(?:PID = \d+)?\s*|\s*<.*>\s*", text)):
            break
        stack += [frame for frame in frames if frame.reliable]
    return tuple(stack)


def distinctive(stack: Iterable[Frame], skip: Container[str]) -> tuple[Frame, ...]:
    """The frames that are not generic (allocators, copying, locking, printing)."""
    return tuple(frame for frame in stack if base(frame.function) not in skip)


def place(frame: Frame) -> str:
    """A frame as the log prints it, `function+0xoffset`; the name alone where no offset is
    printed.
    """
    return frame.function if frame.offset is None else f"{frame.function}+{frame.offset:#x}"
