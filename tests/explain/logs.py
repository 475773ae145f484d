"""Explains logs written in tests: every step from the record to the diagnosis."""

from __future__ import annotations

from dataclasses import dataclass

from detector import diagnose
from detector.explain import explain
from detector.model import CrashReport, Diagnosis, Match, Record
from detector.parse import Parser
from tests.support.shipped import shipped


@dataclass(frozen=True)
class Explained:
    """A report of a log (None for matches without one), what stands around it, what is said."""

    report: CrashReport | None
    near: tuple[Match, ...]
    diagnosis: Diagnosis


def explained(log: str) -> list[Explained]:
    """Everything that is explained in a log as it stands."""
    catalogue = shipped()
    records = [
        Record(text.encode(errors="surrogateescape"), "test", number)
        for number, text in enumerate(log.split("\n"), 1)
    ]
    lines, _ = diagnose.read_lines(records, Parser(host="h1"), 0)
    found, blocks = diagnose.decide(lines, catalogue)
    out = []
    for story in diagnose.stories(blocks, found):
        report = diagnose.report_of(story, catalogue)
        out.append(Explained(report, story.near, explain(report, story.near, catalogue)))
    return out


def stamped(log: str) -> str:
    """The lines with dmesg's stamps, a microsecond apart; a log that has some is left alone."""
    if log.lstrip().startswith("["):
        return log
    texts = [text for text in log.splitlines() if text.strip()]
    return "\n".join(f"[  100.{number:06}] {text}" for number, text in enumerate(texts))


def diagnosed(log: str) -> list[tuple[str | None, list[dict]]]:
    """(architecture, statements as JSON types) of each explanation of a log."""
    return [
        (
            one.report.arch if one.report is not None else None,
            [
                {"text": said.text, "confidence": said.confidence, "evidence": list(said.evidence)}
                for said in one.diagnosis.statements
            ],
        )
        for one in explained(log)
    ]
