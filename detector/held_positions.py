"""Positions that wait for a message that is torn over two batches: they stand before its
first record, so that a restart reads it again. Noise is counted up to the end of the batch all the
same.
"""

from __future__ import annotations

from collections.abc import Mapping

from detector.keeper import PipelineKeeper


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
