"""Surveys a topic: partitions, settings, keys of its newest records.

In: settings of Kafka. Out: a `TopicSurvey`. Commits nothing, joins no group, and reads a few
hundred records of each partition.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from detector.settings.kafka import Kafka
from detector.sources.errors import SourceError
from detector.sources.kafka.connect import connect, demand_topics, explained
from detector.sources.kafka.placement import PartitionLog
from detector.sources.kafka.reach import client_settings

SAMPLE = 500  # records of a partition
_SAMPLE_S = 5.0
_ASK_MS = 10_000


@dataclass(frozen=True, slots=True)
class TopicSurvey:
    """A topic: what Kafka holds of each partition, its settings, and a sample of its newest
    records.

    `sampled` counts records, `unkeyed` those without a key; `spread` names keys whose records lie
    on more than one partition, `newest_us` is the latest stamp.
    """

    topic: str
    logs: Mapping[int, PartitionLog]
    config: Mapping[str, str]
    sampled: int
    unkeyed: int
    spread: Sequence[str]
    newest_us: int | None


def survey(kafka: Kafka, topic: str, setting: str = "kafka.topics") -> TopicSurvey:
    """Surveys a topic that a setting names.

    Raises SourceError where no broker answers, or there is no such topic.
    """
    with closing(connect(kafka, client_settings(kafka) | {"group_id": None})) as consumer:
        try:
            demand_topics(consumer, [topic], setting)
            partitions = [
                TopicPartition(topic, number)
                for number in sorted(consumer.partitions_for_topic(topic))
            ]
            beginnings = consumer.beginning_offsets(partitions, timeout_ms=_ASK_MS)
            ends = consumer.end_offsets(partitions, timeout_ms=_ASK_MS)
            logs = {
                partition.partition: PartitionLog(beginnings[partition], ends[partition], None)
                for partition in partitions
            }
            return _sampled(consumer, topic, logs, _config(kafka, topic))
        except kafka_errors.KafkaError as error:
            raise SourceError(f"kafka: {explained(error)}") from error


def _sampled(
    consumer: KafkaConsumer,
    topic: str,
    logs: Mapping[int, PartitionLog],
    config: Mapping[str, str],
) -> TopicSurvey:
    """Reads the newest records of each partition, at most `SAMPLE` each and for `_SAMPLE_S`."""
    waiting = {}
    for number, log in logs.items():
        if log.end > log.beginning:
            waiting[TopicPartition(topic, number)] = log.end
    consumer.assign(list(waiting))
    for partition, end in waiting.items():
        consumer.seek(partition, max(logs[partition.partition].beginning, end - SAMPLE))
    sampled = unkeyed = 0
    newest_ms: int | None = None
    places: dict[bytes, set[int]] = {}
    until = time.monotonic() + _SAMPLE_S
    while waiting and time.monotonic() < until:
        for partition, records in consumer.poll(500).items():
            for record in records:
                sampled += 1
                newest_ms = max(newest_ms or 0, record.timestamp)
                if record.key is None:
                    unkeyed += 1
                else:
                    places.setdefault(record.key, set()).add(partition.partition)
            if records and records[-1].offset >= waiting.get(partition, 0) - 1:
                waiting.pop(partition, None)
    spread = sorted(
        key.decode("utf-8", "backslashreplace")
        for key, numbers in places.items()
        if len(numbers) > 1
    )
    newest_us = None if newest_ms is None else newest_ms * 1_000
    return TopicSurvey(topic, logs, config, sampled, unkeyed, spread, newest_us)


def _config(kafka: Kafka, topic: str) -> dict[str, str]:
    """The topic's settings; none where the brokers do not tell them to this user."""
    options = {
        name: value
        for name, value in client_settings(kafka).items()
        if name in KafkaAdminClient.DEFAULT_CONFIG
    }
    try:
        with closing(KafkaAdminClient(**options)) as admin:
            resource = ConfigResource(ConfigResourceType.TOPIC, topic)
            answer = admin.describe_configs([resource], config_filter="all")
    except kafka_errors.KafkaError:
        return {}
    ((values,),) = [list(topics.values()) for topics in answer.values()]
    return {name: str(data["value"]) for name, data in values.items() if data.get("value")}
