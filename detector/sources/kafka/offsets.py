"""Reads the offsets of partitions: at the beginning, at the end, from a time on; for
whoever sets a position by hand. Reads no record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors

from detector.settings.kafka import Kafka
from detector.sources.errors import SourceError
from detector.sources.kafka.connect import connect, demand_topics, explained
from detector.sources.kafka.internals import topic_id
from detector.sources.kafka.placement import PartitionLog
from detector.sources.kafka.placer import name_of
from detector.sources.kafka.reach import client_settings

ASK_MS = 10_000


@dataclass(frozen=True, slots=True)
class RequestedOffset:
    """A partition as Kafka holds it, and the offset that was asked for."""

    log: PartitionLog
    offset: int


Choose = Callable[[KafkaConsumer, TopicPartition, PartitionLog], int]


def offsets(
    kafka: Kafka, topic: str, partition: int | None, choose: Choose
) -> Mapping[str, RequestedOffset]:
    """The places of one partition, or of all partitions of a topic, by source.

    Raises SourceError where no broker answers, or there is no such partition.
    """
    with closing(connect(kafka, client_settings(kafka) | {"group_id": None})) as consumer:
        try:
            demand_topics(consumer, [topic])
            numbers = consumer.partitions_for_topic(topic)
            if partition is not None and partition not in numbers:
                raise SourceError(f"{topic}: there are {len(numbers)} partitions, from 0 on")
            questions = [
                TopicPartition(topic, number)
                for number in sorted(numbers if partition is None else {partition})
            ]
            beginnings = consumer.beginning_offsets(questions, timeout_ms=ASK_MS)
            ends = consumer.end_offsets(questions, timeout_ms=ASK_MS)
            answer = topic_id(consumer, topic)
            logs = {item: PartitionLog(beginnings[item], ends[item], answer) for item in questions}
            return {
                name_of(partition_given): RequestedOffset(
                    log, choose(consumer, partition_given, log)
                )
                for partition_given, log in logs.items()
            }
        except kafka_errors.KafkaError as error:
            raise SourceError(f"kafka: {explained(error)}") from error


def beginning(_consumer: KafkaConsumer, _partition: TopicPartition, log: PartitionLog) -> int:
    """The first record that Kafka still holds."""
    return log.beginning


def end(_consumer: KafkaConsumer, _partition: TopicPartition, log: PartitionLog) -> int:
    """After the last one."""
    return log.end


def exactly(offset: int) -> Choose:
    """An offset within what Kafka holds; SourceError for any other."""

    def choose(_consumer: KafkaConsumer, partition: TopicPartition, log: PartitionLog) -> int:
        if log.beginning <= offset <= log.end:
            return offset
        raise SourceError(
            f"{name_of(partition)}: Kafka holds the offsets from {log.beginning} to {log.end}, "
            f"not {offset}"
        )

    return choose


def since(wall_us: int) -> Choose:
    """The first record of a time or later; the end where there is none."""

    def choose(consumer: KafkaConsumer, partition: TopicPartition, log: PartitionLog) -> int:
        answer = consumer.offsets_for_times({partition: wall_us // 1_000}, timeout_ms=ASK_MS)
        return answer[partition].offset if answer[partition] else log.end

    return choose
