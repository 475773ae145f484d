"""`oopswatch collect` before a real broker: a vmcore's log becomes one incident, sent once."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from detector.cli import oopswatch
from detector.sources import dumps
from tests.kafka.service import COMMAND, Service

pytestmark = pytest.mark.kafka
CHATTER = 20_000  # lines: more than one record holds
RELEASE = "IPv4: Attempt to release TCP socket in state 10 00000000c0ffee00"
FAULT = "Unable to handle kernel paging request at virtual address 0000000000019f2b"


def vmcore_log(path: Path) -> Path:
    """A dead kernel's log: chatter, the first half, chatter over a record's end, the second."""
    lines = [f"[{number / 1_000:12.6f}] usb 1-1: device {number}" for number in range(CHATTER)]
    lines[10] = f"[{9_000 - 0.1:12.6f}] {RELEASE}"
    lines[11:] = [f"[{9_000:12.6f}] {line.partition('] ')[2]}" for line in lines[11:]]
    lines.append(f"[{9_001.25:12.6f}] {FAULT}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    assert path.stat().st_size > 512 * 1024
    return path


def collect(
    bootstrap: str, topic: str, *arguments: object, wait_s: int = 60
) -> subprocess.CompletedProcess[str]:
    """`oopswatch collect`."""
    command = [*COMMAND, "collect", "--bootstrap", bootstrap, "--topic", topic, *arguments]
    return subprocess.run(
        [str(word) for word in command],
        env=os.environ | {"OOPSWATCH_KAFKA_START_WAIT_S": str(wait_s)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_vmcores_log_becomes_an_incident_and_is_sent_once(own_kafka, tmp_path):
    """kdump's file → Kafka → `run`; the second call has nothing to send."""
    topic = own_kafka.create_topic(partitions=3)
    path = vmcore_log(tmp_path / "crash" / "vmcore-dmesg.txt")
    sent = tmp_path / "state" / "collected"
    for expected in (f"sent to {topic}", "nothing new"):
        done = collect(own_kafka.bootstrap, topic, "--host", "DB-7", "--sent", sent, path)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
    service = Service(own_kafka, topic, topic, tmp_path / "history.db")
    try:
        service.until(lambda: bool(service.said("incident_raised")))
        (raised,) = service.said("incident_raised")
    finally:
        service.kill()
    assert raised["host"] == "db-7"


def test_what_is_not_sent_is_sent_next_time(tmp_path):
    """No broker: one line, exit 2, and nothing is remembered."""
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
    sent = tmp_path / "collected"
    path = vmcore_log(tmp_path / "vmcore-dmesg.txt")
    done = collect(f"localhost:{port}", "kernel-logs", "--sent", sent, "--list", path)
    assert (done.returncode, str(path) in done.stdout) == (0, True)
    done = collect(f"localhost:{port}", "kernel-logs", "--sent", sent, path, wait_s=2)
    assert (done.returncode, sent.exists()) == (2, False)
    waiting, line = done.stderr.splitlines()
    assert waiting.startswith("oopswatch: waiting for brokers, 2 s at most: ")
    assert "Connection refused" in waiting
    assert line.startswith("oopswatch: not sent to topic kernel-logs: ")
    assert line.endswith("; it is sent next time")


def test_what_is_found_and_is_no_log_holds_up_nothing(tmp_path, monkeypatch):
    """A record that the kernel left compressed is said and left out; the others are listed. Named
    by a person it is an error.
    """
    packed, log = tmp_path / "dmesg-efi-1.enc.z", tmp_path / "dmesg-efi-2"
    packed.write_bytes(bytes(range(1, 250)))
    log.write_text("[  100.000001] usb 1-1: new device\n")
    monkeypatch.setattr(dumps, "dump_files", lambda: [packed, log])
    done = CliRunner().invoke(oopswatch, ["collect", "--list", "--host", "db-7"])
    assert done.exit_code == 0
    assert f"oopswatch: {packed}: not a log: binary data; it is left out\n" in done.output
    assert f"{log}  35 bytes, of host db-7\n" in done.output
    done = CliRunner().invoke(oopswatch, ["collect", "--list", str(packed)])
    assert (done.exit_code, done.output) == (2, f"oopswatch: {packed}: not a log: binary data\n")


def test_a_topic_that_there_is_not_is_said_at_once_and_at_the_end(own_kafka, tmp_path):
    """A line when the wait begins, a line when it ends; nothing is remembered."""
    sent, path = tmp_path / "collected", vmcore_log(tmp_path / "vmcore-dmesg.txt")
    done = collect(own_kafka.bootstrap, "no-such-topic", "--sent", sent, path, wait_s=3)
    assert (done.returncode, sent.exists()) == (2, False), done.stderr
    waiting, line = done.stderr.splitlines()
    missing = "kafka.topics: the brokers have no topic no-such-topic, or may not show it: create it"
    assert waiting == f"oopswatch: waiting for the topic, 3 s at most: {missing} first"
    assert line.startswith(f"oopswatch: not sent to topic no-such-topic: {missing}")


def test_a_damaged_list_of_what_was_sent_loses_nothing(tmp_path):
    """Bytes that are no UTF-8 in it are of no digest: the file is listed as new."""
    (sent := tmp_path / "collected").write_bytes(b"\xff\xfe\n\nabc")
    path = vmcore_log(tmp_path / "vmcore-dmesg.txt")
    done = CliRunner().invoke(oopswatch, ["collect", "--list", "--sent", str(sent), str(path)])
    assert (done.exit_code, str(path) in done.output) == (0, True), done.output
