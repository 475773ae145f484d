"""The tables by which bugs are found, as text that is searched and never read whole.

In: `IndexTables` and the functions that stand in it. Out: one line for each function, in order: its
name, in how many bugs it stands, the places of the bugs that it is guilty in; and tables over such
text. A look-up is a binary search, so a process that asks about one crash reads a few lines.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from detector.known.index import IndexTables, UnreadableIndexError


class FunctionEntry(NamedTuple):
    """The index's entry of a function."""

    bugs: int
    places: tuple[int, ...]


_NOTHING = FunctionEntry(0, ())


def table_text(tables: IndexTables) -> str:
    """The tables as text. The hot functions are no part of it."""
    return "".join(
        f"{key}\t{tables.counts[name]}\t{','.join(map(str, tables.functions.get(name, ())))}\n"
        for key, name in sorted((_key(name), name) for name in tables.counts)
    )


def tables_over(text: bytes, hot: frozenset[str]) -> IndexTables:
    """Returns the tables over such text, whose lines are read when they are needed.
    A line that cannot be read raises `UnreadableIndexError` then.
    """
    table = _TableText(text)
    return IndexTables(_Functions(table), hot, _Counts(table))


def _key(name: str) -> str:
    """A name as it stands in the text: without characters that part names or lines."""
    return json.dumps(name)[1:-1]


def _name(key: bytes) -> str:
    try:
        return str(json.loads(b'"' + key + b'"'))
    except ValueError as error:
        raise UnreadableIndexError("its tables cannot be read: it is damaged") from error


class _TableText:
    """Lines in the order of their names."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._entries: dict[str, FunctionEntry] = {}

    def entry(self, name: str) -> FunctionEntry:
        """What is known of a function; nothing of one that is not there."""
        if name not in self._entries:
            self._entries[name] = self._search(_key(name).encode())
        return self._entries[name]

    def lines(self) -> Iterator[tuple[str, FunctionEntry]]:
        """Every function."""
        for line in self._text.splitlines():
            key, _, entry = line.partition(b"\t")
            yield _name(key), _entry(entry)

    def _search(self, key: bytes) -> FunctionEntry:
        place = bisect_left(range(len(self._text)), key, key=lambda at: self._line(at)[0])
        if place == len(self._text):
            return _NOTHING
        name, entry = self._line(place)
        return _entry(entry) if name == key else _NOTHING

    def _line(self, at: int) -> tuple[bytes, bytes]:
        """The line around a byte: its name, and what follows it."""
        start = self._text.rfind(b"\n", 0, at) + 1
        end = self._text.find(b"\n", at)
        key, _, entry = self._text[start : end if end >= 0 else None].partition(b"\t")
        return key, entry


def _entry(text: bytes) -> FunctionEntry:
    count, _, places = text.partition(b"\t")
    try:
        return FunctionEntry(int(count), tuple(map(int, places.split(b","))) if places else ())
    except ValueError as error:
        raise UnreadableIndexError("its tables cannot be read: it is damaged") from error


class _Functions(Mapping[str, Sequence[int]]):
    """The functions that are guilty in some bug, with the places of these."""

    def __init__(self, table: _TableText) -> None:
        self._table = table

    def __getitem__(self, name: str) -> Sequence[int]:
        if places := self._table.entry(name).places:
            return places
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, entry in self._table.lines() if entry.places)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Counts(Mapping[str, int]):
    """In how many bugs each function stands."""

    def __init__(self, table: _TableText) -> None:
        self._table = table

    def __getitem__(self, name: str) -> int:
        if count := self._table.entry(name).bugs:
            return count
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._table.lines())

    def __len__(self) -> int:
        return sum(1 for _ in self)
