"""`oopswatch listen` before a real broker: netconsole's datagrams become an incident."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.kafka.service import COMMAND, Service

pytestmark = pytest.mark.kafka
RELEASE = b"6,501,61000100000,-;IPv4: Attempt to release TCP socket in state 10 00000000c0ffee00\n"
FAULT = (
    b"1,502,61001350000,-;Unable to handle kernel paging request at virtual address "
    b"0000000000019f2b\n"
)


@contextmanager
def listener(bootstrap: str, topic: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """`oopswatch listen` at a free port of loopback; its events are on standard error."""
    names = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "NETCONSOLE_TOPIC": topic,
        "NETCONSOLE_ADDRESS": "127.0.0.1",
        "NETCONSOLE_PORT": "0",
        "LOG_FORMAT": "json",
    } | settings
    environment = os.environ | {f"OOPSWATCH_{name}": value for name, value in names.items()}
    with subprocess.Popen(
        [*COMMAND, "listen"], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def event(process: subprocess.Popen[str]) -> dict[str, object]:
    """The next event."""
    assert process.stderr is not None
    line = process.stderr.readline()
    return json.loads(line)


def test_last_words_become_an_incident(own_kafka, tmp_path):
    """UDP → Kafka → `run`: the pair of a host that is known by its address, in both orders."""
    topic = own_kafka.create_topic(partitions=3)
    with (
        listener(own_kafka.bootstrap, topic, HOSTS_ALIASES="127.0.0.1=db-7") as process,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kernel,
    ):
        started = event(process)
        assert (started["event"], started["topic"]) == ("listening", topic)
        for content in (FAULT, RELEASE):
            kernel.sendto(content, ("127.0.0.1", int(str(started["port"]))))
        process.send_signal(signal.SIGTERM)
        stopped = event(process)
        assert process.wait(30) == 0
    assert stopped["event"] == "listen_stopped", stopped
    assert (stopped["sent"], stopped["lost"]) == (2, 0)
    service = Service(own_kafka, topic, topic, tmp_path / "history.db")
    try:
        service.until(lambda: bool(service.said("incident_raised")))
        (raised,) = service.said("incident_raised")
    finally:
        service.kill()
    assert raised["host"] == "db-7"


def test_a_missing_topic_is_one_line(own_kafka):
    """The setting, the topic, what to do; exit 2."""
    with listener(own_kafka.bootstrap, "no-such-topic") as process:
        assert process.wait(60) == 2
        assert process.stderr is not None
        (line,) = process.stderr.read().splitlines()
    assert "no topic no-such-topic: create it first" in line


def test_sigterm_ends_the_wait_for_brokers():
    """Nobody answers; the signal ends it with 0."""
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
    with listener(f"localhost:{port}", "kernel-logs") as process:
        assert event(process)["event"] == "broker_away"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
