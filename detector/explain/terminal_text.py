"""A diagnosis laid out: plain lines for a terminal, in the order a tired person asks, and a
JSON-able dictionary.

In: report, evidence, diagnosis. Out: text lines of at most a width's columns without colours or
markup, or nested lists and dictionaries. What came from a log is inert: what does not print is
spelled out. It decides nothing about the crash.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from detector.explain.decode.fault import fault_address_of
from detector.explain.issues import OPENING
from detector.explain.steps import location_of
from detector.explain.tcp import STATES, released
from detector.model import Block, CrashReport, Diagnosis, Match, Statement
from detector.render.escape import inert

__all__ = ["WIDTH", "as_json", "headline", "inert", "text_lines"]

WIDTH = 100
_LONGEST = 2000  # characters of one text that are shown
_MOST_EVIDENCE = 20  # matches that are listed


def headline(
    report: CrashReport | None, evidence: Sequence[Match], block: Block | None = None
) -> str:
    """Returns what happened, in one sentence; with the block, how long after a release."""
    if report is None:
        first = next((match.text for match in evidence), None)
        return (
            f"The kernel reported: {first}"
            if first is not None
            else "Nothing here is a kernel fault."
        )
    parts = [report.title or report.kind]
    if report.offset is not None and report.function and report.function in parts[0]:
        shown = report.display_function or report.function
        parts.append(
            f"at offset {report.offset:#x}"
            if shown == report.function
            else f"at {shown}+{report.offset:#x}"
        )
    fault_us = _fault_time(report, evidence, block)
    nearest = min(
        released(evidence),
        key=lambda item: abs((item[2].kernel_time_us or 0) - (fault_us or 0)),
        default=None,
    )
    if nearest is not None:
        state, _, match = nearest
        name = STATES.get(state, "not known")
        parts.append(
            f"{_distance(match, fault_us)} a socket was released in state {state} ({name})"
        )
    return ", ".join(parts) + "."


def _fault_time(report: CrashReport, evidence: Sequence[Match], block: Block | None) -> int | None:
    """Kernel time of the report: its block's, else that of the first match of its kind."""
    if block is not None:
        return block.head.kernel_time_us
    return next((match.kernel_time_us for match in evidence if match.cls == report.kind), None)


def _distance(release: Match, end: int | None) -> str:
    """Returns how long after the release the report came, where both say when."""
    start = release.kernel_time_us
    if start is None or end is None or abs(end - start) > 3600 * 1_000_000:
        return "and"
    seconds, micros = divmod(abs(end - start), 1_000_000)
    return f"{seconds}.{micros:06d} s {'after' if end >= start else 'before'}"


def text_lines(
    report: CrashReport | None,
    evidence: Sequence[Match],
    diagnosis: Diagnosis,
    block: Block | None = None,
    known_bugs: Sequence[Statement] = (),
    width: int = WIDTH,
) -> list[str]:
    """The diagnosis for a terminal: what, where, why, which known issue, which known bugs,
    what to do; the evidence beneath.
    """
    fold = partial(_wrapped, width)
    lines = fold(headline(report, evidence, block), "")
    statements = list(diagnosis.statements)
    known = next(
        (index for index, statement in enumerate(statements) if statement.text.startswith(OPENING)),
        len(statements),
    )
    sections = {
        "WHERE": [line for item in _where(report) for line in fold(item, "  ", "            ")],
        "WHY": [line for statement in statements[:known] for line in _statement(statement, fold)],
        "KNOWN ISSUE": [line for item in statements[known:] for line in _statement(item, fold)],
        "KNOWN BUG": [line for statement in known_bugs for line in _statement(statement, fold)],
        "WHAT TO DO": [line for step in diagnosis.next_steps for line in fold(step, "  - ")],
        "EVIDENCE": [line for text in _evidence(evidence) for line in fold(text, "  ")],
    }
    if diagnosis.known_issue is not None:
        sections["KNOWN ISSUE"].insert(
            0, f"  {diagnosis.known_issue}, {diagnosis.known_issue_confidence}"
        )
    for title, body in sections.items():
        if body:
            lines += ["", title, *body]
    return lines


def _where(report: CrashReport | None) -> Iterator[str]:
    if report is None:
        return
    place = location_of(report)
    if place:
        yield f"function  {place}" + (f" [{report.module}]" if report.module else "")
    yield " ".join(
        part
        for part in ("kernel   ", report.kernel or "(release not printed)", report.arch)
        if part
    ) + (f", tainted {report.tainted}" if report.tainted else "")
    if report.hardware:
        yield f"hardware  {report.hardware}"
    task = " ".join(
        f"{name} {value}"
        for name, value in (("cpu", report.cpu), ("pid", report.pid), ("comm", report.comm))
        if value is not None
    )
    if task:
        yield f"running   {task}"
    address = fault_address_of(report)
    if address is not None:
        yield f"address   {address:#x}"
    if not report.complete:
        yield "the report is cut: its end was not seen"


def _statement(statement: Statement, fold: Callable[..., list[str]]) -> list[str]:
    label = f"  [{statement.confidence}] "
    lines = fold(statement.text, label)
    for item in statement.evidence:
        lines += fold(item, "      | ", "        ")
    return lines


def _evidence(evidence: Sequence[Match]) -> Iterator[str]:
    for match in evidence[:_MOST_EVIDENCE]:
        time = match.kernel_time_us
        yield (
            f"[{time // 1_000_000:5}.{time % 1_000_000:06}] "
            if time is not None and time >= 0
            else ""
        ) + match.text
    if len(evidence) > _MOST_EVIDENCE:
        yield f"and {len(evidence) - _MOST_EVIDENCE} more"


def _wrapped(width: int, text: str, first: str, rest: str | None = None) -> list[str]:
    """`text` made inert and broken to `width`; `first` opens the first line, `rest` (blanks
    as wide as `first`) the others.
    """
    shown = inert(text if len(text) <= _LONGEST else text[:_LONGEST] + "…")
    after = " " * len(first) if rest is None else rest
    return textwrap.wrap(
        shown, width, initial_indent=first, subsequent_indent=after, break_on_hyphens=False
    ) or [first.rstrip()]


def as_json(
    report: CrashReport | None,
    evidence: Sequence[Match],
    diagnosis: Diagnosis,
    block: Block | None = None,
) -> dict[str, Any]:
    """The diagnosis as JSON types; reports and matches have their own form elsewhere."""
    known = None
    if diagnosis.known_issue is not None:
        known = {"id": diagnosis.known_issue, "confidence": diagnosis.known_issue_confidence}
    return {
        "headline": headline(report, evidence, block),
        "statements": [
            {
                "text": statements.text,
                "confidence": statements.confidence,
                "evidence": list(statements.evidence),
            }
            for statements in diagnosis.statements
        ],
        "known_issue": known,
        "next_steps": list(diagnosis.next_steps),
    }
