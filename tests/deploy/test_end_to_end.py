"""From a kernel's line to a page: rsyslogd, an export of the journal, netconsole over UDP; Kafka,
both stages, a real Alertmanager, what it notifies, and the pages.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.alert.alertmanagers import PROGRAM, alertmanagers
from tests.deploy.rsyslogd import KERN_ALERT, USER_ERR, kernel_line, running
from tests.kafka.service import COMMAND
from tests.kafka.stages import Stages
from tests.support.receivers import http_receiver

pytestmark = [pytest.mark.debian, pytest.mark.kafka]
RELEASE = "IPv4: Attempt to release TCP socket in state 10 00000000c0ffee00"
FAULT = "Unable to handle kernel paging request at virtual address 0000000000019f2b"


@contextmanager
def netconsole(bootstrap: str, topic: str, host: str) -> Iterator[int]:
    """`oopswatch listen`: its port of UDP. What loopback sends is of this host."""
    names = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "NETCONSOLE_TOPIC": topic,
        "NETCONSOLE_ADDRESS": "127.0.0.1",
        "NETCONSOLE_PORT": "0",
        "LOG_FORMAT": "json",
        "HOSTS_ALIASES": f"127.0.0.1={host}",
    }
    environment = os.environ | {f"OOPSWATCH_{name}": value for name, value in names.items()}
    with subprocess.Popen(
        [*COMMAND, "listen"], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield int(json.loads(process.stderr.readline())["port"])
        finally:
            process.kill()


def journal_export(host: str) -> bytes:
    """Both lines as `journalctl -o export` writes them."""
    now_us = time.time_ns() // 1_000
    entries = ((RELEASE, 61_000_100_000), (FAULT, 61_001_350_000))
    return b"".join(
        (
            f"__CURSOR=s={us}\n__REALTIME_TIMESTAMP={now_us}\n__MONOTONIC_TIMESTAMP={us + 9}\n"
            f"_BOOT_ID={'ab' * 16}\n_TRANSPORT=kernel\n_HOSTNAME={host}\n"
            f"_SOURCE_MONOTONIC_TIMESTAMP={us}\nMESSAGE={text}\n\n"
        ).encode()
        for text, us in entries
    )


def test_lines_become_alerts_and_pages(program, deploy, own_kafka, tmp_path):
    """Three hosts by three transports, the same problem: one alert that names all, a page for each;
    nothing of a forger.
    """
    rsyslogd = program("rsyslogd", "rsyslog and rsyslog-kafka")
    alertmanager = program(PROGRAM, PROGRAM)
    shipped = (deploy / "shippers" / "rsyslog.conf").read_text()
    stages = Stages(own_kafka, tmp_path)
    with (
        http_receiver() as hook,
        alertmanagers(alertmanager, tmp_path, hook, repeat="500ms") as (member,),
        running(rsyslogd, shipped, tmp_path, own_kafka.bootstrap, stages.topic) as shipper,
        netconsole(own_kafka.bootstrap, stages.topic, "by-udp") as port,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kernel,
        closing(own_kafka.producer()) as producer,
    ):
        shipper.feed(
            kernel_line("forger", "52000.100000", RELEASE, USER_ERR),
            kernel_line("forger", "52000.200000", FAULT, USER_ERR),
            kernel_line("by-syslog", "61000.100000", RELEASE),
            kernel_line("by-syslog", "61001.350000", FAULT, KERN_ALERT),
        )
        producer.send(stages.topic, key=b"by-journal", value=journal_export("by-journal"))
        for number, (text, us) in enumerate(((RELEASE, 61_000_100_000), (FAULT, 61_001_350_000))):
            kernel.sendto(f"1,{501 + number},{us},-;{text}\n".encode(), ("127.0.0.1", port))
        notify = tmp_path / "notify.toml"
        notify.write_text(
            f'[[receiver]]\nname = "am"\nkind = "alertmanager"\nurls = ["{member.url}"]\n'
            '[[route]]\nreceivers = ["am"]\n'
        )
        try:
            stages.detect("a")
            archive = stages.archive(
                alert_file=notify, alert_group_interval_s=1, serve_port=free_port()
            )
            hosts = {"by-syslog", "by-journal", "by-udp"}
            archive.until(lambda: notified(hook) == hosts)
            (serving,) = archive.said("serving")
            listed = json.loads(page(f"{serving['url']}incidents.json"))
            assert {row["host"] for row in listed["incidents"]} == hosts
            for row in listed["incidents"]:
                assert row["gap_us"] == 1_250_000
                assert "Attempt to release TCP socket" in page(
                    f"{serving['url']}incidents/{row['id']}"
                )
        finally:
            stages.kill()


def notified(hook) -> set[str]:
    """Hosts that the last alert names, as Alertmanager's own receiver was notified of it."""
    alerts = [alert for request in list(hook.requests) for alert in request.json["alerts"]]
    assert all(alert["status"] == "firing" for alert in alerts)
    return set(alerts[-1]["annotations"]["hosts"].split(", ")) if alerts else set()


def page(url: str) -> str:
    """What a browser would get."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def free_port() -> int:
    """A port of loopback that nobody has."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        return listening.getsockname()[1]
