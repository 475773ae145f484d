"""The short way of noise: counts lines of user-space crashes from a chunk's raw bytes.

In: places in a chunk at which a literal ends. Out: counts, and where the next record starts; -1 for
every line that is not plainly noise: of another shape, with a second literal, of a host with an
open report, or of a time that no clock shows. Those go through the pipeline, whose counts are
exactly the same. Only for catalogues whose expressions have all been proved: nothing here watches
the time that one takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import regex

from detector.assemble import Assembler
from detector.boots import Boots
from detector.catalogue import Signature
from detector.hooks import RunTotals
from detector.match import Matcher
from detector.noise import NoiseTally
from detector.parse import Parser
from detector.parse.fast_path import RawLine, RawLines, is_host
from detector.parse.stamps import uptime, wall
from detector.scan import Chunk

LONGEST_TEXT = 1_024
_HOSTS = 100_000
TAIL = 4
_RANK = attrgetter("rank")


@dataclass(frozen=True, slots=True)
class RawPlace:
    """A line of a chunk: its first byte, and what was read of it."""

    start: int
    line: RawLine


Repeating = Callable[[Chunk, RawPlace, str, tuple[Sequence[int], int], int, int], bool]
"""A chunk, a line of it, its host, the hits and the line's first, the count of its boot, now →
whether the line was counted."""

Taken = Callable[[Sequence[int], int], int]
"""The ends of all hits, and which of them is looked at → where the next record starts, or -1."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A signature of noise over bytes; `named` says that it captures the program."""

    rank: int
    id: str
    match: Callable[[bytes], Any]
    named: bool


class NoisePath:
    """Counts plain noise. The tally and the boots are the pipeline's."""

    def __init__(
        self, matcher: Matcher, parser: Parser, assembler: Assembler, noise: NoiseTally
    ) -> None:
        self._matcher = matcher
        self._parser = parser
        self._assembler = assembler
        self._tally = noise
        compiled: dict[int, Expression] = {}
        # By the last bytes of a literal: it, and the expressions of its signatures.
        self._by_tail: dict[bytes, list[tuple[bytes, list[Expression]]]] = {}
        for text, near in matcher.noise:
            literal = text.encode()
            for rank, signature in near:
                compiled.setdefault(rank, expression(rank, signature))
            own = [compiled[rank] for rank, _ in near]
            self._by_tail.setdefault(literal[-TAIL:], []).append((literal, own))
        # The hosts that lines name so, where the one form of their names is the same.
        self._hosts: dict[bytes, str] = {}
        self._lines: RawLines | None = None
        # Two sequences of expressions in one, in the order in which they are asked.
        self._joined: dict[tuple[int, int], list[Expression]] = {}
        self.taken = self.repeated = 0
        self.repeating: Repeating | None = None
        """Asked for lines that are no noise: whether it has counted one."""

    def through(
        self, chunk: Chunk, boots: Boots, now_us: int
    ) -> Callable[[Sequence[int], int], int]:
        """Returns the function that takes the noise of a chunk.
        `taken` then says how many lines it took.
        """
        self.taken = self.repeated = 0
        line_at = getattr(chunk, "line_at", None)
        if line_at is None:
            return nothing_taken
        is_keyed: Callable[[bytes], bool] | None = getattr(chunk, "is_keyed", None)

        def take(ends: Sequence[int], index: int) -> int:
            context = self._parser.passes(chunk.source, now_us)
            place: tuple[int, int, int] | None = line_at(ends[index] - 1)
            if context is None or place is None:
                return -1
            lines = self._lines
            if lines is None or lines.now_us != context.now_us:
                lines = self._lines = RawLines(context)
            line = lines.read(chunk.data, place[0], place[1])
            if line is None:
                return -1
            start, end, written, kernel_us, wall_us, boot_id = line
            host = self._hosts.get(written) or self._host(written, chunk.source)
            if host is None or self._assembler.is_open(host):
                return -1
            if is_keyed is not None and not is_keyed(written):
                return -1
            claim = self._claim(chunk.data, start, end, ends, index)
            key = (chunk.source, host)
            if claim is None and not self._repeats(
                chunk, RawPlace(place[0], line), host, (ends, index), boots, now_us
            ):
                return -1
            if claim is None:
                if not boots.follow_on(key, kernel_us, wall_us, boot_id):
                    return -1
                self.repeated += 1
                return place[2]
            if not (wall(wall_us) and uptime(kernel_us) is not None):
                return -1
            boots.follow_raw(key, kernel_us, wall_us, boot_id)
            self._tally.count(chunk.source, host, claim[1], claim[0], wall_us, kernel_us)
            self.taken += 1
            return place[2]

        return take

    def add_to(self, totals: RunTotals) -> None:
        """Adds the lines that were taken of the last chunk: each a hit, most of them noise."""
        totals.hits += self.taken + self.repeated
        totals.noise += self.taken

    def _repeats(
        self,
        chunk: Chunk,
        raw: RawPlace,
        host: str,
        hits: tuple[Sequence[int], int],
        boots: Boots,
        now_us: int,
    ) -> bool:
        """Returns whether a line that is no noise was counted as one that repeats."""
        if self.repeating is None:
            return False
        count = boots.count_next((chunk.source, host), *raw.line[3:])
        return count >= 0 and self.repeating(chunk, raw, host, hits, count, now_us)

    def _host(self, written: bytes, source: str) -> str | None:
        """The host that a line names; None where it is none."""
        name = written.decode()
        if not is_host(name):
            return None
        host = self._parser.host_named(name, source)
        if host == name:
            if len(self._hosts) >= _HOSTS:
                self._hosts.clear()
            self._hosts[written] = host
        return host

    def _claim(
        self, data: bytes, start: int, end: int, ends: Sequence[int], index: int
    ) -> tuple[str, str | None] | None:
        """The signature of noise that claims a text, and the program; as `Matcher.claim`. The
        literals in it end at the hits from `index` on.
        """
        near: list[Expression] = []
        while (hit := ends[index]) <= end:
            for literal, own in self._by_tail.get(data[hit - TAIL : hit], ()):
                begin = hit - len(literal)
                if begin >= start and data.startswith(literal, begin):
                    near = self._both(near, own) if near else own
            index += 1
        if not near:
            return None
        text = data[start:end]
        if len(text) > LONGEST_TEXT or text.isupper() or self._matcher.switched_off:
            return None
        for expression in near:
            if (matched := expression.match(text)) is not None:
                process = matched["process"] if expression.named else None
                return expression.id, process.decode() if process else None
        return None

    def _both(self, near: list[Expression], own: list[Expression]) -> list[Expression]:
        """The expressions of two lists in one, made once: all lists are kept."""
        if near is own:
            return own
        key = id(near), id(own)
        joined = self._joined.get(key)
        if joined is None:
            joined = self._joined[key] = sorted({*near, *own}, key=_RANK)
        return joined


def nothing_taken(_ends: Sequence[int], _index: int) -> int:
    """Takes nothing."""
    return -1


def expression(rank: int, signature: Signature) -> Expression:
    """An expression over bytes: `re` is several times quicker, `regex` knows more."""
    source = signature.regex.encode()
    pattern: Any
    try:
        pattern = re.compile(source, re.ASCII)
    except re.error:
        pattern = regex.compile(source, regex.ASCII)
    return Expression(rank, signature.id, pattern.match, "process" in pattern.groupindex)
