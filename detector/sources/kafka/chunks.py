"""Polled batches and records → chunks: the bytes as they are, and the way from a byte to
its record.

A `BatchChunk` is a whole record batch, decompressed and not decoded: a record is located only for a
hit, by going from length to length, and decoded only then. What lies in a key or a header is no
hit. A `KafkaChunk` holds records that were polled one by one, their values one after the other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Protocol, cast

from detector.model import Record
from detector.scan import Chunk
from detector.sources.errors import SourceError

# What the two bytes of a record's length add to where it starts; a length of more bytes leads
# beyond all data.
_LONG = 1 << 62
_LOW = [2 + (byte >> 1 & 0x3F) for byte in range(256)]
_HIGH = [byte << 6 if byte < 0x80 else _LONG for byte in range(256)]


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one batch, decompressed, one after the other as Kafka's format 2 lays them
    out, from byte `begin` of `data` on.

    `first` is the lowest offset to read, for a fetch may begin within a batch; `after` the offset
    that follows the batch. `time_ms` is what each record's delta is added to, or with `append_time`
    the time of every record.
    """

    data: bytes
    begin: int
    count: int
    base: int
    first: int
    after: int
    time_ms: int
    append_time: bool

    def __len__(self) -> int:
        return len(self.data) - self.begin


@dataclass(frozen=True, slots=True)
class Damaged:
    """Placeholder of a batch that cannot be read: from `offset` on, for a reason.

    `following` is where the next batch of the same answer begins, `claimed` where this one says
    that it ends, which may be part of the damage; None where there is none.
    """

    offset: int
    reason: str
    following: int | None = None
    claimed: int | None = None


class BatchChunk:
    """The records of one batch from the fetch position on. A record's number is its offset, its
    arrival the time that Kafka keeps for it.

    `data` holds lengths, keys and headers as well, so that what a search finds in it is a hit only
    as far as `hits_by` says. A record without a value (a tombstone) is counted, and reads as an
    empty one. Raises SourceError where the batch breaks off.
    """

    __slots__ = (
        "_batch", "_begin", "_key", "_located", "_starts", "_values", "count", "data", "end",
        "first", "source",
    )  # fmt: skip
    names_inside = True

    def __init__(self, source: str, batch: Batch) -> None:
        self.source = source
        self.data = batch.data if batch.count else b""
        self.end = batch.after
        self.count = batch.count
        self.first = max(batch.base, batch.first)
        self._batch = batch
        self._begin = batch.begin
        self._starts: list[
            int
            # where records are known to start, in rising order: each part of the data is walked
            # once
        ] = []
        self._located: dict[int, tuple[Record, int, int]] = {}
        # Where the values of the located records start, by where their records do.
        self._values: dict[int, int] = {}
        self._key: bytes | None = None
        if batch.count and batch.first > batch.base:
            self._skip_to(batch.first)

    def hits_by(self, search: Callable[[bytes], Sequence[int]]) -> list[int]:
        """Returns where hits in values end; records without a hit anywhere are not looked at."""
        hits: list[int] = []
        after = self._begin
        for end in search(self.data):
            if end <= after:
                continue
            try:
                located = self.record_at(end - 1)
            except SourceError:  # raised again for whoever comes so far: what is before is whole
                hits.append(end)
                break
            after = located[2]
            if ends := search(located[0].value):
                value = self._values[located[1]]
                places = [value + end for end in ends]
                self._located |= dict.fromkeys([place - 1 for place in places], located)
                hits += places
        return hits

    def line_at(self, offset: int) -> tuple[int, int, int] | None:
        """The start and end of the value around a hit, and the start of the next record; None for
        any other byte.
        """
        located = self._located.get(offset)
        if located is None:
            return None
        record, start, after = located
        self._key = record.key
        value = self._values[start]
        return value, value + len(record.value), after

    def is_keyed(self, host: bytes) -> bool:
        """Returns whether the record of the last `line_at` has no key, or this one."""
        return not self._key or self._key == host

    def record_at(self, offset: int) -> tuple[Record, int, int]:
        """The record that covers byte `offset`, where it starts, and where the next one starts."""
        if (located := self._located.get(offset)) is not None:
            return located
        known = bisect_right(self._starts, offset)
        try:
            start, after = self._walk(self._starts[known - 1] if known else self._begin, offset)
            record = self._decode(start, after)
        except (IndexError, ValueError) as error:
            raise self._damaged(error) from error
        if not known or start > self._starts[known - 1]:
            self._starts.insert(known, start)
        return record, start, after

    def _walk(self, after: int, offset: int) -> tuple[int, int]:
        """Goes from a record's start by length and length to the record that covers a byte: its
        start, and the next one's.
        """
        data, low, high = self.data, _LOW, _HIGH
        offset = max(offset, after)
        while True:
            while (
                after <= offset
            ):  # every record up to a hit passes here: a length is mostly one byte or two
                start = after
                byte = data[start]
                if byte < 0x80:
                    after = start + 1 + (byte >> 1)
                else:
                    after = start + low[byte] + high[data[start + 1]]
            if after < _LONG:
                return start, after
            size, body = _varint(data, start)
            after = body + size

    def _decode(self, start: int, after: int) -> Record:
        """The record from byte `start` on, as Kafka's format 2 has it: length, attributes, time,
        offset, key, value, headers.
        """
        data, batch = self.data, self._batch
        _, position = _varint(data, start)
        _, position = _varint(data, position)
        since_ms, position = _varint(data, position)
        number, position = _varint(data, position)
        key, position = _bytes(data, position)
        value, position = _bytes(data, position)
        self._values[start] = position - len(value or b"")
        if position >= after or after > len(data):
            raise ValueError("a record is longer than its length says")
        time_ms = batch.time_ms if batch.append_time else batch.time_ms + since_ms
        return Record(
            value or b"",
            self.source,
            batch.base + number,
            key,
            time_ms * 1000 if time_ms >= 0 else None,
        )

    def _skip_to(self, first: int) -> None:
        """Leaves out the records below an offset: a fetch gets the whole batch that holds its
        position.
        """
        while self.count:
            record, _, after = self.record_at(self._begin)
            if record.number >= first:
                return
            self.count -= 1
            self._begin = after
            self._starts.clear()
        self.data = b""

    def _damaged(self, error: Exception) -> SourceError:
        return SourceError(
            f"kafka: {self.source}: the batch of records at offset {self._batch.base} is "
            f"damaged: {error}"
        )


class Polled(Protocol):
    """Protocol of kafka-python's ConsumerRecord, as far as it is used."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int | None: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


class KafkaChunk:
    """Consecutive records of one partition.

    A record's number is its offset, its arrival the time that the broker keeps for it.
    """

    __slots__ = ("_records", "_starts", "count", "data", "end", "source")

    def __init__(self, source: str, polled: Sequence[Polled]) -> None:
        values = [item.value for item in polled if item.value is not None]
        self.source = source
        self.data = b"\n".join(values)
        self.end = polled[-1].offset + 1
        self.count = len(polled)
        self._records = [item for item in polled if item.value is not None]
        self._starts = list(accumulate((len(value) + 1 for value in values[:-1]), initial=0))

    def record_at(self, offset: int) -> tuple[Record, int, int]:
        """The record that covers byte `offset`, where it starts, and where the next one starts."""
        index = bisect_right(self._starts, offset) - 1
        record = self._records[index]
        after = self._starts[index + 1] if index + 1 < len(self._starts) else len(self.data)
        arrival_us = (
            record.timestamp * 1000
            if record.timestamp is not None and record.timestamp >= 0
            else None
        )
        return (
            Record(record.value or b"", self.source, record.offset, record.key, arrival_us),
            self._starts[index],
            after,
        )


def chunks_of(source: str, polled: Sequence[Polled]) -> Iterator[Chunk]:
    """Yields what one poll brought of a partition, in order: whole batches as they are, and
    together the records that came one by one.
    """
    for whole, items in groupby(polled, lambda item: isinstance(item.value, Batch)):
        if whole:
            yield from (BatchChunk(source, cast("Batch", item.value)) for item in items)
        else:
            yield KafkaChunk(source, list(items))


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A zigzag varint, and where what follows it starts."""
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (result >> 1) ^ -(result & 1), position
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _bytes(data: bytes, position: int) -> tuple[bytes | None, int]:
    """A length and so many bytes, None for the length -1, and where what follows starts."""
    length, position = _varint(data, position)
    if length < 0:
        return None, position
    return bytes(data[position : position + length]), position + length
