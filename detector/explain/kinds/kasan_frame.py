"""Explains which variable of a stack frame KASAN's address lies in.

In: a report of class `kasan` and its access. Out: statements. Formats: mm/kasan/report.c,
report_stack.c print_decoded_frame_descr() (5.2 to 5.x), report_generic.c (6.x), which print the
frame as the compiler described it, not as the trace unwound it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from detector.explain.block_text import every, first, quoted
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

_HEAD = lazy_regex(r"BUG: KASAN: stack-out-of-bounds ")
_OFFSET = lazy_regex(
    r"(?:addr [0-9a-f]+ is located in stack of task .{1,40}/\d+|\s*and is located) at offset "
    r"(?P<offset>\d+) in frame:"
)
_FUNCTION = lazy_regex(r"\s*(?P<name>[A-Za-z_$][\w$.]*)\+0x")
_VARIABLE = lazy_regex(r"\s*\[(?P<start>\d+), (?P<end>\d+)\) '(?P<name>[^']{1,80})'")


def frame_of(report: CrashReport, access: re.Match[str] | None) -> Iterator[Statement]:
    """Yields the variable that an access begins in, and how far it goes beyond.

    What begins elsewhere may lie in a frame that is no longer this one.
    """
    located = first(report.lines, _OFFSET)
    if located is None or access is None or not access["size"] or not first(report.lines, _HEAD):
        return
    at = next(at for at, text in enumerate(report.lines) if text is located.string)
    function = first(report.lines[at + 1 : at + 2], _FUNCTION)
    offset, size = int(located["offset"]), int(access["size"])
    for variable in every(report.lines[at + 1 :], _VARIABLE):
        start, end = int(variable["start"]), int(variable["end"])
        beyond = offset + size - end
        if start <= offset < end and beyond > 0 and function is not None:
            name = variable["name"].partition(":")[0]
            plural = "s" if beyond != 1 else ""
            yield Statement(
                f"The access begins in the variable {name} of {function['name']} and goes "
                f"{beyond} byte{plural} beyond it.",
                "certain",
                (
                    quoted(located),
                    quoted(function),
                    quoted(variable),
                    f"{offset} + {size} - {end} = {beyond}",
                ),
            )
            return
