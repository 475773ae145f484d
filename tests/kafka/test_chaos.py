from __future__ import annotations

from pathlib import Path

import pytest

from tests.kafka.broker import ApacheKafka
from tests.kafka.chaos import chaos

pytestmark = pytest.mark.kafka


def test_kills_lose_nothing_and_double_nothing(own_kafka: ApacheKafka, tmp_path: Path) -> None:
    """The short form of `make chaos`: two numbered points, two random times."""
    outcome = chaos(own_kafka, tmp_path, rounds=4)
    assert outcome.agrees, str(outcome)
    assert outcome.at_points, str(outcome)
