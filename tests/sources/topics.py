"""Record batches as a broker keeps them, made with the client's own builders: for tests that need
no broker.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kafka.protocol.consumer import IsolationLevel
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder
from kafka.record.util import calc_crc32c
from kafka.structs import TopicPartition

PARTITION = TopicPartition("kmsg", 4)
SOURCE = "kmsg/4"
READ_COMMITTED = IsolationLevel.READ_COMMITTED
CODECS = range(5)  # none, gzip, snappy, lz4, zstd
Headers = Sequence[tuple[str, bytes | None]]


class Entry(NamedTuple):
    """One record; `gap` offsets before it were taken by compaction."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    time_ms: int = 1_700_000_000_000
    gap: int = 0


class Aborted(NamedTuple):
    """What a broker tells of an aborted transaction beside the batches."""

    producer_id: int
    first_offset: int


@dataclass
class Topic:
    """One partition's log as it grows."""

    data: bytearray = field(default_factory=bytearray)
    end: int = 0
    aborted: list[Aborted] = field(default_factory=list)
    _open: dict[int, int] = field(default_factory=dict)

    def add(
        self,
        entries: Iterable[Entry],
        codec: int = 0,
        *,
        append_ms: int | None = None,
        producer: int = -1,
        tail: int = 0,
    ) -> None:
        """Adds a batch. `append_ms` is the broker's time; `producer` writes in a transaction;
        compaction took `tail` offsets at its end.
        """
        known = producer >= 0
        builder = DefaultRecordBatchBuilder(
            2, codec, known, producer, known - 1, known - 1, 1 << 30
        )
        delta = -1
        for entry in entries:
            delta += 1 + entry.gap
            builder.append(delta, entry.time_ms, entry.key, entry.value, list(entry.headers))
        if known:
            self._open.setdefault(producer, self.end)
        self._close(builder.build(), delta + tail, append_ms=append_ms)

    def add_legacy(self, magic: int, entries: Iterable[Entry], codec: int = 0) -> None:
        """Adds a message set of format 0 or 1."""
        builder = MemoryRecordsBuilder(magic, codec, 1 << 30, self.end)
        count = 0
        for entry in entries:
            builder.append(entry.time_ms, entry.key, entry.value)
            count += 1
        builder.close()
        data = bytearray(builder.buffer())
        if codec:  # the outer message carries the last offset
            struct.pack_into(">q", data, 0, self.end + count - 1)
        self.data += data
        self.end += count

    def end_transaction(self, producer: int, *, abort: bool) -> None:
        """Adds the marker that commits or aborts what a producer has written."""
        builder = DefaultRecordBatchBuilder(2, 0, True, producer, 0, 0, 1 << 30)
        builder.append(
            0, 1_700_000_000_000, struct.pack(">hh", 0, int(not abort)), b"\0\0\0\0\0\0", []
        )
        if abort and producer in self._open:
            self.aborted.append(Aborted(producer, self._open[producer]))
        self._open.pop(producer, None)
        self._close(builder.build(), 0, attributes=DefaultRecordBatch.CONTROL_MASK)

    def records(self) -> MemoryRecords:
        """The log as a fetch brings it."""
        return MemoryRecords(bytes(self.data))

    def _close(
        self, data: bytearray, last: int, *, append_ms: int | None = None, attributes: int = 0
    ) -> None:
        layout = DefaultRecordBatch.HEADER_STRUCT
        header = list(layout.unpack_from(data))
        header[0], header[6] = self.end, last
        header[5] |= attributes
        if append_ms is not None:
            header[5] |= DefaultRecordBatch.TIMESTAMP_TYPE_MASK
            header[8] = append_ms
        layout.pack_into(data, 0, *header)
        struct.pack_into(
            ">I",
            data,
            DefaultRecordBatch.CRC_OFFSET,
            calc_crc32c(memoryview(data)[DefaultRecordBatch.ATTRIBUTES_OFFSET :]),
        )
        self.data += data
        self.end += last + 1
