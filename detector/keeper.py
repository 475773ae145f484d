"""The interfaces of what keeps the pipeline's results: a history, or findings sent to one.

Interfaces only. A `PipelineKeeper` takes matches, noise and counts in, one transaction a batch; a
`Correlating` makes incidents of matches and reports, or leaves that to a later stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from detector.boots import LineStream
from detector.correlate import StoredMatch
from detector.kernel_errors.tally import KernelErrorTally
from detector.model import Block, Match, Rejected
from detector.noise import NoiseCount
from detector.unclaimed import UnclaimedCount


class KeptPositions(Protocol):
    """The stored positions of sources, as far as the pipeline reads and moves them."""

    def counted(self, source: str) -> int:
        """The position below which this source's noise is counted already."""
        ...

    def catch_up(self, ends: Mapping[str, int]) -> None:
        """Moves positions that were held back up to the counted ones."""
        ...


class Steps(Protocol):
    """Steps of a batch that may fail alone."""

    def savepoint(self) -> AbstractContextManager[None]:
        """One step: what raises is undone to here, and passed on."""
        ...

    def flush(self) -> None:
        """Writes what waits for the end of a step."""
        ...


class PipelineKeeper(Steps, Protocol):
    """Keeps what a pipeline finds; see `detector.store.Journal` for each."""

    @property
    def sources(self) -> KeptPositions: ...  # noqa: D102
    def transaction(self) -> AbstractContextManager[None]: ...  # noqa: D102
    def stored_streams(  # noqa: D102
        self, names: Sequence[str]
    ) -> Mapping[str, LineStream]: ...
    def save_streams(self, moved: Mapping[str, LineStream]) -> None: ...  # noqa: D102
    def open_blocks(self) -> list[tuple[int, Block]]: ...  # noqa: D102
    def save_open_blocks(  # noqa: D102
        self, blocks: Iterable[tuple[int, Block]], still: Iterable[int] | None = ()
    ) -> None: ...
    def note_boot(self, match: Match) -> None: ...  # noqa: D102
    def add_match(self, match: Match) -> tuple[StoredMatch, bool]: ...  # noqa: D102
    def count_noise(self, rows: Iterable[NoiseCount]) -> None: ...  # noqa: D102
    def add_unclaimed(self, rows: Sequence[UnclaimedCount]) -> None: ...  # noqa: D102
    def add_counts(self, counts: Mapping[str, int]) -> None: ...  # noqa: D102
    def add_rejected(self, rows: Sequence[Rejected]) -> list[Rejected]: ...  # noqa: D102
    def set_positions(  # noqa: D102
        self, ends: Mapping[str, int], held: Mapping[str, int] | None = None
    ) -> None: ...


class Correlating(Protocol):
    """Makes incidents of what was kept; see `detector.correlator.Correlator` for each."""

    def forget(self) -> None: ...  # noqa: D102
    def add(self, stored: StoredMatch) -> None: ...  # noqa: D102
    def report(self, match_id: int, block: Block) -> None: ...  # noqa: D102
    def noise(self, rows: Sequence[NoiseCount]) -> None: ...  # noqa: D102
    def kernel_errors(self, tally: KernelErrorTally) -> None: ...  # noqa: D102
    def raise_incidents(self) -> None: ...  # noqa: D102
    def raise_outbreaks(self) -> None: ...  # noqa: D102
