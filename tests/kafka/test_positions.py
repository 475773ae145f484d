"""A position belongs to a topic and a history: what is made anew, set back or fresh, on a real
broker.
"""

from __future__ import annotations

import uuid
from contextlib import closing

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from detector.sources.kafka import consumer
from tests.kafka.broker import ApacheKafka
from tests.kafka.reader import Memory, Reader, lines

pytestmark = pytest.mark.kafka


def values(count: int, first: int = 0) -> list[bytes]:
    """The values of `lines`."""
    return [value for _, value in lines(count, first) if value]


@pytest.mark.parametrize("length", [5, 200])
def test_a_topic_made_anew_is_read_from_its_beginning(own_kafka: ApacheKafka, length: int) -> None:
    """Shorter and longer than the old one: said, and nothing is missed."""
    topic, group = own_kafka.create_topic(), uuid.uuid4().hex
    own_kafka.send(topic, lines(50))
    with closing(Reader(own_kafka, topic, group)) as reader:
        reader.read(50)
    own_kafka.delete_topic(topic)
    own_kafka.create_topic(topic)
    own_kafka.send(topic, lines(length, 100))
    with closing(Reader(own_kafka, topic, group, store=reader.store)) as again:
        assert again.read(length) == values(length, 100)
        assert again.events("topic_recreated") == [
            {"partition": f"{topic}/0", "before": 50, "position": 0}
        ]
        assert again.source.lost == 0


@pytest.mark.parametrize("length", [5, 200])
def test_a_topic_made_anew_under_the_reader(
    own_kafka: ApacheKafka, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it does not look for a moment: the same, and nothing is read twice."""
    monkeypatch.setattr(consumer, "TOPICS_S", 0.0)
    topic = own_kafka.create_topic()
    own_kafka.send(topic, lines(50))
    with closing(Reader(own_kafka, topic)) as reader:
        reader.read(50)
        own_kafka.delete_topic(topic)
        own_kafka.create_topic(topic)
        own_kafka.send(topic, lines(length, 100))
        assert reader.read(50 + length)[50:] == values(length, 100)
        (said,) = reader.events("topic_recreated")
        assert said == {"partition": f"{topic}/0", "before": 50, "position": 0}


def test_a_topic_that_is_gone_is_waited_for(own_kafka: ApacheKafka) -> None:
    """One line; what comes when it is there again is read."""
    topic = own_kafka.create_topic()
    own_kafka.send(topic, lines(50))
    with closing(Reader(own_kafka, topic)) as reader:
        reader.read(50)
        own_kafka.delete_topic(topic)
        reader.until(lambda: bool(reader.events("topic_gone")))
        for _ in range(20):
            reader.step()
        own_kafka.create_topic(topic)
        own_kafka.send(topic, lines(60, 100))
        assert reader.read(110)[50:] == values(60, 100)
        assert reader.events("topic_gone") == [{"topic": topic}]
        assert reader.events("broker_away") == []


def test_records_that_retention_deleted_before_the_first_start(own_kafka: ApacheKafka) -> None:
    """Said once, and what is left is read."""
    topic = own_kafka.create_topic()
    own_kafka.send(topic, lines(10))
    with closing(KafkaAdminClient(bootstrap_servers=own_kafka.bootstrap)) as admin:
        admin.delete_records({TopicPartition(topic, 0): 4})
    with closing(Reader(own_kafka, topic)) as reader:
        assert reader.read(6) == values(6, 4)
        said = {"partition": f"{topic}/0", "before": None, "position": 4}
        assert reader.events("begins_late") == [said]
        assert reader.source.lost == 0


def test_a_topic_that_is_back_at_once(own_kafka: ApacheKafka) -> None:
    """While the group still shares out without it: it is read all the same, each time."""
    topic = own_kafka.create_topic()
    with closing(Reader(own_kafka, topic)) as reader:
        for number in range(10):
            own_kafka.send(topic, lines(5, 10 * number))
            reader.read(5 * (number + 1))
            own_kafka.delete_topic(topic)
            reader.until(lambda: len(reader.events("topic_gone")) > number)  # noqa: B023
            own_kafka.create_topic(topic)
        own_kafka.send(topic, lines(5, 500))
        assert reader.read(55)[50:] == values(5, 500)
        assert reader.events("broker_away") == []


def test_a_history_that_was_set_back_reads_again_what_it_misses(own_kafka: ApacheKafka) -> None:
    """Its own commits are ahead of it: its log was deleted, or a backup restored."""
    topic, group = own_kafka.create_topic(), uuid.uuid4().hex
    own_kafka.send(topic, lines(20))
    with closing(Reader(own_kafka, topic, group)) as reader:
        reader.read(20)
        earlier = reader.store.copy()
        own_kafka.send(topic, lines(20, 20))
        reader.read(40)
    with closing(Reader(own_kafka, topic, group, store=earlier)) as again:
        assert again.read(20) == values(20, 20)
        (said,) = again.events("history_set_back")
        assert (said["before"], said["position"]) == (40, 20)
        assert "-wal" in said["cause"]
    earlier = reader.store.copy()
    earlier.positions = {}
    earlier.positions = dict.fromkeys(reader.store.positions, reader.store.get(f"{topic}/0"))
    own_kafka.send(topic, lines(20, 40))
    with closing(Reader(own_kafka, topic, group, store=reader.store)) as ahead:
        ahead.read(20)
    earlier.copied_us = 0
    with closing(Reader(own_kafka, topic, group, store=earlier)) as restored:
        assert restored.read(20) == values(20, 40)
        (said,) = restored.events("history_set_back")
        assert said["cause"] == "a backup of 1970-01-01T00:00:00Z was restored"


def test_a_fresh_file_reads_what_kafka_still_holds(own_kafka: ApacheKafka) -> None:
    """All partitions of it, and the group goes with it."""
    topic, group = own_kafka.create_topic(partitions=3), uuid.uuid4().hex
    own_kafka.send(topic, lines(60))
    with closing(Reader(own_kafka, topic, group)) as reader:
        reader.read(60)
    with closing(Reader(own_kafka, topic, group)) as fresh:
        assert sorted(fresh.read(60)) == sorted(values(60))
        assert len(fresh.events("history_fresh")) == 3
    with closing(Reader(own_kafka, topic, group, store=fresh.store)) as on:
        own_kafka.send(topic, lines(5, 60))
        assert sorted(on.read(5)) == sorted(values(5, 60))
        assert {name for name, _ in on.told} == {"rebalance"}


def test_a_fresh_file_beside_others_joins_them(own_kafka: ApacheKafka) -> None:
    """A second member begins where the group stands: the first one's history holds the rest."""
    topic, group = own_kafka.create_topic(partitions=2), uuid.uuid4().hex
    own_kafka.send(topic, lines(40))
    with closing(Reader(own_kafka, topic, group)) as first:
        first.read(40)
        with closing(Reader(own_kafka, topic, group, store=Memory())) as second:
            deadline = 200
            while not second.events("history_elsewhere") and deadline:
                first.step()
                second.step()
                deadline -= 1
            own_kafka.send(topic, lines(40, 40))
            while len(first.records) + len(second.records) < 80:
                first.step()
                second.step()
            assert second.records
            assert sorted(first.values + second.values) == sorted(values(80))
            assert second.events("history_fresh") == []
