"""How much of damaged reports is still read.

In: damaged logs and what a scan says of them. Out: `Figures` by kind of damage. Four questions: is
a fault found; is its function named where the line that names it is left; does a report hold lines
of another one or of the host's chatter; and, where no line is lost, are they all in one report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from detector.model import CrashReport
from tests.assemble.mutilation.kinds import Damaged
from tests.assemble.mutilation.reports import Scanned, WholeReport

QUESTIONS = ("found", "function", "own", "whole")
_WHOLE = 0.9
"""So many of the characters that are left make a report whole."""


@dataclass
class Figures:
    """Of one kind of damage: how often each question was asked, how often the answer was yes, and
    the cases where it was no, in words.
    """

    asked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(QUESTIONS, 0))
    good: dict[str, int] = field(default_factory=lambda: dict.fromkeys(QUESTIONS, 0))
    failed: list[tuple[str, str, Damaged]] = field(default_factory=list)

    def share(self, question: str) -> float:
        """The percentage of good answers; 100 where nothing was asked."""
        return 100 * self.good[question] / self.asked[question] if self.asked[question] else 100.0

    def ask(self, question: str, good: bool, why: str, log: Damaged) -> None:
        """Counts an answer."""
        self.asked[question] += 1
        self.good[question] += good
        if not good:
            self.failed.append((question, why, log))


def judged(logs: Sequence[Damaged], said: Sequence[Scanned]) -> dict[str, Figures]:
    """The figures, by kind."""
    by_kind: dict[str, Figures] = {}
    for log, scan in zip(logs, said, strict=True):
        figures = by_kind.setdefault(log.kind, Figures())
        for report, left in zip(log.of, log.left, strict=True):
            _judge(report, left, log, scan, figures)
    return by_kind


def _judge(
    report: WholeReport, left: Sequence[str], log: Damaged, scan: Scanned, figures: Figures
) -> None:
    mine = _of(report, log, scan.reports)
    figures.ask("found", bool(mine), f"matches {scan.matches}", log)
    if report.names_function(left):
        names = [one.function for one in mine]
        why = f"{report.read.function} wanted, got {names}"
        figures.ask("function", report.read.function in names, why, log)
    own = _plain(left)
    strange = [text for one in mine for text in one.lines if _plain([text]) not in own]
    figures.ask("own", not strange, f"strange: {strange[:3]}", log)
    if left == report.texts:
        most = max((len(_plain(one.lines)) for one in mine), default=0)
        figures.ask("whole", most >= _WHOLE * len(own), f"{most} of {len(own)} characters", log)


def _of(report: WholeReport, log: Damaged, reports: Iterable[CrashReport]) -> list[CrashReport]:
    """The reports that are what is left of one: those that begin with a line of it."""
    if len(log.of) == 1:
        return list(reports)
    other = next(one for one in log.of if one is not report)
    return [
        one
        for one in reports
        if one.lines[0] in report.texts
        and (one.lines[0] not in other.texts or one.function == report.read.function)
    ]


def _plain(texts: Iterable[str]) -> str:
    """Texts without the blanks and line ends at which they may have been broken."""
    return "".join("".join(texts).split())
