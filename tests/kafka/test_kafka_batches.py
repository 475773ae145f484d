"""Both ways of reading against a real broker: whole batches and record by record."""

from __future__ import annotations

import uuid
from contextlib import closing
from itertools import pairwise

import pytest

from detector.model import Record
from detector.scan import Scanner
from detector.sources.kafka import whole_batches
from detector.sources.kafka.chunks import BatchChunk, KafkaChunk
from tests.kafka.broker import ApacheKafka, Broker
from tests.kafka.reader import Reader, lines

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
