"""Drives a source into whoever keeps its batches: store first, then the offsets.

In: a source, and a pipeline or an archive. Out: nothing; the order of the steps is fixed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from detector.hooks import RunTotals, ignore
from detector.scan import Chunk
from detector.sources import LostPartitionsError, Source


class BatchKeeper(Protocol):
    """The part that takes in the batches of a source: see `Pipeline` for each method."""

    def store(  # noqa: D102
        self, batch: Sequence[Chunk], now_us: int, confirm: Callable[[], None] = ignore
    ) -> dict[str, int]: ...
    def tell(self) -> None: ...  # noqa: D102
    @property
    def totals(self) -> RunTotals: ...  # noqa: D102


def run(source: Source, watch: BatchKeeper, clock: Callable[[], int]) -> None:
    """Drives a pipeline until the source ends. For each batch, always in this order:

    1. store: matches, reports, incidents, noise counts, open blocks and positions, in one
       transaction, whose last step asks the source whether the batch is still its own; if not,
       nothing is stored, and the source drops the batch;
    2. offsets: the source is told what is stored, at once: a member that is stopped in between
       leaves the batch to be read again into another history. A kill between the two repeats
       nothing, since the store's positions win;
    3. what there is to say of it is said.
    """
    for batch in source.batches():
        try:
            positions = watch.store(batch, clock(), source.confirm if batch else ignore)
        except LostPartitionsError as lost:
            source.drop(lost)
            continue
        try:
            source.commit(positions)
        finally:
            watch.tell()
