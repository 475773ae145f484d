from __future__ import annotations

from pathlib import Path

import pytest

from tests.kafka.broker import ApacheKafka
from tests.kafka.chaos import chaos

pytestmark = pytest.mark.kafka


def test_kills_lose_nothing_and_double_nothing(own_kafka: ApacheKafka, tmp_path: Path) -> None:
    """The short form of `make chaos`: three numbered points, three random times."""
    outcome = chaos(own_kafka, tmp_path, rounds=6)
    assert outcome.agrees, str(outcome)
    assert len(outcome.hits) == 3, str(outcome)
