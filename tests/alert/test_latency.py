"""From a line appended to the topic until the message is at the receiver, through the real service
and a real broker.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.kafka.broker import Broker
from tests.support.receivers import http_receiver
from tests.support.waiting import wait_for

INCIDENTS = 200
PER_SECOND = 20
PROMISED_S = 2.0

BLOCK = (
    "IPv4: Attempt to release TCP socket in state 10 ffff805624a7b800",
    "Unable to handle kernel paging request at virtual address 0001950b00000030",
    "Internal error: Oops: 96000004 [#1] SMP",
    "CPU: 3 PID: 77 Comm: nginx Not tainted 4.19.90-example #1",
    "pc : __inet_lookup_listener+0x4c/0x120",
    "Call trace:",
    " __inet_lookup_listener+0x4c/0x120",
    " tcp_v4_rcv+0x2d0/0xc00",
    "---[ end trace 0123456789abcdef ]---",
)


def crash(host: str) -> list[tuple[bytes, bytes]]:
    """What a host's crash looks like on the topic."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lines = (
        f"<2>1 {stamp} {host} kernel - - - [  100.{number:06d}] {text}"
        for number, text in enumerate(BLOCK)
    )
    return [(host.encode(), line.encode()) for line in lines]


def test_a_message_comes_within_two_seconds(
    kafka: Broker, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Two hundred crashes, twenty a second: 99 of 100 are with on-call two seconds after their
    line, each with the function's name.
    """
    topic = kafka.create_topic(partitions=3)
    arrived: dict[str, float] = {}
    with http_receiver() as receiver:
        routing = tmp_path / "notify.toml"
        hook = (
            f'[[receiver]]\nname = "hook"\nkind = "webhook"\nurl = "{receiver.url}"\ngroup = '
            "false\n"
        )
        routing.write_text(hook + '[[route]]\nreceivers = ["hook"]\n')
        usual = receiver.behave

        def note(handler: object) -> None:
            arrived.setdefault(receiver.requests[-1].json["hosts"][0], time.monotonic())
            usual(handler)  # type: ignore[arg-type]

        receiver.behave = note
        options = [
            "--bootstrap",
            kafka.bootstrap,
            "--topic",
            topic,
            "--group",
            topic,
            "--store",
            str(tmp_path / "h.db"),
        ]
        command = [sys.executable, "-c", "from detector.cli import main; main()", "run", *options]
        with (tmp_path / "stderr").open("wb") as errors:
            service = subprocess.Popen(
                command, stderr=errors, env=os.environ | {"OOPSWATCH_ALERT_FILE": str(routing)}
            )
        request.addfinalizer(lambda: (service.kill(), service.wait()))
        producer = kafka.producer(linger_ms=0)
        request.addfinalizer(producer.close)

        def append(host: str) -> float:
            for key, value in crash(host):
                producer.send(topic, key=key, value=value)
            producer.flush()
            return time.monotonic()

        append("first")  # the service is up, and in its group, when this is told
        wait_for(lambda: "first" in arrived, "the first message", 60)
        sent: dict[str, float] = {}
        begun = time.monotonic()
        for number in range(INCIDENTS):
            sent[f"host-{number}"] = append(f"host-{number}")
            time.sleep(max(0.0, begun + (number + 1) / PER_SECOND - time.monotonic()))
        wait_for(lambda: len(arrived) == INCIDENTS + 1, "all messages", 60)
        service.send_signal(signal.SIGTERM)
        assert service.wait(20) == 0, (tmp_path / "stderr").read_text()
    latencies = sorted(arrived[host] - sent[host] for host in sent)
    functions = [
        request.json["incidents"][0]["function"]
        for request in receiver.requests
        if request.json["action"] == "fire"
    ]
    # A message does not wait for its report beyond `settle_ms`: where the machine stalls, it goes
    # without the function.
    assert set(functions) <= {"__inet_lookup_listener", None}
    assert functions.count(None) <= 0.1 * len(functions)
    assert latencies[int(0.99 * INCIDENTS) - 1] <= PROMISED_S, (
        f"median {latencies[INCIDENTS // 2]:.3f} s, worst {latencies[-1]:.3f} s"
    )
