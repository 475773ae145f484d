"""State that the pipeline carries from batch to batch; a batch that fails rewinds it.

Stores nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from detector.assemble import Assembler
from detector.keeper import PipelineKeeper
from detector.parse import Parser
from detector.scan import MANY_NAMES


class FollowedHosts:
    """The names that records are searched for beside the literals."""

    def __init__(self, parser: Parser, assembler: Assembler) -> None:
        self._parser, self._assembler = parser, assembler
        self._restored: set[str] = set()
        self._spelled = (frozenset[str](), -1, frozenset[str]())
        self.mark()

    def restore(self, hosts: Iterable[str]) -> None:
        """Blocks of these hosts were open when the history was left."""
        self._restored = set(hosts)

    def mark(self) -> None:
        """The state is good as it is now: `rewind` goes back to it."""
        self._marked = set(self._restored)

    def rewind(self) -> None:
        """Goes back to the state at the last mark."""
        self._restored = set(self._marked)

    def names(self) -> frozenset[str] | None:
        """The hosts with open blocks; None, for every record, where they are too many, or all that
        comes is of one host.
        """
        assembler = self._assembler
        if not assembler.following:
            return assembler.hosts
        if self._parser.overrides or len(assembler.hosts) > MANY_NAMES:
            return None
        if self._restored:  # nobody knows yet how the records of a stored block spell its host
            self._restored &= assembler.hosts
            return None if self._restored else assembler.hosts
        spellings = self._parser.spellings
        if self._spelled[:2] != (assembler.hosts, spellings.version):
            names = spellings.of(assembler.hosts)
            self._spelled = assembler.hosts, spellings.version, names
        return self._spelled[2]


class HeldPositions:
    """The sources whose stored position is behind what was read of them, with where that ends."""

    def __init__(self, journal: PipelineKeeper) -> None:
        self._journal = journal
        self._ends: dict[str, int] = {}
        self.mark()

    def mark(self) -> None:
        """The state is good as it is now: `rewind` goes back to it."""
        self._marked = dict(self._ends)

    def rewind(self) -> None:
        """Goes back to the state at the last mark."""
        self._ends = dict(self._marked)

    def store(self, ends: Mapping[str, int], waiting: Mapping[str, int]) -> None:
        """Stores where each source of a batch stands. `waiting` is the first record, by source, of
        what waits for its rest.
        """
        held = {name: waiting[name] for name, end in ends.items() if waiting.get(name, end) < end}
        self._journal.set_positions(ends, held)
        before = {name: end for name, end in self._ends.items() if name not in ends}
        if done := {name: end for name, end in before.items() if name not in waiting}:
            self._journal.sources.catch_up(done)
        self._ends = {name: ends[name] for name in held}
        self._ends |= {name: end for name, end in before.items() if name not in done}


class NewCounts:
    """The counters of `read`, as they were when they were last taken."""

    def __init__(self, read: Callable[[], Mapping[str, int]]) -> None:
        self._read = read
        self._before: Counter[str] = Counter()
        self._marked = self._before

    def take(self) -> Counter[str]:
        """Returns what was counted since the last call: losses, bounds that acted."""
        now = Counter(self._read())
        new = now - self._before
        self._before = now
        return new

    def mark(self) -> None:
        """The state is good as it is now."""
        self._marked = self._before

    def rewind(self) -> None:
        """Goes back to the last mark."""
        self._before = self._marked
