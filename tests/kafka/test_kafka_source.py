from __future__ import annotations

import random
import time
import uuid
from contextlib import closing
from threading import Event, Thread

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from detector.sources.kafka.pace import BATCH_S
from tests.kafka.broker import ApacheKafka, Broker
from tests.kafka.reader import WITHIN_S, Memory, Reader, lines

pytestmark = pytest.mark.kafka


def committed(broker: Broker, group: str, topic: str) -> int | None:
    """What the group has committed for the first partition."""
    consumer = KafkaConsumer(
        bootstrap_servers=broker.bootstrap,
        group_id=group,
        enable_auto_commit=False,
        **broker.client,
    )
    try:
        return consumer.committed(TopicPartition(topic, 0))
    finally:
        consumer.close()


@pytest.mark.parametrize("batches", [True, False])
@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_gives_the_same_records(
    request: pytest.FixtureRequest, codec: str | None, batches: bool
) -> None:
    """Values with line ends and tombstones; offset, key, arrival and source of each."""
    kafka: Broker = request.getfixturevalue(
        "own_kafka" if codec == "zstd" else "kafka"
    )  # the mock is too old for zstd
    topic = kafka.create_topic()
    sent: list[tuple[bytes | None, bytes | None]] = [
        *lines(300),
        (b"db-1", b"two\nlines\n"),
        (b"db-1", None),
        (None, b"no key"),
        (b"db-2", b"last"),
    ]
    began_us = int(time.time() * 1_000_000) - 1_000_000
    kafka.send(topic, sent, partition=0, compression_type=codec)
    with closing(Reader(kafka, topic, batches=batches)) as reader:
        assert reader.read(303) == [value for _, value in sent if value is not None]
    assert [record.key for record in reader.records] == [
        key for key, value in sent if value is not None
    ]
    assert [record.number for record in reader.records] == [
        number for number, (_, value) in enumerate(sent) if value is not None
    ]
    assert {record.source for record in reader.records} == {f"{topic}/0"}
    assert all(
        began_us < (record.arrival_us or 0) < began_us + WITHIN_S * 1_000_000
        for record in reader.records
    )
    assert reader.store.offsets == {f"{topic}/0": len(sent)}


def test_a_restart_goes_on_where_the_history_stands(kafka: Broker) -> None:
    """Silently, and the group is told."""
    topic, group = kafka.create_topic(), uuid.uuid4().hex
    kafka.send(topic, lines(10), partition=0)
    with closing(Reader(kafka, topic, group)) as first:
        first.read(10)
    kafka.send(topic, lines(5, 10), partition=0)
    with closing(Reader(kafka, topic, group, store=first.store)) as second:
        assert second.read(5) == [value for _, value in lines(5, 10)]
        assert {name for name, _ in second.told} == {"rebalance"}
    assert committed(kafka, group, topic) == 15


def test_the_store_wins_where_it_is_further(kafka: Broker) -> None:
    """Killed between the store's transaction and the commit: nothing is read twice."""
    topic, group = kafka.create_topic(), uuid.uuid4().hex
    kafka.send(topic, lines(10), partition=0)
    with closing(Reader(kafka, topic, group)) as reader:
        while not reader.records:
            reader.take(commit=False)
    assert len(reader.records) == 10
    kafka.send(topic, lines(3, 10), partition=0)
    with closing(Reader(kafka, topic, group, store=reader.store)) as reader:
        assert reader.read(3) == [value for _, value in lines(3, 10)]


def test_the_group_wins_where_it_is_further(kafka: Broker) -> None:
    """Another member, with another store, has read on meanwhile."""
    topic, group = kafka.create_topic(), uuid.uuid4().hex
    kafka.send(topic, lines(10), partition=0)
    with closing(Reader(kafka, topic, group)) as reader:
        reader.read(10)
    kafka.send(topic, lines(3, 10), partition=0)
    with closing(Reader(kafka, topic, group, store=Memory({f"{topic}/0": 4}))) as reader:
        assert reader.read(3) == [value for _, value in lines(3, 10)]


def test_a_group_without_a_position_begins_where_the_setting_says(kafka: Broker) -> None:
    """At the end: what is there already is left alone."""
    topic = kafka.create_topic()
    kafka.send(topic, lines(10), partition=0)
    with closing(Reader(kafka, topic, auto_offset_reset="latest")) as reader:
        reader.until(lambda: bool(reader.events("rebalance")))
        kafka.send(topic, lines(2, 10), partition=0)
        assert reader.read(2) == [value for _, value in lines(2, 10)]


def test_a_topic_made_anew_is_read_from_its_beginning(own_kafka: ApacheKafka) -> None:
    """The store's position lies after its end: told once, and nothing is missed."""
    topic, group = own_kafka.create_topic(), uuid.uuid4().hex
    own_kafka.send(topic, lines(50))
    with closing(Reader(own_kafka, topic, group)) as reader:
        reader.read(50)
    own_kafka.delete_topic(topic)
    own_kafka.create_topic(topic)
    own_kafka.send(topic, lines(5, 100))
    with closing(Reader(own_kafka, topic, group, store=reader.store)) as again:
        assert again.read(5) == [value for _, value in lines(5, 100)]
        assert again.events("topic_recreated") == [
            {"partition": f"{topic}/0", "before": 50, "position": 0}
        ]
        assert again.source.lost == 0
        assert again.store.offsets == {f"{topic}/0": 5}


def test_records_that_retention_took_are_told_and_counted(own_kafka: ApacheKafka) -> None:
    """While stopped, and while running."""
    topic, group = own_kafka.create_topic(), uuid.uuid4().hex
    own_kafka.send(topic, lines(50))
    with closing(Reader(own_kafka, topic, group)) as reader:
        reader.read(50)
    own_kafka.send(topic, lines(30, 50))
    delete_before(own_kafka, topic, 70)
    with closing(Reader(own_kafka, topic, group, store=reader.store, max_records=5)) as reader:
        reader.until(lambda: len(reader.records) >= 5)
        own_kafka.send(topic, lines(30, 80))
        delete_before(own_kafka, topic, 100)
        reader.until(lambda: reader.store.offsets[f"{topic}/0"] == 110)
        told = reader.events("position_out_of_range")
        assert told[0] == {"partition": f"{topic}/0", "position": 50, "beginning": 70}
        assert told[1:] == [
            {"partition": f"{topic}/0", "position": told[-1]["position"], "beginning": 100}
        ]
        assert reader.source.lost == 20 + 100 - told[-1]["position"]
        assert [record.value for record in reader.records][-10:] == [
            value for _, value in lines(10, 100)
        ]


def delete_before(broker: Broker, topic: str, offset: int) -> None:
    """What retention does, at once."""
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap, **broker.client)
    try:
        admin.delete_records({TopicPartition(topic, 0): offset})
    finally:
        admin.close()


def test_two_members_share_the_partitions_and_lose_and_double_nothing(
    own_kafka: ApacheKafka,
) -> None:
    """The second joins in the middle and leaves again; each has a store of its own."""
    topic, group = own_kafka.create_topic(partitions=4), uuid.uuid4().hex
    own_kafka.send(topic, lines(1_000))
    first = Reader(own_kafka, topic, group, max_records=50)
    second: list[Reader] = []
    stop = Event()

    def other() -> None:
        with closing(Reader(own_kafka, topic, group, max_records=50)) as reader:
            second.append(reader)
            reader.until(stop.is_set)

    def both() -> int:
        return len(first.records) + sum(len(reader.records) for reader in second)

    thread = Thread(target=other)
    with closing(first):
        first.until(lambda: len(first.records) >= 500)
        thread.start()
        try:
            first.until(lambda: bool(second) and bool(second[0].events("rebalance")))
            own_kafka.send(topic, lines(1_000, 1_000))
            first.until(lambda: both() >= 2_000)
        finally:
            stop.set()
        first.until(lambda: not thread.is_alive())
        thread.join()
        own_kafka.send(topic, lines(1_000, 2_000))
        first.until(lambda: both() >= 3_000)
        first.step()
    assert second[0].records
    seen = sorted(record.value for reader in (first, second[0]) for record in reader.records)
    assert seen == sorted(value for _, value in lines(3_000) if value)
    assert [set(fields) for fields in first.events("rebalance")] == [{"revoked", "assigned"}] * 5


def test_restarts_at_random_points_read_everything_once(own_kafka: ApacheKafka) -> None:
    """Dropped without a commit or a goodbye, again and again: with the store's positions each
    record comes exactly once.
    """
    topic, group = own_kafka.create_topic(partitions=3), uuid.uuid4().hex
    own_kafka.send(topic, lines(3_000))
    chance = random.Random(5)
    store = Memory()
    seen: list[bytes] = []
    while len(seen) < 3_000:
        with closing(Reader(own_kafka, topic, group, store=store, max_records=100)) as reader:
            for _ in range(chance.randrange(1, 25)):
                reader.take(commit=chance.random() < 0.5)
            reader.source._uncommitted.clear()
            seen += reader.values
    assert sorted(seen) == sorted(value for _, value in lines(3_000) if value)


def test_brokers_that_go_away_are_told_once_and_survived(own_kafka: ApacheKafka) -> None:
    """Killed and back: one line each, and every record once."""
    topic = own_kafka.create_topic()
    own_kafka.send(topic, lines(10))
    with closing(Reader(own_kafka, topic)) as reader:
        reader.read(10)
        own_kafka.halt(kill=True)
        reader.until(lambda: bool(reader.events("broker_away")))
        for _ in range(5):
            reader.step()
        own_kafka.start()
        own_kafka.send(topic, lines(5, 10))
        assert reader.read(15) == [value for _, value in lines(15)]
        (away,) = reader.events("broker_away")
        assert "Connection refused" in away["error"]
        assert away["servers"] == own_kafka.bootstrap
        (back,) = reader.events("broker_back")
        assert back["away_s"] > 0


def test_a_stop_ends_the_batches_soon(kafka: Broker) -> None:
    """As SIGTERM does: the poll at hand is finished, what was read is committed, the group is
    left.
    """
    topic, group = kafka.create_topic(), uuid.uuid4().hex
    kafka.send(topic, lines(10), partition=0)
    with closing(Reader(kafka, topic, group)) as reader:
        reader.read(10)
        reader.source.stop()
        assert list(reader.source.batches()) == []
    assert committed(kafka, group, topic) == 10


def test_lag_is_known(kafka: Broker) -> None:
    """Records between what is stored and the end."""
    topic = kafka.create_topic()
    kafka.send(topic, lines(10), partition=0)
    with closing(Reader(kafka, topic, max_records=4, batches=False)) as reader:
        reader.until(lambda: len(reader.records) == 4)
        assert reader.source.lag()[f"{topic}/0"] == 6
        reader.read(10)
        assert reader.source.lag()[f"{topic}/0"] == 0


def test_waits_for_a_disk_make_no_smaller_polls(kafka: Broker) -> None:
    """Each commit would wait as long for a few records as for many."""
    topic = kafka.create_topic()
    kafka.send(topic, lines(40))
    with closing(Reader(kafka, topic)) as reader:
        most = reader.source._pace.records
        reader.read(40)
        kafka.send(topic, lines(3, first=40))
        batches = reader.source.batches()
        while not next(batches):
            pass
        time.sleep(BATCH_S * 1.2)  # what the disk takes
        next(batches)
        assert reader.source._pace.records == most
