"""The tests' real broker on a core of its own, and topics filled from a corpus: lines as values,
hosts as keys, lz4.

Batches are of up to 256 KiB, as `linger.ms=20` fills them at full speed; 4 partitions by key.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from confluent_kafka import Producer

from bench.machine import BROKER_CORE, CLIENT_CORE
from tests.kafka.broker import ApacheKafka

PARTITIONS = 4
PRODUCER = {
    "compression.type": "lz4",
    "linger.ms": 20,
    "batch.size": 262_144,
    "partitioner": "murmur2_random",
    "acks": "1",
}


@contextmanager
def broker() -> Iterator[ApacheKafka]:
    """Apache Kafka on the broker's core; everything that this process starts later inherits no such
    bound.
    """
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {BROKER_CORE})
    try:
        kafka = ApacheKafka()
    finally:
        os.sched_setaffinity(0, mine)
    try:
        yield kafka
    finally:
        kafka.stop()


def fill(kafka: ApacheKafka, topic: str, path: Path, lines: int | None = None) -> int:
    """A new topic with the lines of a file, the first `lines` of them if that is given; how many
    there are.
    """
    kafka.create_topic(topic, PARTITIONS, {"retention.ms": "-1"})
    begun, mine = time.monotonic(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CLIENT_CORE})
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "queue.buffering.max.messages": 500_000, **PRODUCER}
    )
    number = 0
    with path.open("rb") as file:
        for number, line in enumerate(islice(file, lines), start=1):
            value = line[:-1]
            key = value.split(b" ", 5)[4 if value[4:5] == b" " else 3]
            while True:
                try:
                    producer.produce(topic, value, key)
                    break
                except BufferError:
                    producer.poll(0.1)
            if number % 10_000 == 0:
                producer.poll(0)
    producer.flush(120)
    os.sched_setaffinity(0, mine)
    print(f"  {topic}: {number:,} records produced in {time.monotonic() - begun:.0f} s", flush=True)
    return number
