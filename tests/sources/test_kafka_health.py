"""When brokers are said to be away: not while any of them answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError

from detector.settings.kafka import Kafka
from detector.sources.kafka import connect
from detector.sources.kafka.connect import PROBE_S, RETRY_PROBE_S, SILENT_S, BrokerHealth


class Hours:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        """The time, in seconds."""
        return self.now


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Hours:
    """The clock of the module, and nobody who looks for reasons on the network."""
    clock = Hours()
    monkeypatch.setattr(connect, "time", clock)
    monkeypatch.setattr(connect, "why_unreachable", lambda _options: "refused")
    return clock


def test_one_of_three_brokers_is_down(hours: Hours) -> None:
    """Questions to it fail, at once or after a long silence, and others answer: nothing is said."""
    told: list[str] = []
    health = BrokerHealth(Kafka(), {}, lambda name, _fields: told.append(name))
    for pause_s in (0.5, PROBE_S + 0.1) * 30:
        hours.now += pause_s
        health.survive(KafkaConnectionError("refused"))
        hours.now += 0.3
        health.hear()
    assert not health.away
    assert told == []


def test_all_brokers_are_down(hours: Hours) -> None:
    """Said once, as soon as the next question fails; and once that one is back, since when."""
    told: list[tuple[str, Mapping[str, Any]]] = []
    health = BrokerHealth(Kafka(), {}, lambda *event: told.append(event))
    health.survive(KafkaConnectionError("refused"))
    assert not health.silent()
    hours.now += max(RETRY_PROBE_S, SILENT_S) + 0.1
    assert health.silent()
    health.survive(KafkaConnectionError("refused"))
    health.survive(KafkaConnectionError("refused"))
    assert health.away
    hours.now += 1
    health.hear()
    hours.now += PROBE_S - 0.1
    assert not health.silent()
    assert [name for name, _ in told] == ["broker_away", "broker_back"]
    assert told[1][1]["away_s"] == 2.1
