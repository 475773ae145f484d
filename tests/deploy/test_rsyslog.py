from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition

from tests.deploy.rsyslogd import (
    KERN_ALERT,
    KERN_ERR,
    USER_ERR,
    Shipper,
    kernel_line,
    running,
)

pytestmark = [pytest.mark.debian, pytest.mark.kafka]
OOPSWATCH = Path(sys.executable).with_name("oopswatch")
RELEASE = "IPv4: Attempt to release TCP socket in state 10 00000000c0ffee00"
FAULT = "Unable to handle kernel paging request at virtual address 0000000000019f2b"
HOSTS = [f"node-{number}" for number in range(12)]


@pytest.fixture(scope="module")
def shipper(own_kafka, program, deploy, tmp_path_factory) -> Iterator[Shipper]:
    """rsyslogd with the shipped configuration, before a real Kafka."""
    rsyslogd = program("rsyslogd", "rsyslog and rsyslog-kafka")
    shipped = (deploy / "shippers" / "rsyslog.conf").read_text()
    topic = own_kafka.create_topic(partitions=3)
    folder = tmp_path_factory.mktemp("rsyslog")
    with running(rsyslogd, shipped, folder, own_kafka.bootstrap, topic) as shipper:
        yield shipper


@contextlib.contextmanager
def service(folder: Path, broker: str, topic: str) -> Iterator[subprocess.Popen[str]]:
    """`oopswatch run` with a settings file; its events are JSON lines on standard error."""
    settings = folder / "oopswatch.toml"
    settings.write_text(
        f'[kafka]\nbootstrap_servers = ["{broker}"]\ntopics = ["{topic}"]\ngroup = "{topic}"\n'
        f'[store]\npath = "{folder / "history.db"}"\n[log]\nformat = "json"\n'
    )
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("OOPSWATCH_")
    }
    command = [OOPSWATCH, "run", "--config", settings]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said_by(process: subprocess.Popen[str]) -> Iterator[dict[str, object]]:
    """The events of a service, as they come."""
    assert process.stderr is not None
    for line in process.stderr:
        assert line.startswith("{"), line + process.stderr.read()
        yield json.loads(line)


def test_rsyslogd_accepts_the_sample(program, deploy, tmp_path):
    """rsyslogd's own check of the shipped file, as it is."""
    path = tmp_path / "rsyslog.conf"
    path.write_text(
        f'global(workDirectory="{tmp_path}")\n' + (deploy / "shippers" / "rsyslog.conf").read_text()
    )
    done = subprocess.run(
        [program("rsyslogd", "rsyslog"), "-N1", "-f", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower()


def test_misspelt_parameter_would_be_noticed(program, deploy, tmp_path):
    """The check above can fail."""
    path = tmp_path / "rsyslog.conf"
    path.write_text(
        (deploy / "shippers" / "rsyslog.conf").read_text().replace("dynaKey=", "dynamicKey=")
    )
    done = subprocess.run(
        [program("rsyslogd", "rsyslog"), "-N1", "-f", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1


def test_records_are_keyed_by_host_as_java_and_python_do(shipper, own_kafka):
    """Every record's key is its host, and lands where the Python client's own partitioner would put
    it.
    """
    from kafka.partitioner.default import murmur2

    shipper.feed(
        *(
            kernel_line(host, f"{number:5}.000001", "usb 1-1: new device")
            for host in HOSTS
            for number in range(3)
        )
    )
    consumer = KafkaConsumer(
        bootstrap_servers=own_kafka.bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **own_kafka.client,
    )
    try:
        consumer.assign([TopicPartition(shipper.topic, partition) for partition in range(3)])
        records = []
        deadline = time.monotonic() + 60
        while {record.key.decode() for record in records} < set(HOSTS):
            assert time.monotonic() < deadline, "rsyslogd did not deliver within 60 s"
            records += [record for batch in consumer.poll(1000).values() for record in batch]
    finally:
        consumer.close()
    for record in records:
        assert json.loads(record.value)["hostname"] == record.key.decode()
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 3


def test_kernel_log_becomes_an_incident(shipper, own_kafka, tmp_path):
    """rsyslogd → Kafka → `oopswatch run` → the history: one incident for the host whose kernel
    printed the pair, none for the forger.
    """
    shipper.feed(
        kernel_line("forger", "52000.100000", RELEASE, USER_ERR),
        kernel_line("forger", "52000.200000", FAULT, USER_ERR),
        kernel_line("db-7", "61000.100000", RELEASE, KERN_ERR),
        kernel_line("db-7", "61001.350000", FAULT, KERN_ALERT),
    )
    with service(tmp_path, own_kafka.bootstrap, shipper.topic) as process:
        events = said_by(process)
        raised = next(event for event in events if event["event"] == "incident_raised")
        process.send_signal(signal.SIGTERM)
        told = list(events)
        assert process.wait(30) == 0
    assert told[-1]["event"] == "stopped"
    listed = subprocess.run(
        [OOPSWATCH, "incidents", "list", "--json", "--store", tmp_path / "history.db"],
        capture_output=True,
        text=True,
        check=True,
    )
    (incident,) = [json.loads(line) for line in listed.stdout.splitlines()]
    assert incident["id"] == raised["id"]
    assert (incident["host"], incident["gap_us"], incident["time_basis"]) == (
        "db-7",
        1_250_000,
        "kernel",
    )
