"""The index of known bugs: finds traces by guilty function, and weighs how rare it is.

In: bugs with their traces, or tables made of them and a way to read a bug when it is asked for.
Out: candidates for a guilty function, the weight of a function's name, the functions that too many
different bugs crash in. Reading it from a file is not done here.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TypeVar

from detector.known.bug import Bug, Trace

# A function of a smaller index is as rare as one of so many bugs: two bugs make no function common.
_FEWEST = 1_000
_HOT_BUGS = 3
_HOT_FOLDERS = 2
_FOLDER_DEPTH = 3  # path parts by which subsystems are told apart: drivers/net/ethernet


class UnreadableIndexError(ValueError):
    """An index that cannot be used, or a part of it; the text says why."""


@dataclass(frozen=True, slots=True)
class BugTrace:
    """A trace of the index and its bug."""

    bug: Bug
    trace: Trace


@dataclass(frozen=True, slots=True)
class IndexTables:
    """The tables that are read before any bug is.
    `functions` are the places of the bugs that each is guilty in; `hot` those that crash for
    others; `counts`, in how many bugs a function stands.
    """

    functions: Mapping[str, Sequence[int]]
    hot: frozenset[str]
    counts: Mapping[str, int]

    @classmethod
    def of(cls, bugs: Sequence[Bug]) -> IndexTables:
        """The tables of bugs in this order."""
        functions: defaultdict[str, list[int]] = defaultdict(list)
        counts: Counter[str] = Counter()
        for place, bug in enumerate(bugs):
            counts.update(set(_functions(bug)))
            for name in dict.fromkeys(trace.function for trace in bug.traces if trace.function):
                functions[name].append(place)
        hot = (
            name for name, places in functions.items() if _is_hot([bugs[place] for place in places])
        )
        return cls(functions, frozenset(hot), counts)


_S = TypeVar("_S")
_V = TypeVar("_V")


class MadeWhenAsked(Mapping[str, _V]):
    """Values that are made of their sources when they are first asked for."""

    def __init__(self, sources: Mapping[str, _S], make: Callable[[str, _S], _V]) -> None:
        self._sources = sources
        self._make = make
        self._made: dict[str, _V] = {}

    def __getitem__(self, key: str) -> _V:
        if key not in self._made:
            self._made[key] = self._make(key, self._sources[key])
        return self._made[key]

    def __contains__(self, key: object) -> bool:
        return key in self._sources

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


class _BugsByPlace(Mapping[str, Bug]):
    """Bugs by their ids, which are known once every bug has been made."""

    def __init__(self, size: int, at: Callable[[int], Bug]) -> None:
        self._size = size
        self.at = at

    @cached_property
    def _by_id(self) -> dict[str, Bug]:
        return {bug.id: bug for bug in map(self.at, range(self._size))}

    def __getitem__(self, key: str) -> Bug:
        return self._by_id[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return self._size


@dataclass(frozen=True, slots=True)
class Index:
    """Bugs by the function that their reports name as guilty.

    `version` names the content: answers that are kept are kept under it. `hot` are functions that
    are guilty in several bugs of several subsystems: they crash on behalf of others.
    """

    version: str
    bugs: Mapping[str, Bug]
    by_function: Mapping[str, tuple[BugTrace, ...]] = field(repr=False)
    hot: frozenset[str] = field(repr=False)
    _counts: Mapping[str, int] = field(repr=False)
    _mentioning: Callable[[str], Iterable[Bug]] = field(repr=False)

    @classmethod
    def of(cls, bugs: Iterable[Bug], version: str = "") -> Index:
        """The index of these bugs."""
        known = list({bug.id: bug for bug in bugs}.values())
        tables = IndexTables.of(known)
        return cls.made(len(known), known.__getitem__, tables, lambda _text: known, version)

    @classmethod
    def made(
        cls,
        size: int,
        bug_at: Callable[[int], Bug],
        tables: IndexTables,
        mentioning: Callable[[str], Iterable[Bug]],
        version: str = "",
    ) -> Index:
        """The index of so many bugs, each of which is made when its place is asked for;
        `mentioning` gives the bugs that may mention a text.
        """
        bugs = _BugsByPlace(size, cache(bug_at))

        def candidates(function: str, places: Sequence[int]) -> tuple[BugTrace, ...]:
            return tuple(
                BugTrace(bug, trace)
                for bug in map(bugs.at, places)
                for trace in bug.traces
                if trace.function == function
            )

        by_function = MadeWhenAsked(tables.functions, candidates)
        return cls(version, bugs, by_function, tables.hot, tables.counts, mentioning)

    def mentioning(self, text: str) -> Iterable[Bug]:
        """The bugs in which a part of an id or of a commit's hash stands, and maybe others: so a
        bug is found without making all of them.
        """
        return self._mentioning(text)

    def weight(self, name: str) -> float:
        """Returns how distinctive a function is: 1 for one of no bug, near 0 for one of many."""
        bugs = max(len(self.bugs), _FEWEST)
        return math.log(bugs / (self._counts.get(name, 0) + 1)) / math.log(bugs)


def _functions(bug: Bug) -> Iterator[str]:
    for trace in bug.traces:
        yield from trace.frames
        yield from trace.allocated
        yield from trace.freed
        if trace.function is not None:
            yield trace.function


def _is_hot(bugs: Sequence[Bug]) -> bool:
    folders = {
        "/".join((bug.files[0] if bug.files else "?").split("/")[:_FOLDER_DEPTH]) for bug in bugs
    }
    return len(bugs) >= _HOT_BUGS and len(folders) >= _HOT_FOLDERS
