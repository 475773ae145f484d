"""The records of one partition, as polled → a chunk: their values one after the other, and the way
from a byte to its record.

Values may hold line ends themselves. A record without a value (a tombstone) is counted and holds no
bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

from detector.model import Record


class Polled(Protocol):
    """What is used of kafka-python's ConsumerRecord."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int | None: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


class KafkaChunk:
    """Consecutive records of one partition. A record's number is its offset, its arrival the time
    that the broker keeps for it.
    """

    __slots__ = ("_records", "_starts", "count", "data", "end", "source")

    def __init__(self, source: str, polled: Sequence[Polled]) -> None:
        values = [one.value for one in polled if one.value is not None]
        self.source = source
        self.data = b"\n".join(values)
        self.end = polled[-1].offset + 1
        self.count = len(polled)
        self._records = [one for one in polled if one.value is not None]
        self._starts = list(accumulate((len(value) + 1 for value in values[:-1]), initial=0))

    def record_at(self, offset: int) -> tuple[Record, int, int]:
        """The record that covers byte `offset`, where it starts, and where the next one starts."""
        index = bisect_right(self._starts, offset) - 1
        one = self._records[index]
        after = self._starts[index + 1] if index + 1 < len(self._starts) else len(self.data)
        arrival_us = (
            one.timestamp * 1000 if one.timestamp is not None and one.timestamp >= 0 else None
        )
        return (
            Record(one.value or b"", self.source, one.offset, one.key, arrival_us),
            self._starts[index],
            after,
        )
