"""Fixtures that more than one test folder uses: the Kafka broker, one for the whole run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

import pytest

with (
    warnings.catch_warnings()
):  # kafka-python 3 reads its schemas by calls that Python 3.11 (alone) deprecates
    warnings.filterwarnings("ignore", r"(read|open)_text is deprecated", DeprecationWarning)
    from tests.kafka.broker import ApacheKafka, Broker, obtain
    from tests.kafka.jars import UnavailableError

_used: list[str] = []


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What commands keep between starts stays in the run's own folder, and settings of this
    machine are read by no test.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path_factory.mktemp("settings")))
        yield


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """A broker; which one it is stands at the end of the run."""
    broker = obtain()
    _used.append(broker.name)
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def own_kafka(kafka: Broker) -> Iterator[ApacheKafka]:
    """A real broker that may be stopped and killed, with TLS and SASL listeners. The test that
    stops it starts it again.
    """
    if isinstance(kafka, ApacheKafka):
        yield kafka
        return
    yield from _another()


@pytest.fixture(scope="module")
def damaged_kafka() -> Iterator[ApacheKafka]:
    """A real broker for the tests of one module that write into its log files: with a damaged log
    it may never start again.
    """
    yield from _another()


def _another() -> Iterator[ApacheKafka]:
    """A real broker, stopped in the end; the test is skipped where there can be none."""
    try:
        broker = ApacheKafka()
    except UnavailableError as reason:
        if os.environ.get("OOPSWATCH_STRICT") == "1":
            raise
        pytest.skip(f"needs a Kafka of its own: {reason}")
    _used.append(broker.name)
    yield broker
    broker.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which broker the tests talked to."""
    for name in _used:
        terminalreporter.write_line(f"Kafka: {name}")
