"""Where records come from: files, standard input, Kafka. One protocol for all.

Out go batches of chunks (raw bytes, and the way to find a record in them); back comes what has been stored. Nothing here looks into a
record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from detector.scan import Chunk
from detector.sources.errors import Problem, SourceError
from detector.sources.files import FileSource

if TYPE_CHECKING:
    from detector.sources.kafka import KafkaSource
    from detector.sources.security import client_settings

__all__ = ["FileSource", "KafkaSource", "Problem", "Source", "SourceError", "client_settings"]


def __getattr__(name: str) -> Any:
    """What needs the Kafka client, or the settings, is loaded when it is asked for: `oopswatch scan` does without."""
    if name == "KafkaSource":
        from detector.sources.kafka import KafkaSource

        return KafkaSource
    if name == "client_settings":
        from detector.sources.security import client_settings

        return client_settings
    raise AttributeError(name)


class Source(Protocol):
    """A stream of batches. Each batch is dealt with, and stored, before the next one is asked for."""

    def batches(self) -> Iterator[Sequence[Chunk]]:
        """The batches, in order; an empty one where nothing came for a while. Ends with the input, or soon after `stop`."""
        ...

    def commit(self, positions: Mapping[str, int]) -> None:
        """What is stored: the position after the last stored record, by chunk source."""
        ...

    def stop(self) -> None:
        """Asks `batches` to end, from any thread or signal handler."""
        ...

    def close(self) -> None:
        """Gives back what is held open."""
        ...
