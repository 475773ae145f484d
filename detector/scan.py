"""Literals → the records of a chunk that may matter.

In: a chunk of raw bytes and all literals of the catalogue. Out: the records that hold one, plus every record while a block is open.
A record that is not selected is never decoded, parsed or even located. Does no parsing, no IO, keeps no state between chunks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from detector.model import Record

# What can hide a literal, or tells of a reboot, selects its record too: journald writes a message that is not UTF-8 as an array of
# bytes and one that is too long as null; extended netconsole cuts a message into fragments; a stamp of less than ten seconds
# (`[    0.000000]`, printk's "[%5lu.%06lu]", also in dmesg --json; `,0,-;` of /dev/kmsg and extended netconsole, in microseconds)
# tells that the kernel time has begun anew.
REVEALING = (
    rb'"(?:MESSAGE|message|msg|log|body)"[ \t]*:[ \t]*\[',
    rb"ncfrag=",
    rb"\[    [0-9]\.[0-9]{6}",
    rb'"time": {2,8}[0-9]\.[0-9]{6}',
    rb",[0-9]{1,7},[-c+][,;]",
)


class Chunk(Protocol):
    """Contiguous bytes as they came, and the way to find the record at an offset.

    `source` names the file or "topic/partition"; `end` is the position after the chunk (the next offset; the byte offset of the file);
    `count` the number of records in it.
    """

    source: str
    data: bytes
    end: int
    count: int

    def record_at(self, offset: int) -> tuple[Record, int, int]:
        """The record that covers byte `offset` of `data`, where it starts in `data`, and where the next one starts."""
        ...


class Scanner:
    """Finds all literals at once in raw bytes: Hyperscan where it is installed, one alternation of `re` elsewhere."""

    def __init__(self, literals: Sequence[str]) -> None:
        expressions = [re.escape(literal.encode()) for literal in dict.fromkeys(literals)] + list(REVEALING)
        self._ends = _hyperscan(expressions) or _alternation(expressions)

    def select(self, chunk: Chunk, following: Callable[[], bool]) -> Iterator[tuple[Record, bool]]:
        """Yields (record, hit) in order. While `following()` is true the records without a hit come as well."""
        position = 0
        size = len(chunk.data)
        for end in (*self._ends(chunk.data), size + 1):
            last = end - 1
            while position < min(last + 1, size) and following():
                record, _, after = chunk.record_at(position)
                yield record, last < after and end <= size
                position = after
            if last < position or last >= size:
                continue
            record, _, position = chunk.record_at(last)
            yield record, True


def _hyperscan(expressions: Sequence[bytes]) -> Callable[[bytes], list[int]] | None:
    """A function data → end offsets of hits in rising order; None where Hyperscan has no wheel for this machine."""
    try:
        import hyperscan
    except ImportError:
        return None
    database: Any = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=list(expressions), ids=list(range(len(expressions))), elements=len(expressions))

    def ends(data: bytes) -> list[int]:
        found: list[int] = []
        database.scan(data, match_event_handler=lambda _id, _start, end, _flags, _context: found.append(end))
        return found

    return ends


def _alternation(expressions: Sequence[bytes]) -> Callable[[bytes], list[int]]:
    pattern = re.compile(b"|".join(expressions))
    return lambda data: [found.end() for found in pattern.finditer(data)]
