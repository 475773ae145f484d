"""The short way of kernel lines that repeat: counts them from a chunk's raw bytes.

In: a line that `NoisePath` has read and found to be no noise. Out: whether it was counted; what is
in the least unusual, or to be kept whole, goes through the pipeline. What is counted is exactly
what the pipeline would count: see `Repeats`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from detector.boots import start_us, stream_name
from detector.catalogue import Signature
from detector.match import OF_PROCESS, Matcher
from detector.model import Boot, Line, Match
from detector.noise_path import LONGEST_TEXT, TAIL, Expression, RawPlace, expression
from detector.parse import Parser
from detector.repeats import RawTimes, Repeats, shape_of
from detector.scan import Chunk

_OF_PROCESS = re.compile(OF_PROCESS.encode(), re.ASCII)  # quicker than `regex`


class RepeatPath:
    """Counts what plainly repeats. The counts are those of the pipeline's `Repeats`."""

    def __init__(self, matcher: Matcher, parser: Parser, repeats: Repeats) -> None:
        self._matcher = matcher
        self._parser = parser
        self._repeats = repeats
        compiled: dict[int, Expression] = {}
        self._signatures: dict[int, Signature] = {}
        self._near: dict[bytes, list[tuple[bytes, list[int]]]] = {}
        self._compiled = compiled
        for text, near in matcher.others:
            literal = text.encode()
            self._signatures.update(near)
            ranks = [rank for rank, _ in near]
            self._near.setdefault(literal[-TAIL:], []).append((literal, ranks))

    def takes(
        self,
        chunk: Chunk,
        raw: RawPlace,
        host: str,
        hits: tuple[Sequence[int], int],
        boot_count: int,
        now_us: int,
    ) -> bool:
        """Counts a line of a host, in the boot of its stream with this count; `hits` are the ends
        of all hits, and the first of this line.
        """
        start, end, _, kernel_us, wall_us, boot_id = raw.line
        text = chunk.data[start:end]
        if len(text) > LONGEST_TEXT or text.isupper() or self._matcher.switched_off:
            return False
        signature = self._claim(chunk.data, text, start, end, *hits)
        if signature is None or _OF_PROCESS.match(text):
            return False
        spacing_us = self._repeats.policy.spacing_us(signature)
        if spacing_us is None:
            return False
        return self._repeats.takes_raw(
            chunk.source,
            (host, signature.id, shape_of(text)),
            RawTimes(kernel_us, wall_us, boot_id, boot_count),
            text,
            spacing_us,
            partial(self._read, chunk, raw.start, now_us, (host, boot_id, boot_count)),
        )

    def _claim(
        self, data: bytes, text: bytes, start: int, end: int, ends: Sequence[int], index: int
    ) -> Signature | None:
        """The signature that claims a text; as `Matcher.claim` of what is no noise."""
        ranks: list[int] = []
        while (hit := ends[index]) <= end:
            for literal, own in self._near.get(data[hit - TAIL : hit], ()):
                if hit - len(literal) >= start and data.startswith(literal, hit - len(literal)):
                    ranks = sorted({*ranks, *own}) if ranks else own
            index += 1
        for rank in ranks:
            pattern = self._compiled.get(rank)
            if pattern is None:
                pattern = self._compiled[rank] = expression(rank, self._signatures[rank])
            if pattern.match(text) is not None:
                return self._signatures[rank]
        return None

    def _read(
        self, chunk: Chunk, start: int, now_us: int, place: tuple[str, str | None, int]
    ) -> Match | None:
        """Reads the line that begins at a byte; its host, boot id and count of the boot are those
        of the lines before it.
        """
        host, boot_id, count = place
        record, _, _ = chunk.record_at(start)
        lines = self._parser.feed(record, now_us)
        if len(lines) != 1 or not isinstance(line := lines[0], Line):
            return None
        claim = self._matcher.claim(line)
        boot = Boot(boot_id, start_us(line), stream_name(chunk.source, host), count)
        return claim.match(line, boot) if claim else None
