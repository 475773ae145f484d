from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.kafka.broker import ApacheKafka
from tests.kafka.broker_faults import Trial

pytestmark = pytest.mark.kafka

# What takes seconds; stops and kills of the broker, and partitions that are added, are in
# `make broker-faults`, and one each in `test_run` and `test_kafka_source`.
QUICK = (
    "topic recreated, shorter",
    "topic recreated, longer",
    "topic gone",
    "retention",
    "corrupt batch",
    "aborted transactions",
    "partition added",
)


@pytest.mark.timeout(400)
def test_faults_of_a_broker_lose_nothing_double_nothing_and_are_said(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """The short form of `make broker-faults`: one of each quick kind, over one history."""
    trial = Trial(own_kafka, tmp_path, Random(7))
    try:
        for kind in QUICK:
            trial.run(kind)
    finally:
        trial.service.kill()
