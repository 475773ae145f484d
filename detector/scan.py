"""Literals → the records of a chunk that may matter.

In: a chunk of raw bytes and all literals of the catalogue. Out: the records that hold one, plus
those of the hosts with an open block. A record that is not selected is never decoded, parsed or
even located. Does no parsing, no IO, keeps no state between chunks.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Protocol

from detector.kept_bytes import KeptBytes
from detector.lazy_regex import lazy_regex
from detector.literal_search import engine_of, finds_all, search_of
from detector.model import Record

# What can hide a literal, or tells of a reboot, selects its record too: journald writes a message
# that is not UTF-8 as an array of bytes and one that is too long as null; extended netconsole cuts
# a message into fragments; a stamp of less than ten seconds (`[    0.000000]`, printk's
# "[%5lu.%06lu]", also in dmesg --json; `,0,-;` of /dev/kmsg and extended netconsole, in
# microseconds) tells that the kernel time has begun anew; a header of pstore tells in which order
# its parts go.
REVEALING = (
    rb'"(?:MESSAGE|message|msg|log|body)"[ \t]*:[ \t]*\[',
    rb"ncfrag=",
    rb"\[    [0-9]\.[0-9]{6}",
    rb'"time": {2,8}[0-9]\.[0-9]{6}',
    rb",[0-9]{1,7},[-c+][,;]",
    rb"#[0-9]{1,9} Part[0-9]{1,9}",
)

# Hosts with open blocks are searched for one by one where names times bytes are no more than this,
# which costs what the engine takes to be made; with more than MANY, it costs what decoding
# everything does.
FEW_BYTES = 64 * 1024
MANY_NAMES = 512
# The engines that are kept, each for the hosts that are followed together.
KEPT_ENGINES = 16
# Characters of a host's name, and those that every writer writes as they are.
LONGEST_HOST = 255
_PLAIN_NAME = lazy_regex(r"[\w.:%/-]{2,}", re.ASCII)

Searched = str | bytes
"""What is searched for in raw bytes: a text as it stands, or an expression, as bytes."""


class Chunk(Protocol):
    """Contiguous bytes as they came, and the way to find the record at an offset.

    `source` names the file or "topic/partition"; `end` is the position after the chunk (the next
    offset; the byte offset of the file); `count` the number of records in it.
    """

    source: str
    data: bytes
    end: int

    @property
    def count(self) -> int: ...  # noqa: D102

    def record_at(self, offset: int) -> tuple[Record, int, int]:
        """The record that covers byte `offset` of `data`, where it starts in `data`, and where the
        next one starts.
        """
        ...


class Scanner:
    """Finds all literals at once in raw bytes.
    `kept` holds databases that were compiled before.
    """

    def __init__(self, literals: Sequence[Searched], kept: KeptBytes | None = None) -> None:
        texts = [
            literal.encode() for literal in dict.fromkeys(literals) if isinstance(literal, str)
        ]
        expressions = [literal for literal in literals if isinstance(literal, bytes)]
        self._ends = search_of(texts, (*REVEALING, *expressions), kept)
        self._names = HostNames()
        # The expressions hold no class of bytes that is not spelled out in ASCII.
        searched = (*texts, *expressions)
        self._is_ascii = finds_all() and all(map(bytes.isascii, searched))
        self.finds_all = finds_all()
        """Whether of literals that overlap each is found."""

    def ends(self, data: bytes) -> list[int]:
        """Returns where the hits in some bytes end, in rising order."""
        return self._ends(data)

    def select(
        self,
        chunk: Chunk,
        following: Callable[[], Collection[str] | None],
        taken: Callable[[Sequence[int], int], int] = lambda _ends, _index: -1,
    ) -> Iterator[tuple[Record, bool]]:
        """Yields (record, hit) in order: those with a hit, and those that `following()` wants,
        asked again after each. `taken` is asked first at each hit, by the ends of all and its
        number: it says where the next record starts if it has dealt with this one, else -1.

        It names the hosts with an open block, whose records come as well; None wants every record,
        nothing no more than the hits. What a chunk holds in `hits`, if it has that, are its hits,
        found before; one whose `data` holds more than values tells them by `hits_by`. Where it says
        `names_inside`, the host of a record that is not its source's stands in `data`, so that only
        records that hold a wanted name are located; without that, all are looked at.
        """
        position = 0
        data = chunk.data
        size = len(data)
        hits_by = getattr(chunk, "hits_by", None)
        hits = (
            hits_by(self._ends, is_ascii=self._is_ascii)
            if hits_by
            else getattr(chunk, "hits", None)
        )
        near = self._names.places(chunk) if getattr(chunk, "names_inside", False) else None
        ends = (*(self._ends(data) if hits is None else hits), size + 1)
        for index, end in enumerate(ends):
            last = end - 1
            while position < min(last + 1, size):
                names = following()
                if names is not None and not names:
                    break
                at = position if near is None or names is None else near.next(names, position)
                if at > last or at == size:
                    break
                record, _, after = chunk.record_at(at)
                yield record, last < after and end <= size
                position = after
            if last < position or last >= size:
                continue
            after = taken(ends, index)
            if after >= 0:
                position = after
                continue
            record, _, position = chunk.record_at(last)
            yield record, True


class HostNames:
    """Finds the records that hold some host's name.
    By plain searches where there is little to search, with the engine of the literals beyond that.
    """

    def __init__(self) -> None:
        self._engine = lru_cache(KEPT_ENGINES)(_searcher)

    def places(self, chunk: Chunk) -> _HostPlaces:
        """The search through one chunk."""
        return _HostPlaces(self, chunk)

    def find(self, names: frozenset[str], data: bytes, start: int) -> list[tuple[int, str]]:
        """The last byte of each occurrence from `start` on, and whose it is."""
        left = data[start:]
        if len(names) * len(left) <= FEW_BYTES:
            return _one_by_one(names, left)
        return self._engine(names)(left)


class _HostPlaces:
    """Where in a chunk the wanted hosts are named; looks only for those that somebody asked for."""

    def __init__(self, names: HostNames, chunk: Chunk) -> None:
        self._names = names
        self._data = chunk.data
        self._source = chunk.source[:LONGEST_HOST]
        self._places: list[tuple[int, str]] = []
        self._known: set[str] = set()
        self._wanted: Collection[str] = ()
        self._all = False

    def next(self, names: Collection[str], position: int) -> int:
        """A byte of the next record at or after `position` that may be of a wanted host; the size
        of the chunk where there is none.

        A host named as the source is that of every line that names none, and what a JSON writer may
        escape is not searched for.
        """
        if names is not self._wanted:
            self._want(names, position)
        if self._all:
            return position
        at = bisect_left(self._places, (position, ""))
        while at < len(self._places) and self._places[at][1] not in names:
            at += 1
        return self._places[at][0] if at < len(self._places) else len(self._data)

    def _want(self, names: Collection[str], position: int) -> None:
        self._wanted = names
        self._all = (
            len(names) > MANY_NAMES
            or self._source in names
            or not all(_PLAIN_NAME.fullmatch(name) for name in names)
        )
        new = frozenset(names) - self._known
        if new and not self._all:
            self._known |= new
            occurrences = self._names.find(new, self._data, position)
            self._places = sorted(
                (*self._places, *((position + at, name) for at, name in occurrences))
            )


def _one_by_one(names: Iterable[str], data: bytes) -> list[tuple[int, str]]:
    places: list[tuple[int, str]] = []
    for name in names:
        sought = name.encode()
        at = data.find(sought)
        while at >= 0:
            at += len(sought)
            places.append((at - 1, name))
            at = data.find(sought, at)
    return places


def _searcher(names: Iterable[str]) -> Callable[[bytes], list[tuple[int, str]]]:
    """A function data → the last byte of each occurrence of some names, and the name."""
    ordered = sorted(names)
    expressions = [re.escape(name.encode()) for name in ordered]
    if (engine := engine_of(expressions)) is None:
        return lambda data: _one_by_one(ordered, data)

    def search(data: bytes) -> list[tuple[int, str]]:
        places: list[tuple[int, str]] = []
        engine.scan(
            data,
            match_event_handler=lambda name, _start, end, _flags, _context: places.append(
                (end - 1, ordered[name])
            ),
        )
        return places

    return search
