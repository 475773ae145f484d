"""`oopswatch run` on a real broker with hostile records in the middle of good ones: everything else
is found, the culprit is listed and written to the topic of dead letters, and SIGTERM ends it clean.
"""

from __future__ import annotations

import json
import math
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaConsumer

from tests.kafka.broker import Broker
from tests.support.fleet_log import CULPRIT, lines, report

pytestmark = pytest.mark.kafka

FAULT = "Unable to handle kernel paging request at virtual address 0000000000012345"
POISON = [
    f"6.9.1,4,18446744073709551616,501151269,-;{FAULT}",
    f"6.9.1,4,118,501151269,-;{FAULT}",
    f"6.9.1,4,118,999999999999999999,-;{FAULT}",
    *(f"4,{number},501151269,-;{FAULT}" for number in ((1 << 62) + 5, 7, (1 << 63) - 1, 9)),
    f"4,99999999999999999999,501151269,-;{FAULT}",
    json.dumps({"priority": 4, "sequence": 1, "sec": 10**13, "usec": 4, "msg": FAULT}),
    json.dumps({"priority": 4, "sequence": 10**30, "sec": 1.5, "usec": 1e30, "msg": FAULT}),
    json.dumps({"priority": 4, "sequence": 1, "sec": math.nan, "usec": math.inf, "msg": FAULT}),
    json.dumps({"MESSAGE": FAULT, "_TRANSPORT": "kernel", "__REALTIME_TIMESTAMP": str(10**18)}),
    json.dumps({"message": FAULT, "timestamp": 10**30, "facility": -(1 << 63)}),
    f"Feb 24 19:21:10 db-9 kernel: [999999999999.000001] {FAULT}",
]
# `oopswatch run` with a matcher that raises on every line of one host.
RAISING = f"""
from detector.cli import main
from detector.match import Matcher

claim = Matcher.claim

def raising(self, line):
    if {CULPRIT!r} in line.host:
        raise KeyError("injected")
    return claim(self, line)

Matcher.claim = raising
main()
"""


def service(broker: Broker, topic: str, store: Path, letters: str) -> subprocess.Popen[bytes]:
    """The service as a process of its own, one stage of which raises on one host."""
    config = store.with_suffix(".toml")
    config.write_text(
        f'[kafka]\ndead_letter_topic = "{letters}"\n[log]\nformat = "json"\n', encoding="utf-8"
    )
    options = ["--config", str(config), "--bootstrap", broker.bootstrap, "--topic", topic]
    options += ["--group", topic, "--store", str(store)]
    with store.with_suffix(".stderr").open("ab") as errors:
        return subprocess.Popen([sys.executable, "-c", RAISING, "run", *options], stderr=errors)


def position(store: Path) -> int:
    """How many records are dealt with."""
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as history:
            query = "SELECT coalesce(sum(position), 0) FROM positions"
            return int(history.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def until(process: subprocess.Popen[bytes], store: Path, count: int) -> None:
    """Waits until so many records are stored."""
    deadline = time.monotonic() + 60
    while position(store) < count:
        errors = store.with_suffix(".stderr").read_text(encoding="utf-8")
        assert process.poll() is None, errors
        assert time.monotonic() < deadline, errors
        time.sleep(0.05)


def said(store: Path, *command: str) -> list[dict[str, object]]:
    """What a command prints as NDJSON."""
    code = "from detector.cli import main; main()"
    options = ["--json", "--store", str(store), "--limit", "1000"]
    done = subprocess.run(
        [sys.executable, "-c", code, *command, *options],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def letters_of(broker: Broker, topic: str, count: int) -> list[tuple[bytes, dict[str, str]]]:
    """The values and headers of a topic."""
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap,
        auto_offset_reset="earliest",
        consumer_timeout_ms=20_000,
        **broker.client,
    )
    found: list[tuple[bytes, dict[str, str]]] = []
    with closing(consumer):
        for record in consumer:
            headers = {name: value.decode() for name, value in record.headers}
            found.append((record.value, headers))
            if len(found) == count:
                break
    return found


@pytest.mark.timeout(240)
def test_poison_in_the_middle_of_good_records_stops_nothing(kafka: Broker, tmp_path: Path) -> None:
    """Both incidents of both hosts around it, noise exact, a restart included; each record that a
    stage raises on is listed once, said once, and a letter.
    """
    topic, letters = kafka.create_topic(), kafka.create_topic()
    store = tmp_path / "history.db"
    good = [row.encode() for row in lines(["db-1", "db-2"])]
    bad = [row.encode() for row in report(CULPRIT, 900, "ffff80001234afff")]
    poison = [row.encode() for row in POISON]
    half = len(good) // 2
    first = [*good[:half], *poison, *bad]
    kafka.send(topic, [(None, value) for value in first], partition=0)
    process = service(kafka, topic, store, letters)
    until(process, store, len(first))
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    process = service(kafka, topic, store, letters)
    kafka.send(topic, [(None, value) for value in (*poison, *good[half:])], partition=0)
    until(process, store, len(first) + len(poison) + len(good) - half)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0

    incidents = said(store, "incidents", "list")
    assert sorted(str(item["host"]) for item in incidents if item["host"] in {"db-1", "db-2"}) == [
        "db-1",
        "db-2",
    ]
    assert CULPRIT not in {item["host"] for item in incidents}
    with closing(sqlite3.connect(store)) as history:
        noise = history.execute("SELECT host, sum(count) FROM noise GROUP BY 1").fetchall()
    assert sorted(noise) == [("db-1", 2), ("db-2", 2)]
    rejected = said(store, "rejected", "list")
    hit = {(f"{topic}/0", half + len(poison) + n) for n in range(len(bad)) if is_hit(bad[n])}
    assert {(item["source"], item["number"]) for item in rejected} == hit
    assert {item["stage"] for item in rejected} == {"match"}
    assert len(rejected) == len(hit)

    errors = store.with_suffix(".stderr").read_text(encoding="utf-8")
    events = [json.loads(line) for line in errors.splitlines()]
    assert sum(event["event"] == "record_rejected" for event in events) == len(hit)
    raised = [event["id"] for event in events if event["event"] == "incident_raised"]
    assert sorted(raised) == sorted(str(item["id"]) for item in incidents)
    found = letters_of(kafka, letters, len(hit))
    assert {value for value, _ in found} == {value for value in bad if is_hit(value)}
    assert {headers["oopswatch-stage"] for _, headers in found} == {"match"}


def is_hit(value: bytes) -> bool:
    """Whether a line of a report is matched at all: its fault, its first half, the noise."""
    return any(
        literal in value for literal in (b"segfault", b"Attempt to release", b"Unable to handle",
                                         b"Internal error", b"end trace", b"Call trace")
    )  # fmt: skip
