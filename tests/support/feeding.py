"""Text in, blocks out: the parser, the shipped signatures and the assembler in a row, for tests of
what comes after them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from detector.assemble import Assembler, AssemblyLimits
from detector.boots import Boots
from detector.catalogue import Opens
from detector.match import Matcher
from detector.model import Block, Boot, Line, Match, Record
from detector.parse import Parser
from tests.support.shipped import shipped


@cache
def opening() -> Mapping[str, Opens]:
    """The shipped signatures that open a report."""
    return shipped().opening


@cache
def matcher() -> Matcher:
    """A matcher over the shipped signatures."""
    return Matcher(shipped(), timeout_s=1.0)


def parsed(text: str, source: str = "log", host: str = "web01") -> list[Line]:
    """The lines of a log."""
    parser = Parser(host=host)
    records = [
        Record(line.encode(), source, number) for number, line in enumerate(text.splitlines(), 1)
    ]
    found = [line for record in records for line in parser.feed(record, 0)] + parser.flush()
    return [line for line in found if isinstance(line, Line)]


def matched(lines: Iterable[Line]) -> list[tuple[Line, Match | None]]:
    """Each line with the match that claims it."""
    boots = Boots()
    return [(line, matcher().match(line, boots.place(line))) for line in lines]


def assembled(lines: Iterable[Line], limits: AssemblyLimits | None = None) -> list[Block]:
    """The blocks of the lines, in the order in which they close."""
    assembler = Assembler(opening(), limits)
    closed = [block for line in lines for block in assembler.feed(line, found(assembler, line), 0)]
    return closed + assembler.flush()


def found(assembler: Assembler, line: Line) -> Match | None:
    """The match of a line, by what is open."""
    claim = matcher().claim(line)
    return assembler.match_of(claim, line, Boot()) if claim is not None else None


def blocks(text: str) -> list[Block]:
    """The blocks of a log."""
    return assembled(parsed(text))
