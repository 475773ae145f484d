"""The topic: one record for each incident, keyed for compaction, acknowledged by a real broker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from detector.alert.payload import SCHEMA
from detector.alert.senders import sender_of
from detector.alert.senders.kafka import records
from tests.kafka.broker import Broker
from tests.support.notices import NOW, hostile, notice, storm


def test_one_record_for_each_incident() -> None:
    """The notice's own fields, and of the incidents that one."""
    made = records(storm(hosts=60, shown=3))
    assert [key for key, _, _ in made] == [f"{number:016x}".encode() for number in (1, 2, 3)]
    for key, value, headers in made:
        item = json.loads(value)
        assert [one["id"] for one in item["incidents"]] == [key.decode()]
        assert item["total"] == 60
        assert dict(headers) == {
            "oopswatch-schema": SCHEMA.encode(),
            "oopswatch-action": b"fire",
            "incident-id": key,
        }


def test_hostile_text_is_json() -> None:
    """Whatever a log holds, the value is valid and bounded."""
    ((_, value, _),) = records(hostile())
    assert len(value) < 200_000
    assert json.loads(value)["schema"] == SCHEMA


@pytest.mark.kafka
def test_a_real_broker_takes_them(kafka: Broker) -> None:
    """A compacted topic keeps the last word on each incident; the order of states is kept."""
    topic = kafka.create_topic(config={"cleanup.policy": "compact"})
    sender: Any = sender_of(
        {"kind": "kafka", "bootstrap_servers": [kafka.bootstrap], "topic": topic}, "w"
    )
    sender._client |= {**kafka.client, **kafka.producer_settings}
    try:
        for action in ("fire", "update", "acknowledge", "resolve"):
            outcome = sender.send(notice(action), NOW)
            assert (outcome.verdict, outcome.detail) == ("delivered", f"{topic}: 1 record")
    finally:
        sender.close()
    consumer = KafkaConsumer(
        bootstrap_servers=kafka.bootstrap,
        group_id=None,
        auto_offset_reset="earliest",
        **kafka.client,
    )
    try:
        partitions = [
            TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)
        ]
        consumer.assign(partitions)
        found: list[Any] = []
        while len(found) < 4:
            found += [record for batch in consumer.poll(1_000).values() for record in batch]
    finally:
        consumer.close()
    assert [json.loads(record.value)["action"] for record in found] == [
        "fire",
        "update",
        "acknowledge",
        "resolve",
    ]
    assert {record.key for record in found} == {b"0123456789abcdef"}


def test_no_broker_is_for_later() -> None:
    """Nothing was given to a producer."""
    sender: Any = sender_of(
        {"kind": "kafka", "bootstrap_servers": ["127.0.0.1:9"], "timeout_s": 0.3}, "w"
    )
    outcome = sender.send(notice(), NOW)
    assert outcome.verdict == "retry"
    assert outcome.detail.startswith("oopswatch.incidents: ")


@pytest.mark.kafka
def test_what_no_broker_takes_is_refused(kafka: Broker, tmp_path: Path) -> None:
    """A record beyond the greatest size."""
    topic = kafka.create_topic()
    sender: Any = sender_of(
        {"kind": "kafka", "bootstrap_servers": [kafka.bootstrap], "topic": topic}, "w"
    )
    sender._client |= {**kafka.client, **kafka.producer_settings, "max_request_size": 1_000}
    try:
        assert sender.send(notice(), NOW).verdict == "refused"
    finally:
        sender.close()


def test_password_is_never_shown(tmp_path: Path) -> None:
    """Neither by the sender nor in an outcome."""
    (tmp_path / "p").write_text("kafka-not-to-be-shown")
    login = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "u",
        "sasl_password_file": str(tmp_path / "p"),
    }
    sender: Any = sender_of(
        {"kind": "kafka", "bootstrap_servers": ["127.0.0.1:9"], "timeout_s": 0.2, **login}, "w"
    )
    assert (
        "not-to-be-shown"
        not in repr(sender) + repr(sender._options) + sender.send(notice(), NOW).detail
    )
