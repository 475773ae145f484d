# what lies inside is what this module is for
"""Whole record batches through the client's own `poll()`: the one module that knows the
inside of kafka-python.

In: a consumer. Out: the same consumer, whose `poll()` hands out one `ConsumerRecord` for each
record batch of format 2: its value is a `Batch`, its offset the last one of the batch. All else is
done by the client's own code: checksums, codecs, transactions, control batches, positions, and the
formats 0 and 1, whose records come one by one as ever. What is in a batch is found by
`chunks`.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from kafka import KafkaConsumer
from kafka import errors as kafka_errors
from kafka.consumer.fetcher import ConsumerRecord, Fetcher
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords

from detector.sources.kafka.chunks import Batch, Damaged

# What this module builds upon, and the SHA-256 of its source as it was read (kafka-python 3.0.12).
# Where a release changes one of them, somebody reads it again and notes the new hash; until then
# records come one by one.
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
    "MemoryRecords.next_batch": (
        MemoryRecords.next_batch,
        "1b0c89b6e3d3e94062ff5e6a2b77fef82fb7fd9df12c4b672897475215148cc7",
    ),
    "DefaultRecordBatch": (
        DefaultRecordBatch,
        "a93fc914b6cf23664b6aa8c88546101fe28db652bfb5eec16a1d1be8d323fc91",
    ),
}


def hand_out_batches(consumer: KafkaConsumer) -> None:
    """Makes `consumer.poll()` hand out whole batches.

    `max_records` still counts records, and splits no batch.
    """
    consumer._fetcher.__class__ = _BatchFetcher  # noqa: SLF001


def hand_out_records(consumer: KafkaConsumer) -> None:
    """Makes `consumer.poll()` hand out a `Damaged` where it would raise."""
    consumer._fetcher.__class__ = _SingleFetcher  # noqa: SLF001


def changed(pinned: Mapping[str, tuple[Any, str]] = PINNED) -> list[str]:
    """Returns what of kafka-python is not as it was when this module was written: names, none
    where all is as it was.
    """
    return [name for name, (what, known) in pinned.items() if source_hash(what) != known]


def source_hash(what: Any) -> str:
    """The hash of the source of a class or function; empty where its source is not at hand."""
    try:
        return hashlib.sha256(inspect.getsource(what).encode()).hexdigest()
    except (OSError, TypeError):
        return ""


class _WholeBatch(DefaultRecordBatch):  # type: ignore[misc]  # kafka-python ships no types
    """A batch that says it holds one record, which is all of them."""

    __slots__ = ("_first",)

    def __init__(self, buffer: Any, first: int) -> None:
        super().__init__(buffer)
        self._first = first

    def __iter__(self) -> Iterator[_AllRecords]:
        self._maybe_uncompress()
        append_time = self.timestamp_type == self.LOG_APPEND_TIME
        time_ms = self.max_timestamp if append_time else self.first_timestamp
        begin, base = self._pos, self.base_offset
        batch = Batch(
            self._buffer,
            begin,
            self.records_count,
            base,
            self._first,
            self.next_offset,
            time_ms,
            append_time,
        )
        return iter((_AllRecords(batch),))


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
    behind the one before, and within the log. With `whole`, those of format 2 that hold records
    count as one record each.
    """

    def __init__(self, records: Any, first: int, highwater: int, *, whole: bool) -> None:
        self._records = records
        self._first = self._position = first
        self._highwater = highwater
        self._whole = whole
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
        if batch.is_control_batch or not self._whole:
            return batch
        return _WholeBatch(batch._buffer, self._first)  # noqa: SLF001

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
        batches = _Batches(records, self.fetch_offset, self.highwater, whole=self.whole)
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
