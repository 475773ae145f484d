"""Consumers that do no work, as programs: `python -m bench.clients stock|fetch|confluent BOOTSTRAP
TOPIC RECORDS`.

Each takes the partitions by hand, reads from the beginning until it has RECORDS, and prints the
seconds from its first poll to its last.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from bench.broker import PARTITIONS


def stock(bootstrap: str, topic: str, records: int) -> float:
    """kafka-python's `poll()`, its records counted and dropped."""
    consumer, begun = _kafka_python(bootstrap, topic)
    got = 0
    while got < records:
        got += sum(map(len, consumer.poll(timeout_ms=500).values()))
    return time.perf_counter() - begun


def fetch(bootstrap: str, topic: str, records: int) -> float:
    """What oopswatch fetches, as it fetches it, whole batches checked and decompressed, without
    looking into them.
    """
    from kafka.net.compat import KafkaNetClient

    from detector.settings.kafka import Kafka
    from detector.sources.kafka.connect import FETCH_BYTES, PARTITION_BYTES
    from detector.sources.kafka.frames import read_frames
    from detector.sources.kafka.whole_batches import hand_out_batches

    def client(**config: Any) -> KafkaNetClient:
        made = KafkaNetClient(**config)
        read_frames(made)
        return made

    consumer, begun = _kafka_python(
        bootstrap,
        topic,
        hand_out_batches,
        isolation_level="read_committed",
        max_poll_records=Kafka().max_records,
        max_partition_fetch_bytes=PARTITION_BYTES,
        fetch_max_bytes=FETCH_BYTES,
        kafka_client=client,
    )
    got = 0
    while got < records:
        got += sum(
            one.value.count for part in consumer.poll(timeout_ms=500).values() for one in part
        )
    return time.perf_counter() - begun


def confluent(bootstrap: str, topic: str, records: int) -> float:
    """confluent-kafka's `consume()` by 5,000, its messages counted and dropped."""
    from confluent_kafka import Consumer, TopicPartition

    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "bench",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    }
    # By default it fetches 100,000 messages ahead and then pauses for a second, which would be what
    # is measured.
    settings |= {
        "queued.min.messages": 1_000_000,
        "queued.max.messages.kbytes": 262_144,
        "fetch.queue.backoff.ms": 1,
    }
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    begun, got = time.perf_counter(), 0
    while got < records:
        got += len(consumer.consume(5000, timeout=0.5))
    return time.perf_counter() - begun


def _kafka_python(
    bootstrap: str, topic: str, prepare: Any = None, **options: Any
) -> tuple[Any, float]:
    from kafka import KafkaConsumer, TopicPartition

    settings = {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "max_poll_records": 10_000,
        **options,
    }
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, **settings)
    if prepare:
        prepare(consumer)
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    return consumer, time.perf_counter()


CLIENTS = {"stock": stock, "fetch": fetch, "confluent": confluent}

if __name__ == "__main__":
    _, name, where, what, count = sys.argv
    print(CLIENTS[name](where, what, int(count)))
