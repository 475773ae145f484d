"""Reads and explains blocks: `Diagnoser` for every door, and the stories of a pasted log.

In: blocks and the catalogue; for a pasted log records. Out: reports with fingerprints, diagnoses,
stories (a report with the matches near it) as objects. The history takes no part. No IO, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.assemble import Assembler
from detector.boots import BOOT, Boots
from detector.catalogue import Catalogue
from detector.correlate import gap
from detector.match import Matcher
from detector.model import Block, CrashReport, Diagnosis, Line, Match, Record, Unparsed
from detector.parse import Parser
from detector.render.objects import Item, as_object, diagnosis_item, report_item

if TYPE_CHECKING:
    from detector.known.lookup import KnownBugs

# A pasted log is read as one story only as far as the default rule's timespan reaches.
NEAR_US = 10_000_000


@dataclass(frozen=True, slots=True)
class BlockReading:
    """A block as it is read, with its fingerprint; `fingerprint` is None where it has none."""

    report: CrashReport
    fingerprint: str | None


class Diagnoser:
    """Reads blocks and explains them, by one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def read(self, block: Block) -> BlockReading:
        """Reads a block: its report, with the failing instruction decoded, and its fingerprint."""
        # Most logs hold no crash, and are read without what explains one.
        from detector import crash
        from detector.explain import with_instruction

        generic = self._catalogue.generic_functions
        report = with_instruction(crash.read(block, generic))
        return BlockReading(report, crash.fingerprint(report, generic))

    def explain(self, report: CrashReport | None, evidence: Sequence[Match]) -> Diagnosis:
        """Explains a report with the matches near it."""
        from detector.explain import explain

        return explain(report, evidence, self._catalogue)


@dataclass(frozen=True, slots=True)
class Story:
    """A report with the matches near it; `block` is None for matches that are near no report."""

    block: Block | None
    near: tuple[Match, ...]


def read_lines(
    records: Iterable[Record], parser: Parser, now_us: int
) -> tuple[list[Line], list[Unparsed]]:
    """The lines of some records, and what cannot be read."""
    matches = [line for record in records for line in parser.feed(record, now_us)] + parser.flush()
    return [item for item in matches if isinstance(item, Line)], [
        item for item in matches if isinstance(item, Unparsed)
    ]


def decide(lines: Iterable[Line], catalogue: Catalogue) -> tuple[list[Match], list[Block]]:
    """Every match and every block of the lines."""
    matcher, assembler, boots = Matcher(catalogue), Assembler(catalogue.opening), Boots()
    matches: list[Match] = []
    blocks: list[Block] = []
    for line in lines:
        claim = matcher.claim(line)
        boot = boots.place(line, banner=claim is not None and claim.signature.cls == BOOT)
        match = assembler.match_of(claim, line, boot) if claim else None
        if claim is not None and match is not None and not claim.signature.marker:
            matches.append(match)
        blocks += assembler.feed(line, match, 0)
    return matches, blocks + assembler.flush()


def stories(blocks: Sequence[Block], matches: Sequence[Match]) -> list[Story]:
    """Returns what is explained: every block with the matches near it, then the matches that
    are near none.
    """
    kernel = [match for match in matches if match.origin == "kernel"]
    stories_given = [Story(block, near_to(block, kernel)) for block in blocks]
    known = {id(match) for story in stories_given for match in story.near}
    rest = tuple(match for match in kernel if id(match) not in known)
    return [*stories_given, Story(None, rest)] if rest else stories_given


def near_to(block: Block, kernel: Sequence[Match]) -> tuple[Match, ...]:
    """The matches that may belong to one story with a block: within ten seconds of its head, or
    without a time to compare.
    """
    gaps = [(item, gap(block.head, item)) for item in kernel if item.host == block.head.host]
    return tuple(match for match, apart in gaps if apart is None or abs(apart[0]) <= NEAR_US)


def report_of(story: Story, catalogue: Catalogue) -> CrashReport | None:
    """Reads the story's block."""
    return Diagnoser(catalogue).read(story.block).report if story.block else None


def explanation_item(story: Story, catalogue: Catalogue, known_bugs: KnownBugs) -> Item:
    """A story as a JSON object: its report, its fingerprint, what it means, which known bugs it
    looks like and what to do next.
    """
    diagnoser = Diagnoser(catalogue)
    reading = diagnoser.read(story.block) if story.block else None
    report = reading.report if reading else None
    diagnosis = diagnoser.explain(report, story.near)
    return {
        "type": "explanation",
        "report": report_item(report) if report else None,
        "fingerprint": reading.fingerprint if reading else None,
        "diagnosis": diagnosis_item(diagnosis),
        "known_issue": diagnosis.known_issue,
        "known_issue_confidence": diagnosis.known_issue_confidence,
        "known_bugs": as_object(known_bugs.shown(report, diagnosis.known_issue)),
        "next_steps": list(diagnosis.next_steps),
    }
