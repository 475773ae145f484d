"""Both ways of reading against a real broker: whole batches and record by record."""

from __future__ import annotations

import random
import time
import uuid
from contextlib import closing
from itertools import pairwise

import pytest
from kafka import TopicPartition

from detector.model import Record
from detector.scan import Scanner
from detector.settings.kafka import Kafka
from detector.sources.kafka import connect, frames, whole_batches
from detector.sources.kafka.chunks import BatchChunk, KafkaChunk, chunks_of
from detector.sources.kafka.reach import client_settings
from tests.kafka.broker import ApacheKafka, Broker, Mock
from tests.kafka.reader import WITHIN_S, Reader, lines, records

pytestmark = pytest.mark.kafka


def fill(broker: Broker, topic: str) -> None:
    """Every codec; keys, headers and values with literals; transactions that commit and one that
    aborts, each longer than a batch.
    """
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        broker.send(
            topic,
            [*lines(300), (b"BUG: key", b"value"), (b"db-1", b"BUG: value"), (b"db-1", None)],
            compression_type=codec,
        )
        producer = broker.producer(compression_type=codec, transactional_id=uuid.uuid4().hex)
        try:
            producer.init_transactions()
            for abort in (False, True, False):
                producer.begin_transaction()
                for number in range(200):
                    value = b"BUG: %s %d" % (b"aborted" if abort else b"committed", number)
                    producer.send(
                        topic, value * 5, key=b"db-2", headers=[("trace", b"BUG: header")]
                    )
                producer.flush()
                if abort:
                    producer.abort_transaction()
                else:
                    producer.commit_transaction()
        finally:
            producer.close()


def test_both_ways_read_the_same_of_a_real_broker(own_kafka: ApacheKafka) -> None:
    """All codecs, transactions, keys and headers: records, hits, positions."""
    topic = own_kafka.create_topic()
    fill(own_kafka, topic)
    expected = 5 * (302 + 400)
    readers: list[Reader] = []
    hits: list[list[Record]] = []
    scanner = Scanner(("BUG: ",))
    for batches in (True, False):
        with closing(Reader(own_kafka, topic, batches=batches, max_records=500)) as reader:
            reader.read(expected)
            readers.append(reader)
            assert {type(chunk) for chunk in reader.chunks} == {
                BatchChunk if batches else KafkaChunk
            }
            hits.append(
                [
                    record
                    for chunk in reader.chunks
                    for record, _ in scanner.select(chunk, lambda: ())
                ]
            )
    whole, one_by_one = readers
    assert len(whole.records) == expected
    assert whole.records == one_by_one.records
    assert whole.store.offsets == one_by_one.store.offsets
    assert hits[0] == hits[1]
    assert len(hits[0]) == 5 * (401 + 10)  # ten lines have a stamp of less than ten seconds
    assert not [record for record in whole.records if b"aborted" in record.value]


def test_a_poll_ends_after_the_batch_that_reaches_its_limit(kafka: Broker) -> None:
    """Batches of ten, three polls' worth: a limit of 25 takes three at a time."""
    topic = kafka.create_topic()
    for first in range(0, 90, 10):
        kafka.send(topic, lines(10, first), partition=0, linger_ms=1000)
    with closing(Reader(kafka, topic, max_records=25)) as reader:
        took: list[int] = []
        reader.until(lambda: took.append(len(reader.records)) or took[-1] == 90)
    assert max(after - before for before, after in pairwise(took)) <= 30


def test_a_client_that_has_changed_is_told_and_read_record_by_record(
    kafka: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line at start-up, and all records all the same."""
    monkeypatch.setitem(whole_batches.PINNED, "DefaultRecordBatch", (Reader, "0" * 64))
    topic = kafka.create_topic()
    kafka.send(topic, lines(10), partition=0)
    with closing(Reader(kafka, topic)) as reader:
        assert reader.read(10) == [value for _, value in lines(10)]
        assert {type(chunk) for chunk in reader.chunks} == {KafkaChunk}
        (told,) = reader.events("kafka_client_changed")
        assert told["changed"] == ["DefaultRecordBatch"]


@pytest.fixture
def large(own_kafka: ApacheKafka) -> tuple[str, list[bytes]]:
    """A topic whose answers are of megabytes, since nothing in it can be compressed; its values."""
    values = [random.Random(number).randbytes(300_000) for number in range(40)]
    topic = own_kafka.create_topic()
    own_kafka.send(topic, [(None, value) for value in values], partition=0, compression_type=None)
    return topic, values


@pytest.mark.parametrize("way", ["plain", "tls", "as the client reads"])
def test_large_answers_are_whole(
    own_kafka: ApacheKafka,
    large: tuple[str, list[bytes]],
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With and without TLS, and where the client has changed, which one line says."""
    topic, values = large
    settings = {}
    if way == "tls":
        settings = {
            "bootstrap_servers": own_kafka.tls,
            "security_protocol": "SSL",
            "ssl_cafile": own_kafka.ca_file,
        }
    elif way != "plain":
        monkeypatch.setattr(connect, "frames_changed", lambda: ["KafkaBytes"])
        monkeypatch.setattr(
            "detector.sources.kafka.consumer.frames_changed", lambda: ["KafkaBytes"]
        )
    read: list[int] = []
    fill = frames.FrameParser.receive_bytes
    monkeypatch.setattr(
        frames.FrameParser,
        "receive_bytes",
        lambda parser, data: read.append(len(data)) or fill(parser, data),
    )
    with closing(Reader(own_kafka, topic, **settings)) as reader:
        assert reader.read(len(values)) == values
        told = [event["changed"] for event in reader.events("kafka_client_changed")]
    assert {type(chunk) for chunk in reader.chunks} == {BatchChunk}
    ours = way in {"plain", "tls"}
    assert told == ([] if ours else [["KafkaBytes"]])
    assert (sum(read) > sum(map(len, values))) is ours


def topic_of_several_leaders(mock: Mock) -> str:
    """A topic whose partitions do not all have the same leader: the mock cluster draws leaders by
    chance, one topic in 27 has a single one.
    """
    for _ in range(20):
        topic = mock.create_topic()
        if len(mock.leaders(topic)) > 1:
            return topic
    raise AssertionError("20 topics with a single leader each")


def test_several_brokers_are_read_at_once() -> None:
    """Partitions with leaders of their own: each record once, in order."""
    mock = Mock(brokers=3)
    topic = topic_of_several_leaders(mock)
    kafka = Kafka(bootstrap_servers=(mock.bootstrap,))
    consumer = connect.connect(kafka, client_settings(kafka) | mock.client | {"group_id": None})
    with closing(consumer):
        partitions = [TopicPartition(topic, number) for number in range(4)]
        for one in partitions:
            mock.send(topic, lines(500, one.partition * 1000), partition=one.partition)
        whole_batches.hand_out_batches(consumer)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        read: dict[TopicPartition, list[bytes]] = {one: [] for one in partitions}
        deadline = time.monotonic() + WITHIN_S
        while sum(map(len, read.values())) < 2000:
            assert time.monotonic() < deadline, {one: len(got) for one, got in read.items()}
            for one, batches in consumer.poll(500).items():
                for chunk in chunks_of(topic, batches):
                    read[one] += [record.value for record in records(chunk)]
    assert read == {
        one: [value for _, value in lines(500, one.partition * 1000)] for one in partitions
    }
