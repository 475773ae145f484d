"""`oopswatch run` against a real broker: how it starts, stops and hands over."""

from __future__ import annotations

import signal
import socket
import time
import uuid
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.kafka.broker import ApacheKafka, Broker
from tests.kafka.reader import lines
from tests.kafka.service import Service, stored
from tests.support.kafka_runs import clean, moving

pytestmark = pytest.mark.kafka


@pytest.fixture
def nobody() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
    return f"localhost:{port}"


class Load:
    """Sends records to a topic, some hundred a second, until it is stopped."""

    def __init__(self, broker: Broker, topic: str, partitions: int) -> None:
        self.sent = 0
        self._stop = Event()
        self._thread = Thread(target=self._send, args=(broker, topic, partitions))
        self._thread.start()

    def _send(self, broker: Broker, topic: str, partitions: int) -> None:
        producer = broker.producer(linger_ms=5)
        try:
            while not self._stop.wait(0.02):
                for partition in range(partitions):
                    for key, value in lines(20, self.sent):
                        producer.send(topic, value=value, key=key, partition=partition)
                    self.sent += 20
                producer.flush()
        finally:
            producer.close()

    def stop(self) -> int:
        """Ends it; how many records were sent."""
        self._stop.set()
        self._thread.join()
        return self.sent


def test_brokers_that_are_away_at_the_start_are_waited_for(nobody: str, tmp_path: Path) -> None:
    """Said once; no history is made; SIGTERM ends the wait at once, cleanly."""
    service = Service(nobody, "kmsg", "g", tmp_path / "history.db")
    service.until(lambda: bool(service.said("broker_away")))
    time.sleep(3)  # three more knocks
    assert service.stop() < 2
    clean(service)
    assert len(service.said("broker_away")) == 1
    assert "Connection refused" in service.said("broker_away")[0]["error"]
    assert not service.store.exists()


def test_the_wait_for_brokers_has_a_limit(nobody: str, tmp_path: Path) -> None:
    """Then it ends as before: one line, and no history."""
    service = Service(nobody, "kmsg", "g", tmp_path / "history.db", kafka_start_wait_s=1)
    assert service.process.wait(60) == 2
    assert service.events[-1]["event"] == "failed"
    assert service.events[-1]["error"].startswith("kafka.bootstrap_servers")
    assert not service.store.exists()


def test_a_broker_that_comes_later_is_read(own_kafka: ApacheKafka, tmp_path: Path) -> None:
    """Started without one, it reads once there is one."""
    topic = own_kafka.create_topic()
    own_kafka.send(topic, lines(10))
    own_kafka.halt()
    try:
        service = Service(own_kafka, topic, uuid.uuid4().hex, tmp_path / "history.db")
        service.until(lambda: bool(service.said("broker_away")))
    finally:
        own_kafka.start()
    service.until(lambda: service.stored() == 10)
    service.stop()
    clean(service)
    assert [event["event"] for event in service.events[:2]] == ["broker_away", "broker_back"]


def test_sigterm_is_clean_whenever_it_comes(own_kafka: ApacheKafka, tmp_path: Path) -> None:
    """While it starts, before the first batch, after it, and under load: what is stored is what is
    committed, and everything is read in the end.
    """
    topic, group = own_kafka.create_topic(partitions=2), uuid.uuid4().hex
    store = tmp_path / "history.db"
    load = Load(own_kafka, topic, 2)
    try:
        for after_s in (0.4, 0.8, 1.2, 1.6):  # points of a start, whatever they are here
            service = Service(own_kafka, topic, group, store)
            time.sleep(after_s)
            service.signal(signal.SIGTERM)
            code = service.process.wait(30)
            assert code in {0, -signal.SIGTERM}  # Python itself was still starting
        for event, more in (("started", 0), ("rebalance", 0), ("rebalance", 500)):
            service = Service(own_kafka, topic, group, store)
            seen = len(service.said(event))
            service.until(lambda: len(service.said(event)) > seen)  # noqa: B023
            before = service.stored()
            service.until(lambda: service.stored() >= before + more)  # noqa: B023
            assert service.stop() < 5
            clean(service)
    finally:
        sent = load.stop()
    service = Service(own_kafka, topic, group, store)
    service.until(lambda: stored(store) == sent)
    service.stop()
    clean(service)


def test_a_clean_end_hands_the_partitions_over_at_once(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """From SIGTERM to the first record that the other member stores of them: less than 2 s."""
    topic, group = own_kafka.create_topic(partitions=2), uuid.uuid4().hex
    load = Load(own_kafka, topic, 2)
    try:
        first = Service(own_kafka, topic, group, tmp_path / "first.db")
        first.until(lambda: first.stored() > 0)
        second = Service(own_kafka, topic, group, tmp_path / "second.db")
        second.until(lambda: len(moving(second)) == 1)
        second.until(lambda: len(moving(first)) == 1)
        began = time.monotonic()
        first.signal(signal.SIGTERM)
        known = second.stored()
        second.until(lambda: len(moving(second)) == 2 and second.stored() > known)
        took = time.monotonic() - began
        assert first.process.wait(30) == 0
        clean(first)
        assert took < 2, took
        second.stop()
        clean(second)
    finally:
        load.stop()
