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
from typing import NamedTuple, Protocol, cast

from detector.model import Record
from detector.scan import Chunk
from detector.sources.errors import SourceError

# What the two bytes of a record's length add to where it starts; a length of more bytes leads
# beyond all data.
_LONG = 1 << 62
_LOW = [2 + (byte >> 1 & 0x3F) for byte in range(256)]
_HIGH = [byte << 6 if byte < 0x80 else _LONG for byte in range(256)]

# The last byte of a number is no greater; a shorter value has a length of one byte.
_LAST = 0x7F
_SHORT = 64
# A record's length, attributes, time and number take no more bytes, as a rule.
_USUAL = 24
_TOO_LONG = "a record is longer than its length says"


class _Place(NamedTuple):
    """Where a record is, and where its key and its value are."""

    start: int
    after: int
    key: int
    key_end: int
    value: int
    stop: int


_NO_PLACE = _Place(0, 0, 0, 0, 0, 0)


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
        "_batch", "_begin", "_key", "_located", "_starts", "count", "data", "end", "first",
        "source",
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
        self._located: dict[int, _Place] = {}  # by the last byte of a hit
        self._key = (0, 0)
        if batch.count and batch.first > batch.base:
            self._skip_to(batch.first)

    def hits_by(
        self, search: Callable[[bytes], Sequence[int]], *, is_ascii: bool = False
    ) -> list[int]:
        """Returns where hits in values end; records without a hit anywhere are not looked at.

        `is_ascii` says that no hit holds a byte above 0x7F. The length before a value of 64 bytes
        or more begins with one, so that a hit that ends in such a value began in it; a shorter
        value is searched by itself.
        """
        hits: list[int] = []
        after, place = self._begin, _NO_PLACE
        for end in search(self.data):
            if end <= after:
                if place.value < end <= place.stop:
                    self._located[end - 1] = place
                    hits.append(end)
                continue
            try:
                place = self._place_at(after, end - 1)
            except SourceError:  # raised again for whoever comes so far: what is before is whole
                hits.append(end)
                break
            after, value, stop = place.after, place.value, place.stop
            if is_ascii and stop - value >= _SHORT:
                if value < end <= stop:
                    self._located[end - 1] = place
                    hits.append(end)
                continue
            ends = [value + at for at in search(self.data[value:stop])]
            self._located |= {at - 1: place for at in ends}
            hits += ends
            place = _NO_PLACE
        return hits

    def line_at(self, offset: int) -> tuple[int, int, int] | None:
        """The start and end of the value around a hit, and the start of the next record; None for
        any other byte.
        """
        place = self._located.get(offset)
        if place is None:
            return None
        self._key = place.key, place.key_end
        return place.value, place.stop, place.after

    def is_keyed(self, host: bytes) -> bool:
        """Returns whether the record of the last `line_at` has no key, or this one."""
        begin, end = self._key
        return begin == end or self.data[begin:end] == host

    def record_at(self, offset: int) -> tuple[Record, int, int]:
        """The record that covers byte `offset`, where it starts, and where the next one starts."""
        place = self._located.get(offset)
        known = bisect_right(self._starts, offset)
        try:
            if place is not None:
                return self._decode(place.start, place.after), place.start, place.after
            start, after = self._walk(self._starts[known - 1] if known else self._begin, offset)
            record = self._decode(start, after)
        except (IndexError, ValueError) as error:
            raise self._damaged(error) from error
        if not known or start > self._starts[known - 1]:
            self._starts.insert(known, start)
        return record, start, after

    def _place_at(self, after: int, offset: int) -> _Place:
        """The place of the record that covers byte `offset`; one starts at `after`, before it."""
        try:
            start, after = self._walk(after, offset)
            place = self._place(start, after)
        except (IndexError, ValueError) as error:
            raise self._damaged(error) from error
        if not self._starts or start > self._starts[-1]:
            self._starts.append(start)
        return place

    def _place(self, start: int, after: int) -> _Place:
        """Where key and value of the record from byte `start` on are: as `_decode`, without what
        only a record needs.
        """
        data, at = self.data, start
        while data[at] > _LAST:
            at += 1
        at += 2  # the attributes are one byte, and 0
        for _ in range(2):  # time, number
            while data[at] > _LAST:
                at += 1
            at += 1
        if at - start > _USUAL:  # numbers that may be of more than 64 bits
            self._decode(start, after)
        size, key = _varint(data, at)
        key_end = key + max(size, 0)
        size, value = _varint(data, key_end)
        stop = value + max(size, 0)
        if stop >= after or after > len(data):
            raise ValueError(_TOO_LONG)
        return _Place(start, after, key, key_end, value, stop)

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
        if position >= after or after > len(data):
            raise ValueError(_TOO_LONG)
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
