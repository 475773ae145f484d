"""The index of known bugs: look-up of traces by guilty function, and how rare a function is.

In: bugs with their traces. Out: candidates for a guilty function, the weight of a function's name,
the functions that too many different bugs crash in. Reading it from a file is not done here.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from detector.known.bug import Bug, Trace

# A function of a smaller index is as rare as one of so many bugs: two bugs make no function common.
_FEWEST = 1_000
_HOT_BUGS = 3
_HOT_FOLDERS = 2
_FOLDER_DEPTH = 3  # path parts by which subsystems are told apart: drivers/net/ethernet


@dataclass(frozen=True, slots=True)
class BugTrace:
    """A trace of the index and its bug."""

    bug: Bug
    trace: Trace


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

    @classmethod
    def of(cls, bugs: Iterable[Bug], version: str = "") -> Index:
        """Builds the look-ups."""
        known = {bug.id: bug for bug in bugs}
        by_function: defaultdict[str, list[BugTrace]] = defaultdict(list)
        counts: Counter[str] = Counter()
        for bug in known.values():
            counts.update(set(_functions(bug)))
            for trace in bug.traces:
                if trace.function is not None:
                    by_function[trace.function].append(BugTrace(bug, trace))
        return cls(
            version,
            known,
            {name: tuple(found) for name, found in by_function.items()},
            frozenset(name for name, found in by_function.items() if _is_hot(found)),
            counts,
        )

    def weight(self, name: str) -> float:
        """How much a common function says: 1 for one that no bug has, near 0 for one of many."""
        bugs = max(len(self.bugs), _FEWEST)
        return math.log(bugs / (self._counts.get(name, 0) + 1)) / math.log(bugs)


def _functions(bug: Bug) -> Iterator[str]:
    for trace in bug.traces:
        yield from trace.frames
        yield from trace.allocated
        yield from trace.freed
        if trace.function is not None:
            yield trace.function


def _is_hot(found: Iterable[BugTrace]) -> bool:
    bugs = {candidate.bug.id: candidate.bug for candidate in found}
    folders = {
        "/".join((bug.files[0] if bug.files else "?").split("/")[:_FOLDER_DEPTH])
        for bug in bugs.values()
    }
    return len(bugs) >= _HOT_BUGS and len(folders) >= _HOT_FOLDERS
