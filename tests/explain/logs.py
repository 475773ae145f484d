"""Explains logs written in tests: every step from the record to the diagnosis."""

from __future__ import annotations

from dataclasses import dataclass

from detector import diagnose as decision
from detector.explain import explain
from detector.model import CrashReport, Diagnosis, Match, Record
from detector.parse import Parser
from tests.shipped import shipped

CATALOGUE = shipped()


@dataclass(frozen=True)
class Explained:
    """A report of a log (None for matches without one), what stands around it, what is said."""

    report: CrashReport | None
    near: tuple[Match, ...]
    diagnosis: Diagnosis


def explained(log: str) -> list[Explained]:
    """Everything that is explained in a log; each line's stamp is a second of kernel time."""
    texts = [text for text in log.splitlines() if text.strip()]
    stamped = [f"[  100.{number:06}] {text}" for number, text in enumerate(texts)]
    records = [Record(text.encode(), "test", number) for number, text in enumerate(stamped, 1)]
    lines, _ = decision.read_lines(records, Parser(), 0)
    found, blocks = decision.decide(lines, CATALOGUE)
    out = []
    for story in decision.stories(blocks, found):
        report = decision.report_of(story, CATALOGUE)
        out.append(Explained(report, story.near, explain(report, story.near, CATALOGUE)))
    return out
