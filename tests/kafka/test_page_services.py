"""Page commands that need a broker: topics are made, services run, positions are set."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kafka.broker import ApacheKafka, wait_for
from tests.kafka.service import COMMAND, ask
from tests.support.page_blocks import SHELL, blocks
from tests.support.page_sandbox import EXAMPLE, Sandbox, made

pytestmark = pytest.mark.kafka
FILLER = 1_600  # records: positions.md sets an offset of 1500


def commands(page: str, program: str) -> list[str]:
    """The lines of a page that begin so."""
    return [
        line
        for block in blocks()
        if block.page == page and block.language in SHELL
        for _, line in block.commands()
        if line.startswith(program)
    ]


@pytest.fixture(scope="module")
def broker(own_kafka: ApacheKafka) -> Iterator[ApacheKafka]:
    """A broker whose topic `kernel-logs` holds the example's log, by host."""
    own_kafka.create_topic("kernel-logs", partitions=2)
    chatter = [(b"web-12", b"[    1.%06d] usb 1-1: new device" % at) for at in range(FILLER)]
    crash = [(b"web-12", line) for line in EXAMPLE.read_bytes().splitlines()]
    own_kafka.send("kernel-logs", chatter + crash, partition=0)
    yield own_kafka
    own_kafka.delete_topic("kernel-logs")


@pytest.fixture
def sandbox(broker: ApacheKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Sandbox:
    """Its settings name the broker, and a group of the test's own; there is no history yet."""
    sandbox = made(tmp_path, EXAMPLE, broker.bootstrap)
    (tmp_path / "var" / "lib" / "oopswatch" / "history.db").unlink()
    own = {"OOPSWATCH_KAFKA_GROUP": request.node.name, "OOPSWATCH_ASSEMBLE_DEADLINE_S": "1"}
    return Sandbox(tmp_path, {**sandbox.environment, **own})


@contextmanager
def running(sandbox: Sandbox, command: str) -> Iterator[None]:
    """A service by its command line; it ends cleanly on SIGTERM."""
    words, _ = sandbox.words(command)
    log = sandbox.folder / f"{words[1]}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*COMMAND, *words[1:]], stderr=file, env=os.environ | dict(sandbox.environment)
        )
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def has_the_incident(sandbox: Sandbox) -> None:
    """Waits until the history holds it."""
    store = sandbox.folder / "var" / "lib" / "oopswatch" / "history.db"
    wait_for(lambda: ask(store, "SELECT 1 FROM incidents"), "an incident", 120)


def topic_of(line: str) -> argparse.Namespace:
    """What a line of kafka-topics.sh asks for, by the options that Kafka's
    tools/TopicCommand.java reads and the pages use.
    """
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--create", action="store_true", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--config", action="append", default=[])
    return parser.parse_args(line.split()[1:])


def test_the_service_of_the_readme_runs_and_positions_are_set(sandbox: Sandbox) -> None:
    """`run` finds the incident of the example; then each line of positions.md."""
    (run,) = commands("README.md", "oopswatch run")
    with running(sandbox, run):
        has_the_incident(sandbox)
    lines = commands("docs/positions.md", "oopswatch positions")
    assert len(lines) == 5
    assert [fault for line in lines if (fault := sandbox.run(line))] == []


def test_the_stages_of_the_fleet_s_page_run(broker: ApacheKafka, sandbox: Sandbox) -> None:
    """Topics as the broker takes them, then both stages, to the same incident."""
    asked = [topic_of(line) for line in commands("docs/fleet.md", "kafka-topics.sh")]
    made_here = []
    try:
        for each in asked:
            config = dict(one.split("=", 1) for one in each.config)
            made_here.append(broker.create_topic(each.topic, each.partitions, config))
        (detect,) = commands("docs/fleet.md", "oopswatch detect")
        (archive,) = commands("docs/fleet.md", "oopswatch archive")
        with running(sandbox, detect), running(sandbox, archive):
            has_the_incident(sandbox)
    finally:
        for name in made_here:
            broker.delete_topic(name)
    assert {"oopswatch.findings", "oopswatch.noise"} <= set(made_here)
