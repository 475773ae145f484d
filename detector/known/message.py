"""Reads the reports that a commit's message or a record's description quotes.

In: the quoted lines, the parts that read logs. Out: crash reports, and call traces
that were written down without offsets. The lines go through the same matcher, assembler and reader
as a log's.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from detector import crash
from detector.assemble import Assembler
from detector.catalogue import Catalogue, Opens
from detector.lazy_regex import lazy_regex
from detector.match import Matcher
from detector.model import Boot, CrashReport, Line

_WORTH = lazy_regex(r"\+0x[0-9a-f]+/0x|[Cc]all [Tt]race|BUG: |WARNING: |INFO: |\.c:\d")

_BARE_HEAD = lazy_regex(
    r"(?:Call [Tt]race|Backtrace|.{0,80}[Cc]all (?:trace|stack|path|chain).{0,80}:$)"
)
_BARE = lazy_regex(r"(?:\d{1,3}[.)]\s*|->\s*|=>\s*|\?\s*|#\d{1,3} )?([a-z_]\w{4,80})(?:\(\))?$")
_CALLED = lazy_regex(r"\b([a-z_][a-z0-9_]{3,80})\(")


@dataclass(frozen=True, slots=True)
class MessageReader:
    """The parts that read a log: made once, used for every message."""

    matcher: Matcher
    opening: Mapping[str, Opens]
    generic: Container[str]

    @classmethod
    def of(cls, catalogue: Catalogue, generic: Container[str]) -> MessageReader:
        """A reader with the signatures of a catalogue."""
        return cls(Matcher(catalogue), catalogue.opening, generic)

    def reports(self, lines: Sequence[str]) -> list[CrashReport]:
        """Every report that the lines hold."""
        assembler, blocks = Assembler(self.opening), []
        for number, text in enumerate(lines, 1):
            line = Line(text, "message", number, "host", "message")
            claim = self.matcher.claim(line)
            match = assembler.match_of(claim, line, Boot()) if claim else None
            blocks += assembler.feed(line, match, 0)
        return [crash.read(block, self.generic) for block in (*blocks, *assembler.flush())]


def worth_reading(text: str) -> bool:
    """Returns whether there may be a report or a trace in the text at all."""
    return _WORTH.search(text) is not None


def bare_trace(lines: Sequence[str]) -> list[str]:
    """The functions under a `Call trace:` that was written down without offsets."""
    return list(_bare(lines))


def _bare(lines: Sequence[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        text = line.strip()
        if _BARE_HEAD.match(text):
            inside = True
        elif inside and (matched := _BARE.match(text)):
            yield matched[1]
        elif inside and text and not text.startswith(("<", "...")):
            inside = False


def mentioned(text: str, generic: Container[str], most: int = 24) -> tuple[str, ...]:
    """Functions that the prose names, `like_this()`."""
    names = dict.fromkeys(name for name in _CALLED.findall(text) if name not in generic)
    return tuple(names)[:most]
