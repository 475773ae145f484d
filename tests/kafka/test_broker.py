from __future__ import annotations

import uuid

import pytest
from kafka import KafkaConsumer

from tests.kafka.broker import ApacheKafka, Broker

pytestmark = pytest.mark.kafka


def values(broker: Broker, topic: str, count: int) -> list[bytes]:
    """The first `count` values of a topic."""
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap,
        group_id=uuid.uuid4().hex,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=20_000,
        **broker.client,
    )
    try:
        return [record.value for _, record in zip(range(count), consumer, strict=False)]
    finally:
        consumer.close()


def test_what_is_sent_can_be_read(kafka: Broker) -> None:
    """The broker of this run speaks Kafka to kafka-python."""
    topic = kafka.create_topic()
    sent = [b"line %d" % number for number in range(100)]
    kafka.send(topic, [(b"db-07", value) for value in sent])
    assert values(kafka, topic, 100) == sent


def test_a_killed_broker_comes_back_with_its_data(own_kafka: ApacheKafka) -> None:
    """Kill -9, start, and what was stored is there."""
    topic = own_kafka.create_topic()
    own_kafka.send(topic, [(None, b"before")])
    own_kafka.halt(kill=True)
    own_kafka.start()
    own_kafka.send(topic, [(None, b"after")])
    assert values(own_kafka, topic, 2) == [b"before", b"after"]
