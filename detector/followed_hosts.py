"""The hosts whose records are read whole while a report of theirs is open, as their
records spell them.
"""

from __future__ import annotations

from collections.abc import Iterable

from detector.assemble import Assembler
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
        if self._parser.overrides or assembler.open_hosts > MANY_NAMES:
            return None
        if self._restored:  # nobody knows yet how the records of a stored block spell its host
            self._restored &= assembler.hosts
            return None if self._restored else assembler.hosts
        spellings = self._parser.spellings
        if self._spelled[:2] != (assembler.hosts, spellings.version):
            names = spellings.of(assembler.hosts)
            self._spelled = assembler.hosts, spellings.version, names
        return self._spelled[2]
