"""Sources of records: files, standard input, Kafka. One protocol for all.

Out go batches of chunks (raw bytes, and the way to find a record in them); back comes what has been
stored. Nothing here looks into a record. What needs the Kafka client is not loaded here
(`sources.kafka`, `sources.security`): `oopswatch scan` does without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from detector.scan import Chunk
from detector.sources.errors import LostPartitionsError, SourceError, SourceProblem
from detector.sources.files.source import FileSource

__all__ = ["FileSource", "LostPartitionsError", "Source", "SourceError", "SourceProblem"]


class Source(Protocol):
    """A stream of batches. Each batch is dealt with, and stored, before the next one is asked
    for.
    """

    def batches(self) -> Iterator[Sequence[Chunk]]:
        """The batches, in order; an empty one where nothing came for a while. Ends with the input,
        or soon after `stop`.
        """
        ...

    def commit(self, positions: Mapping[str, int]) -> None:
        """Commits the position after the last stored record, by chunk source."""
        ...

    def confirm(self) -> None:
        """Makes sure that the last batch is still this reader's to store; raises
        LostPartitionsError where it may not be.
        """
        ...

    def drop(self, reason: LostPartitionsError) -> None:
        """Forgets the last batch, of which nothing was stored."""
        ...

    def stop(self) -> None:
        """Asks `batches` to end, from any thread or signal handler."""
        ...

    def close(self) -> None:
        """Gives back what is held open."""
        ...
