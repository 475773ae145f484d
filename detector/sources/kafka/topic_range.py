"""Reads a range of a topic once, without a group: records between two times, or all.

In: settings of Kafka, a topic, times. Out: batches of chunks, up to the end that the partitions had
when reading began. Commits nothing. A batch that cannot be read is passed over, and named in
`problems`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors

from detector.scan import Chunk
from detector.settings.kafka import Kafka
from detector.sources.errors import SourceError
from detector.sources.kafka.chunks import Damaged, chunks_of
from detector.sources.kafka.connect import connect, demand_topics, explained
from detector.sources.kafka.placer import name_of
from detector.sources.kafka.reach import client_settings
from detector.sources.kafka.whole_batches import changed, hand_out_records

_ASK_MS = 10_000
_POLL_MS = 500
# Polls in a row that bring nothing: brokers are away.
_SILENT = 40


@dataclass(slots=True)
class TopicRange:
    """A range of a topic: from `since_us` on (µs since 1970; None for the beginning), up to
    `until_us` (None for the end).
    """

    kafka: Kafka
    topic: str
    since_us: int | None = None
    until_us: int | None = None
    problems: list[str] = field(default_factory=list)

    def batches(self) -> Iterator[Sequence[Chunk]]:
        """Yields the records, partition by partition as they come. Raises SourceError where no
        broker answers, or there is no such topic.
        """
        options = client_settings(self.kafka) | {"group_id": None}
        consumer = connect(self.kafka, options)
        try:
            demand_topics(consumer, [self.topic], "--topic")
            if not changed():
                hand_out_records(consumer)
            yield from self._read(consumer, self._ends(consumer))
        except kafka_errors.KafkaError as error:
            raise SourceError(f"kafka: {self.topic}: {explained(error)}") from error
        finally:
            consumer.close(autocommit=False, timeout_ms=0)

    def _ends(self, consumer: KafkaConsumer) -> dict[TopicPartition, int]:
        """Seeks the beginning of the range in each partition; returns where it ends there."""
        numbers = sorted(consumer.partitions_for_topic(self.topic))
        partitions = [TopicPartition(self.topic, number) for number in numbers]
        consumer.assign(partitions)
        begins = consumer.beginning_offsets(partitions, timeout_ms=_ASK_MS)
        ends: dict[TopicPartition, int] = consumer.end_offsets(partitions, timeout_ms=_ASK_MS)
        left = {}
        for partition in partitions:
            begin = _at(consumer, partition, self.since_us, begins[partition], ends[partition])
            end = _at(consumer, partition, self.until_us, ends[partition], ends[partition])
            consumer.seek(partition, begin)
            if begin < end:
                left[partition] = end
            else:
                consumer.pause(partition)
        return left

    def _read(
        self, consumer: KafkaConsumer, left: dict[TopicPartition, int]
    ) -> Iterator[Sequence[Chunk]]:
        silent = 0
        while left:
            polled = consumer.poll(timeout_ms=_POLL_MS)
            silent = 0 if polled else silent + 1
            if silent > _SILENT:
                raise SourceError(f"kafka: {self.topic}: the brokers send nothing any more")
            for partition, records in polled.items():
                yield list(self._chunks(consumer, partition, records, left))
            for partition in [item for item, end in left.items() if consumer.position(item) >= end]:
                consumer.pause(partition)
                del left[partition]

    def _chunks(
        self,
        consumer: KafkaConsumer,
        partition: TopicPartition,
        records: Sequence[Any],
        left: dict[TopicPartition, int],
    ) -> Iterator[Chunk]:
        """The records of one poll that lie before the end."""
        damaged = records[-1].value if isinstance(records[-1].value, Damaged) else None
        if damaged is not None:
            self._pass(consumer, partition, damaged)
            records = records[:-1]
        within = [record for record in records if record.offset < left.get(partition, 0)]
        if within:
            yield from chunks_of(name_of(partition), within)

    def _pass(self, consumer: KafkaConsumer, partition: TopicPartition, damaged: Damaged) -> None:
        following = max(damaged.following or 0, damaged.offset + 1)
        text = f"offsets {damaged.offset} to {following - 1} cannot be read: {damaged.reason}"
        self.problems.append(f"{name_of(partition)}: {text}")
        consumer.seek(partition, following)


def _at(
    consumer: KafkaConsumer,
    partition: TopicPartition,
    wall_us: int | None,
    without: int,
    end: int,
) -> int:
    """The offset of the first record of a time or later."""
    if wall_us is None:
        return without
    answer = consumer.offsets_for_times({partition: wall_us // 1_000}, timeout_ms=_ASK_MS)
    return answer[partition].offset if answer[partition] else end
