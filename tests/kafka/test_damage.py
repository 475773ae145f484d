"""Batches that cannot be read, on a real broker whose files are damaged: one partition at most."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from detector.sources.kafka import damage
from tests.kafka.broker import ApacheKafka
from tests.kafka.reader import Reader, lines

pytestmark = pytest.mark.kafka

# Where in a batch of format 2 a byte lies (KIP-98): magic, the low byte of the last offset's delta,
# and a byte within the records.
MAGIC, LAST_DELTA, RECORDS = 16, 26, 70


def batches_of(log: Path) -> list[int]:
    """Where each batch starts in a log's file."""
    data, at, starts = log.read_bytes(), 0, []
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">i", data, at + 8)
        starts.append(at)
        at += 12 + length
    return starts


# What is damaged now: the bits of a byte of a file that are not as they were.
_DAMAGE: Counter[tuple[Path, int]] = Counter()


@pytest.fixture(autouse=True)
def mended() -> Iterator[None]:
    """The broker's files are whole again: it would not start with some of this damage."""
    yield
    for (log, at), bits in list(_DAMAGE.items()):
        if bits and log.exists():
            flip(log, at, bits)
    _DAMAGE.clear()


def flip(log: Path, at: int, bits: int = 0x55) -> None:
    """Damages one byte, under the broker's hands; the same again mends it."""
    _DAMAGE[log, at] ^= bits
    with log.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ bits]))


def topic_of(broker: ApacheKafka, codec: str | None = None) -> str:
    """Two partitions of five batches with ten lines each: 0 to 49, and 50 to 99."""
    topic = broker.create_topic(partitions=2)
    for partition in range(2):
        for first in range(0, 50, 10):
            sent = lines(10, 50 * partition + first)
            broker.send(topic, sent, partition, linger_ms=1000, compression_type=codec)
    return topic


def values(*numbers: range) -> list[bytes]:
    """The values of `lines`, for their numbers."""
    return [lines(1, number)[0][1] or b"" for part in numbers for number in part]


def read_all(reader: Reader, expected: list[bytes]) -> None:
    """Reads until all that is expected has come, and a little on."""
    reader.until(lambda: len(reader.records) >= len(expected))
    for _ in range(5):
        reader.step()
    assert sorted(reader.values) == sorted(expected)


@pytest.mark.parametrize("batches", [True, False])
@pytest.mark.parametrize(("place", "bits"), [(MAGIC, 1), (RECORDS, 0x55)])
@pytest.mark.parametrize("codec", [None, "lz4"])
def test_a_damaged_batch_is_skipped_where_that_is_set(
    damaged_kafka: ApacheKafka, codec: str | None, place: int, bits: int, batches: bool
) -> None:
    """The third of five: the rest of its partition is read, and the skip is said with offsets."""
    topic = topic_of(damaged_kafka, codec)
    log = damaged_kafka.log_of(topic)
    flip(log, batches_of(log)[2] + place, bits)
    with closing(Reader(damaged_kafka, topic, on_corrupt="skip", batches=batches)) as reader:
        read_all(reader, values(range(20), range(30, 100)))
        (said,) = reader.events("batch_skipped")
        assert (said["partition"], said["offset"], said["following"]) == (f"{topic}/0", 20, 30)
        assert said["error"]
        assert reader.source.skipped == 10
        assert reader.store.offsets == {f"{topic}/0": 50, f"{topic}/1": 50}


def test_the_last_batch_may_be_the_damaged_one(damaged_kafka: ApacheKafka) -> None:
    """No batch follows in the same answer: what it says of its end is believed within the log."""
    topic = topic_of(damaged_kafka)
    log = damaged_kafka.log_of(topic)
    flip(log, batches_of(log)[4] + RECORDS)
    with closing(Reader(damaged_kafka, topic, on_corrupt="skip")) as reader:
        read_all(reader, values(range(40), range(50, 100)))
        reader.until(lambda: bool(reader.events("batch_skipped")))
        damaged_kafka.send(topic, lines(5, 200), 0)
        read_all(reader, values(range(40), range(50, 100), range(200, 205)))
        assert reader.source.skipped == 10


def test_a_damaged_batch_stops_its_partition_alone(
    damaged_kafka: ApacheKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said once; the others go on; when it can be read again, so does it."""
    monkeypatch.setattr(damage, "RETRY_S", 0.5)
    topic = topic_of(damaged_kafka)
    log = damaged_kafka.log_of(topic)
    place = batches_of(log)[2] + RECORDS
    flip(log, place)
    with closing(Reader(damaged_kafka, topic)) as reader:
        read_all(reader, values(range(20), range(50, 100)))
        reader.until(lambda: bool(reader.events("partition_stopped")))
        damaged_kafka.send(topic, lines(10, 100), 1)
        read_all(reader, values(range(20), range(50, 110)))
        assert reader.source.stopped_partitions == 1
        (said,) = reader.events("partition_stopped")
        assert (said["partition"], said["offset"]) == (f"{topic}/0", 20)
        flip(log, place)
        read_all(reader, values(range(110)))
        assert reader.events("partition_resumed") == [{"partition": f"{topic}/0"}]
        assert len(reader.events("partition_stopped")) == 1
        assert reader.source.stopped_partitions == 0


def test_what_the_broker_itself_cannot_read_costs_no_more_than_its_partition(
    damaged_kafka: ApacheKafka,
) -> None:
    """Where it looks into the batch it answers with an error and tells no way around, so that
    nothing can be skipped; where it hands the batch out as it is, that one is skipped.
    """
    topic = topic_of(damaged_kafka)
    log = damaged_kafka.log_of(topic)
    flip(log, batches_of(log)[2] + MAGIC, 2)
    with closing(Reader(damaged_kafka, topic, on_corrupt="skip")) as reader:
        reader.until(
            lambda: bool(reader.events("partition_stopped") or reader.events("batch_skipped"))
        )
        stopped = bool(reader.events("partition_stopped"))
        rest = range(0) if stopped else range(30, 50)
        read_all(reader, values(range(20), rest, range(50, 100)))
        assert reader.source.skipped == (0 if stopped else 10)


def test_a_restart_stands_at_the_same_place(damaged_kafka: ApacheKafka) -> None:
    """It says so again, and what was stored before is not read again."""
    topic = topic_of(damaged_kafka)
    log = damaged_kafka.log_of(topic)
    flip(log, batches_of(log)[2] + RECORDS)
    with closing(Reader(damaged_kafka, topic, group=topic)) as reader:
        reader.until(lambda: bool(reader.events("partition_stopped")))
        read_all(reader, values(range(20), range(50, 100)))
    with closing(Reader(damaged_kafka, topic, group=topic, store=reader.store)) as again:
        again.until(lambda: bool(again.events("partition_stopped")))
        assert again.records == []


def test_deleting_the_records_frees_the_partition(
    damaged_kafka: ApacheKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an administrator does: the records up to the next batch are deleted, and counted."""
    monkeypatch.setattr(damage, "RETRY_S", 0.5)
    topic = topic_of(damaged_kafka)
    log = damaged_kafka.log_of(topic)
    flip(log, batches_of(log)[2] + RECORDS)
    with closing(Reader(damaged_kafka, topic)) as reader:
        reader.until(lambda: bool(reader.events("partition_stopped")))
        admin = KafkaAdminClient(bootstrap_servers=damaged_kafka.bootstrap)
        try:
            partition = next(tp for tp in reader.source._consumer.assignment() if not tp.partition)
            admin.delete_records({partition: 30})
        finally:
            admin.close()
        read_all(reader, values(range(20), range(30, 100)))
        assert reader.source.lost == 10
        assert reader.events("partition_resumed") == [{"partition": f"{topic}/0"}]


def test_an_offset_beyond_the_log_is_damage(damaged_kafka: ApacheKafka) -> None:
    """No checksum covers a batch's offset: one that leads beyond the end is not believed."""
    topic = damaged_kafka.create_topic()
    damaged_kafka.send(topic, lines(10))
    flip(damaged_kafka.log_of(topic), 1)  # 2^48 and more
    with closing(Reader(damaged_kafka, topic)) as reader:
        reader.until(lambda: bool(reader.events("partition_stopped")))
        (said,) = reader.events("partition_stopped")
        assert said["offset"] == 0
