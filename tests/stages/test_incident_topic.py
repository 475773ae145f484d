"""An incident that brokers find too large is written without its longest parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import errors as kafka_errors

from detector.api import Archive, Detector, open_history, text_chunk
from detector.settings.kafka import Kafka
from detector.stages import topic_writer
from detector.stages.incident_topic import IncidentTopic
from detector.stages.topic_writer import TopicWriter

NOW_US = 1_776_000_000_000_000
LOG = b"""\
Apr 12 10:00:00 web-1 kernel: [  100.000001] IPv4: Attempt to release TCP socket in state 10 ffff805624a7b800
Apr 12 10:00:00 web-1 kernel: [  100.200001] Unable to handle kernel paging request at virtual address 0001950b
"""  # noqa: E501


class Brokers:
    """A producer whose brokers take values up to a size."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken: list[dict[str, Any]] = []

    def send(self, topic: str, *, value: bytes, key: bytes) -> SimpleNamespace:
        """A record."""
        fits = len(value) <= self.most
        if fits:
            self.taken.append(json.loads(value))

        def get(timeout: float) -> None:
            if not fits:
                raise kafka_errors.MessageSizeTooLargeError("too large")

        return SimpleNamespace(get=get)

    def flush(self, timeout: float) -> None:
        """Nothing waits."""

    def close(self, timeout: float) -> None:
        """Nothing is open."""


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], tuple[Brokers, list[str]]]:
    """Writes one incident to brokers that take so many bytes: what they took, what failed."""

    def write(most: int) -> tuple[Brokers, list[str]]:
        brokers, failed = Brokers(most), []
        monkeypatch.setattr(topic_writer, "KafkaProducer", lambda **_: brokers)
        with closing(open_history(":memory:")) as journal:
            detector = Detector()
            findings = detector.feed([text_chunk("a.log", LOG)], NOW_US)
            Archive(journal).take([*findings, *detector.finish(NOW_US)])
            writer = TopicWriter(Kafka(), elapsed_s=lambda: 0.0, failed=failed.append)
            topic = IncidentTopic(journal, "incidents", writer)
            topic.turn()
            topic.turn()
        return brokers, failed

    return write


def test_an_incident_that_fits_is_whole(written: Callable[[int], tuple[Brokers, list[str]]]):
    """Once, with its report."""
    brokers, failed = written(1 << 20)
    (item,) = brokers.taken
    assert "left_out" not in item
    assert item["report_lines"]
    assert not failed


def test_a_large_one_goes_without_its_longest_parts(
    written: Callable[[int], tuple[Brokers, list[str]]],
):
    """What is left out is named; who and what stays."""
    whole = len(json.dumps(written(1 << 20)[0].taken[0]))
    brokers, failed = written(whole - 1)
    (item,) = brokers.taken
    assert item["left_out"][0] == "report_lines"
    assert not set(item["left_out"]) & item.keys()
    assert item["host"] == "web-1"
    assert not failed


def test_one_that_never_fits_does_not_keep_others_waiting(
    written: Callable[[int], tuple[Brokers, list[str]]],
):
    """It is named once, and the cursor goes on."""
    brokers, failed = written(10)
    assert not brokers.taken
    (line,) = failed
    assert "was left out" in line
