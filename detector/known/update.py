"""Puts an index together: the entry of each bug, and the bugs of several sources.

In: documents (CVE records as bytes), facts from commits. Out: bugs. Two records of one mainline
commit become one bug with the traces of both. No IO.

The prose is read and left behind.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from detector.crash.guilty import program_counter
from detector.crash.identity import identity
from detector.known.bug import Bug, Trace
from detector.known.cve import Published, UnusableError, published
from detector.known.nature import HEADLESS
from detector.known.quotes import MessageReader, bare_trace, mentioned, quoted_lines, worth_reading
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


@dataclass(slots=True)
class Gathered:
    """The bugs so far, how many commits added to one (`joined`), and how many documents yielded
    none, by reason, with the first of each.
    """

    bugs: dict[str, Bug] = field(default_factory=dict)
    joined: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    _by_commit: dict[str, str] = field(default_factory=dict)

    def document(self, name: str, data: bytes | None, reader: MessageReader) -> None:
        """Takes one JSON document."""
        try:
            facts = _record(data)
        except UnusableError as error:
            self.left_out[str(error)] += 1
            self.first.setdefault(str(error), name)
            return
        if facts.id in self.bugs:
            self.left_out["a second record of one id"] += 1
            self.first.setdefault("a second record of one id", name)
            return
        self.add(bug_of(facts, reader))

    def commits(self, facts: Iterable[Published], reader: MessageReader) -> None:
        """Takes facts from commits: only those whose message holds a trace are bugs of their own;
        what a record has already gains their traces.
        """
        for fact in facts:
            bug = bug_of(fact, reader)
            known = self._by_commit.get(fact.main or "")
            if known is not None:
                self.joined += 1
                self.bugs[known] = _with_traces(self.bugs[known], bug)
            elif bug.traces:
                self.add(bug)
            else:
                self.left_out["a commit without a trace that is read"] += 1

    def add(self, bug: Bug) -> None:
        """Takes a bug."""
        self.bugs[bug.id] = bug
        if bug.main is not None:
            self._by_commit.setdefault(bug.main, bug.id)


def _record(data: bytes | None) -> Published:
    if data is None:
        raise UnusableError("larger than any record")
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnusableError("not JSON") from error
    return published(record)


def _with_traces(bug: Bug, other: Bug) -> Bug:
    traces = tuple(dict.fromkeys((*bug.traces, *other.traces)))
    return replace(bug, traces=traces, named=bug.named or other.named)
