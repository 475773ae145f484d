# what lies inside is what this module is for
"""Whole record batches through the client's own `poll()`: the one module that knows the inside of
kafka-python.

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
from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.fetcher import Fetcher
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords

from detector.sources.kafka.chunks import Batch

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
    """From now on `consumer.poll()` hands out whole batches. `max_records` still counts records,
    and splits no batch.
    """
    consumer._fetcher.__class__ = _BatchFetcher  # noqa: SLF001


def changed(pinned: Mapping[str, tuple[Any, str]] = PINNED) -> list[str]:
    """What of kafka-python is not as it was when this module was written: names, none where all is
    as it was.
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


class _WholeBatches:
    """Batches as the client reads them from a fetch; those of format 2 that hold records count as
    one record each.
    """

    def __init__(self, records: MemoryRecords, first: int) -> None:
        self._records = records
        self._first = first

    def next_batch(self) -> Any:
        """The next batch, None at the end."""
        batch = self._records.next_batch()
        if batch is None or batch.magic < 2 or batch.is_control_batch:
            return batch
        return _WholeBatch(batch._buffer, self._first)  # noqa: SLF001


class BatchRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python ships no types
    """The batches of one partition in one fetch."""

    def _unpack_records(self, tp: Any, records: MemoryRecords, *deserializers: Any) -> Any:
        return super()._unpack_records(
            tp, _WholeBatches(records, self.fetch_offset), *deserializers
        )


class _BatchFetcher(Fetcher):  # type: ignore[misc]  # kafka-python ships no types
    """A fetcher that counts the records in what it hands out: a poll ends with the batch that
    reaches its limit.
    """

    PartitionRecords = BatchRecords

    def _append(self, drained: Any, part: Any, _max_records: int, update_offsets: bool) -> int:
        before = len(drained.get(part.topic_partition, ()))
        super()._append(drained, part, 1, update_offsets)
        return sum(
            one.value.count if isinstance(one.value, Batch) else 1
            for one in drained.get(part.topic_partition, ())[before:]
        )
