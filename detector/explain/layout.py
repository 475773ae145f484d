"""A diagnosis laid out: plain lines for a terminal, in the order a tired person asks, and a JSON-able dictionary.

In: report, evidence, diagnosis. Out: text lines of at most `WIDTH` columns without colours or markup, or nested lists and dictionaries.
What came from a log is inert: control and bidirectional characters are spelled out. It decides nothing about the crash.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from detector.explain.steps import location_of
from detector.explain.tcp import STATES, released
from detector.model import CrashReport, Diagnosis, Match, Statement

WIDTH = 100
_LONGEST = 2000  # characters of one log text that are shown


def inert(text: str) -> str:
    r"""`text` with everything that could move a cursor or reverse the line spelled out (`\x1b`, `\u202e`), and bounded in length."""
    shown = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return "".join(char if char == " " or unicodedata.category(char)[0] not in "CZ" else _escaped(char) for char in shown)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii") if char != "\\" else char


def headline(report: CrashReport | None, evidence: Sequence[Match]) -> str:
    """What happened, in one sentence."""
    states = [state for state, _, _ in released(evidence)]
    before = f"after a socket was released in state {states[0]} ({STATES.get(states[0], 'unknown')})" if states else ""
    if report is None:
        return f"The kernel reported: {evidence[0].text}" if evidence else "Nothing here is a kernel fault."
    where = location_of(report) or report.function
    crashed = report.title or report.kind
    at = f", at {where}" if where and where != report.function else ""
    return " ".join(part for part in (f"{crashed}{at}", before) if part) + "."


def text_lines(report: CrashReport | None, evidence: Sequence[Match], diagnosis: Diagnosis) -> list[str]:
    """The diagnosis for a terminal."""
    lines = _wrapped(headline(report, evidence), "")
    if report is not None:
        lines += ["", "WHERE", *(line for item in _where(report) for line in _wrapped(item, "  "))]
    if diagnosis.statements:
        lines += ["", "WHY", *(line for statement in diagnosis.statements for line in _statement(statement))]
    if diagnosis.known_issue:
        lines += ["", "KNOWN ISSUE", *_wrapped(f"{diagnosis.known_issue} ({diagnosis.known_issue_confidence})", "  ")]
    if diagnosis.next_steps:
        lines += ["", "WHAT TO DO", *(line for step in diagnosis.next_steps for line in _wrapped(step, "  - "))]
    if evidence:
        lines += ["", "EVIDENCE", *(line for match in evidence for line in _wrapped(_match(match), "  "))]
    return lines


def _where(report: CrashReport) -> Iterable[str]:
    place = location_of(report)
    if place:
        yield f"function  {place}" + (f" [{report.module}]" if report.module else "")
    machine = " ".join(part for part in (report.kernel, report.arch) if part)
    if machine:
        yield f"kernel    {machine}" + (f", tainted {report.tainted}" if report.tainted else "")
    if report.hardware:
        yield f"hardware  {report.hardware}"
    task = " ".join(
        f"{name} {value}" for name, value in (("cpu", report.cpu), ("pid", report.pid), ("comm", report.comm)) if value is not None
    )
    if task:
        yield f"running   {task}"
    if report.fault_address is not None:
        yield f"address   {report.fault_address:#x}"
    if not report.complete:
        yield "the report is cut: its end was not seen"


def _statement(statement: Statement) -> list[str]:
    label = f"  [{statement.confidence}] "
    lines = _wrapped(statement.text, label, " " * len(label))
    for item in statement.evidence:
        lines += _wrapped(item, "      | ")
    return lines


def _match(match: Match) -> str:
    stamp = "" if match.kernel_time_us is None else f"[{match.kernel_time_us // 1_000_000}.{match.kernel_time_us % 1_000_000:06d}] "
    return f"{stamp}{match.text}"


def _wrapped(text: str, first: str, rest: str | None = None) -> list[str]:
    after = rest if rest is not None else " " * len(first)
    whole = inert(" ".join(text.split("\n")))
    return textwrap.wrap(whole, WIDTH, initial_indent=first, subsequent_indent=after, break_on_hyphens=False) or [first.rstrip()]


def as_json(report: CrashReport | None, evidence: Sequence[Match], diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as JSON: `headline`, `statements`, `known_issue`, `next_steps`; the report and the matches have their own form."""
    return {
        "headline": inert(headline(report, evidence)),
        "statements": [
            {"text": statement.text, "confidence": statement.confidence, "evidence": list(statement.evidence)}
            for statement in diagnosis.statements
        ],
        "known_issue": diagnosis.known_issue and {"id": diagnosis.known_issue, "confidence": diagnosis.known_issue_confidence},
        "next_steps": list(diagnosis.next_steps),
    }
