"""Builds the index entry of a bug: published facts, and the traces that its message quotes.

In: `Published` facts and a `Reader`. Out: a `Bug`. The prose is read and left behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from detector.crash.guilty import program_counter
from detector.crash.identity import identity
from detector.known.bug import Bug, Trace
from detector.known.cve import Published
from detector.known.message import MessageReader, bare_trace, mentioned, worth_reading
from detector.known.nature import HEADLESS
from detector.known.quotes import quoted_lines
from detector.known.trace import stacks, tidied, trace_of

_FEWEST = 2  # frames that a trace without a readable head must have, with offsets
_FEWEST_BARE = 3  # the same for bare names


def bug_of(facts: Published, reader: MessageReader) -> Bug:
    """The bug, with whatever traces its message holds."""
    traces = _traces(quoted_lines(facts.text), reader) if worth_reading(facts.text) else ()
    return Bug(
        id=facts.id,
        subject=facts.subject,
        main=facts.main,
        affected=facts.affected,
        fixes=facts.fixes,
        files=facts.files,
        traces=traces,
        named=_named(facts, traces, reader),
    )


def _traces(lines: Sequence[str], reader: MessageReader) -> tuple[Trace, ...]:
    """One trace a report; else the frames that stand under no head that is read."""
    main = tidied(stacks(lines).main, reader.generic)
    bare = tidied(bare_trace(lines), reader.generic)
    traces: list[Trace] = []
    for report in reader.reports(lines):
        trace = trace_of(report, reader.generic)
        if trace.function is not None or trace.frames:
            trace = trace if trace.frames else replace(trace, frames=main or bare)
            traces.append(trace if trace.function else _headless(trace, report.lines, reader))
    if not traces and len(main) >= _FEWEST:
        traces.append(Trace(HEADLESS, None, _at_counter(lines, reader) or main[0], main))
    if not traces and len(bare) >= _FEWEST_BARE:
        traces.append(Trace(HEADLESS, None, _at_counter(lines, reader) or bare[0], bare))
    return tuple(dict.fromkeys(traces))


def _headless(trace: Trace, lines: Sequence[str], reader: MessageReader) -> Trace:
    """The trace of a report that names no function: an abbreviated head, or one that tells no
    place. It is known by its frames alone.
    """
    function = _at_counter(lines, reader) or trace.frames[0]
    return replace(trace, kind=HEADLESS, title=None, function=function)


def _at_counter(lines: Sequence[str], reader: MessageReader) -> str | None:
    """The function at the program counter, where a line names it and it may be guilty."""
    frames = (frame for text in lines if (frame := program_counter(text)) is not None)
    names = (identity(frame) for frame in frames)
    return next((name for name in names if tidied([name], reader.generic)), None)


def _named(facts: Published, traces: Sequence[Trace], reader: MessageReader) -> tuple[str, ...]:
    """Returns what the prose names, where uninitialised data was reported: its trace shows who
    read it, which is seldom who forgot it.
    """
    if not any(trace.kind == "kmsan" for trace in traces):
        return ()
    return mentioned(facts.text + " " + facts.subject, reader.generic)
