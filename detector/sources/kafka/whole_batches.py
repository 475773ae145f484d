"""Whole record batches through the client's own `poll()`.

With `frames` it is what knows the inside of kafka-python.

In: a consumer. Out: the same consumer, whose `poll()` hands out one `ConsumerRecord` for each
record batch of format 2: its value is a `Batch`, its offset the last one of the batch. All else is
done by the client's own code: checksums, codecs, transactions, control batches, positions, and the
formats 0 and 1, whose records come one by one as ever. What is in a batch is found by
`chunks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from kafka import KafkaConsumer
from kafka import codec as codecs
from kafka import errors as kafka_errors
from kafka.consumer.fetcher import ConsumerRecord, Fetcher
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords

from detector.sources.kafka.chunks import Batch, Damaged
from detector.sources.kafka.pinned import changes

# What this module builds upon; where a release changes one of them, records come one by one.
PINNED = {
    "Fetcher.PartitionRecords": (
        Fetcher.PartitionRecords,
        "cf2214c6a21884be2beeaa15584826a2da7ee4815f75185c11c219b0b5957a76",
    ),
    "Fetcher.fetched_records": (
        Fetcher.fetched_records,
        "bf91319f1a2fda4651d03c3df9be603522854bd499b4ff863fc7512799ea08ae",
    ),
    "Fetcher._append": (
        Fetcher._append,  # noqa: SLF001
        "341c09c715c59d8bf4c39d5494a7bc9d74632bc27e1a0a46e8fa74d76d41f421",
    ),
    "Fetcher._parse_fetched_data": (
        Fetcher._parse_fetched_data,  # noqa: SLF001
        "3cd93b6d3b7b96e1dab3b97af665a9f61627332457b2cffae6c177114030c090",
    ),
    "MemoryRecords": (
        MemoryRecords,
        "7d13ee2c94696380e8a57ac39c8c057543bcf35a26de30087a0e2d2ee1205cff",
    ),
    "DefaultRecordBatch": (
        DefaultRecordBatch,
        "a93fc914b6cf23664b6aa8c88546101fe28db652bfb5eec16a1d1be8d323fc91",
    ),
}

_HEADER = DefaultRecordBatch.HEADER_STRUCT
# The lower byte of the attributes, which holds all flags that there are.
_ATTRIBUTES_LOW = DefaultRecordBatch.ATTRIBUTES_OFFSET + 1


def hand_out_batches(consumer: KafkaConsumer) -> None:
    """Makes `consumer.poll()` hand out whole batches.

    `max_records` still counts records, and splits no batch.
    """
    consumer._fetcher.__class__ = _BatchFetcher  # noqa: SLF001


def hand_out_records(consumer: KafkaConsumer) -> None:
    """Makes `consumer.poll()` hand out a `Damaged` where it would raise."""
    consumer._fetcher.__class__ = _SingleFetcher  # noqa: SLF001


def changed() -> list[str]:
    """Returns what of kafka-python is not as it was when this module was written."""
    return changes(PINNED)


class _BatchViews(MemoryRecords):  # type: ignore[misc]  # kafka-python ships no types
    """The batches of an answer. Those of format 2 that hold records are views of it, and say that
    they hold one record, which is all of them; the client would copy each.
    """

    __slots__ = ("_first",)

    def __init__(self, data: Any, first: int) -> None:
        super().__init__(data)
        self._first = first

    def next_batch(self) -> Any:
        """The next batch, None at the end."""
        view = self._next_slice
        if view is None or len(view) < _HEADER.size or view[self.MAGIC_OFFSET] != 2:
            return super().next_batch()
        if view[_ATTRIBUTES_LOW] & DefaultRecordBatch.CONTROL_MASK:
            return super().next_batch()
        self._cache_next()
        return _WholeBatch(view, self._first)


class _WholeBatch(DefaultRecordBatch):  # type: ignore[misc]
    """A batch that says it holds one record, which is all of them."""

    def __init__(self, view: memoryview, first: int) -> None:
        super().__init__(view[: _HEADER.size])  # which copies what it is given
        self._buffer = view
        self._first = first

    def __iter__(self) -> Iterator[_AllRecords]:
        append_time = self.timestamp_type == self.LOG_APPEND_TIME
        time_ms = self.max_timestamp if append_time else self.first_timestamp
        batch = Batch(
            self._records(),
            0,
            self.records_count,
            self.base_offset,
            self._first,
            self.next_offset,
            time_ms,
            append_time,
        )
        return iter((_AllRecords(batch),))

    def _records(self) -> bytes:
        """The records, decompressed."""
        codec, data = self.compression_type, self._buffer[self._pos :]
        if codec == self.CODEC_NONE:
            return bytes(data)
        self._assert_has_codec(codec)
        if codec == self.CODEC_LZ4:
            return bytes(codecs.lz4_decode(data))  # takes a view, and returns bytes: copies nothing
        if codec == self.CODEC_GZIP:
            return bytes(codecs.gzip_decode(data))
        decode = codecs.snappy_decode if codec == self.CODEC_SNAPPY else codecs.zstd_decode
        return bytes(decode(bytes(data)))


class _AllRecords:
    """What the client asks of a record, answered for a batch."""

    __slots__ = ("offset", "size_in_bytes", "timestamp", "value")
    key = checksum = None
    headers: tuple[()] = ()
    timestamp_type = 0

    def __init__(self, batch: Batch) -> None:
        self.value = batch
        self.offset = batch.after - 1
        self.timestamp = batch.time_ms
        self.size_in_bytes = len(batch)

    def validate_crc(self) -> bool:
        """The sum of the batch has been checked, and there is no other."""
        return True


class _Batches:
    """Batches as the client reads them from a fetch, each proved to lie where it should:
    behind the one before, and within the log.
    """

    def __init__(self, records: Any, first: int, highwater: int) -> None:
        self._records = records
        self._first = self._position = first
        self._highwater = highwater
        self._batch: Any = None

    def next_batch(self) -> Any:
        """The next batch, None at the end."""
        self._batch = batch = self._records.next_batch()
        if batch is None or batch.magic < 2:
            return batch
        if batch.magic > 2:
            raise kafka_errors.CorruptRecordError(f"its format is {batch.magic}")
        # Some brokers begin an answer with batches that lie before what was asked for.
        before = batch.next_offset <= self._position != self._first
        if before or 0 <= self._highwater < batch.next_offset:
            raise kafka_errors.CorruptRecordError(
                f"it says that it holds the offsets {batch.base_offset} to {batch.last_offset}"
            )
        self._position = max(self._position, batch.next_offset)
        return batch

    def damage(self, offset: int, error: Exception) -> Damaged:
        """Returns what is known of the batch that cannot be read."""
        claimed = following = None
        with suppress(Exception):
            claimed = self._batch.next_offset
        with suppress(Exception):
            following = self._records.next_batch().base_offset
        reason = " ".join(str(error).split()) or type(error).__name__
        return Damaged(offset, reason, following, claimed)


class _Refused:
    """What stands for the records of an answer that holds none but an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def next_batch(self) -> Any:
        """Raises what the broker, or the client, says of the answer."""
        raise self._error


class SingleRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python ships no types
    """The records of one partition in one fetch.

    What cannot be read ends them with a `Damaged`: the client itself would raise, for all
    partitions, and stand still there.
    """

    whole = False
    highwater = -1

    def _unpack_records(self, tp: Any, records: Any, *deserializers: Any) -> Any:
        if self.whole and isinstance(records, MemoryRecords):
            records = _BatchViews(records._buffer, self.fetch_offset)  # noqa: SLF001
        batches = _Batches(records, self.fetch_offset, self.highwater)
        try:
            yield from super()._unpack_records(tp, batches, *deserializers)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # codecs raise what they like
            offset = self.next_fetch_offset
            value = batches.damage(offset, error)
            yield ConsumerRecord(
                tp.topic, tp.partition, -1, offset, -1, 0, None, value, [], None, -1, -1, -1
            )
            self.drain()


class BatchRecords(SingleRecords):
    """The batches of one partition in one fetch."""

    whole = True


# What is said of a fetch and concerns more than one batch of it.
_NOT_OF_A_BATCH = (
    kafka_errors.OffsetOutOfRangeError,
    kafka_errors.AuthorizationError,
    kafka_errors.UnsupportedVersionError,
)


class _SingleFetcher(Fetcher):  # type: ignore[misc]  # kafka-python ships no types
    """A fetcher that hands an answer which cannot be read out as what it is."""

    PartitionRecords = SingleRecords

    def _parse_fetched_data(self, completed_fetch: Any) -> Any:
        try:
            part = super()._parse_fetched_data(completed_fetch)
        except (*_NOT_OF_A_BATCH, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001
            return self.PartitionRecords(
                completed_fetch.fetched_offset,
                completed_fetch.topic_partition,
                _Refused(error),
                on_drain=self._on_partition_records_drain,
            )
        if part is not None:
            part.highwater = completed_fetch.partition_data.high_watermark
        return part


class _BatchFetcher(_SingleFetcher):
    """A fetcher that counts the records in what it hands out: a poll ends with the batch that
    reaches its limit.
    """

    PartitionRecords = BatchRecords

    def _append(self, drained: Any, part: Any, _max_records: int, update_offsets: bool) -> int:
        before = len(drained.get(part.topic_partition, ()))
        super()._append(drained, part, 1, update_offsets)
        return sum(
            item.value.count if isinstance(item.value, Batch) else 1
            for item in drained.get(part.topic_partition, ())[before:]
        )
