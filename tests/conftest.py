"""Fixtures that more than one test folder uses: the Kafka broker, one for the whole run."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

with (
    warnings.catch_warnings()
):  # kafka-python 3 reads its schemas by calls that Python 3.11 (alone) deprecates
    warnings.filterwarnings("ignore", r"(read|open)_text is deprecated", DeprecationWarning)
    from tests.kafka.broker import ApacheKafka, Broker, obtain
    from tests.kafka.jars import UnavailableError

_used: list[str] = []
_BROKER_FIXTURE = re.compile(r"\b(own_|damaged_)?kafka[,:)]")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keeps together what one process of `make test` runs: a file, or all files whose tests talk
    to a broker, so that there is one broker and not one for each process.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByBroker(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::", 1)[0]
            return "broker" if path in broker_files else path

    root = config.rootpath
    broker_files = {
        path.relative_to(root).as_posix()
        for path in (root / "tests").rglob("test_*.py")
        if _BROKER_FIXTURE.search(path.read_text())
    }
    return ByBroker(config, log)


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


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands the names of a process's brokers to the process that prints the summary."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["brokers"] = _used


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes the names of a process's brokers."""
    _used.extend(getattr(node, "workeroutput", {}).get("brokers", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which broker the tests talked to."""
    for name in _used:
        terminalreporter.write_line(f"Kafka: {name}")
