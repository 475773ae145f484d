"""The logs of two hundred hosts through a real topic: every planted incident, nothing else, and
the same after ten kills. `make chaos` runs it with a million lines.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from detector.simulate import SimulationPlan, Truth, compare, records, simulate, to_kafka
from tests.alert.alertmanagers import wait_until
from tests.kafka.broker import Broker
from tests.support.fleet_items import incidents, items, noise

LINES = int(os.environ.get("OOPSWATCH_FLEET_LINES", "300000"))
KILLS = 10
PLAN = SimulationPlan(
    seed=11, hosts=200, lines=LINES, incidents=20, noise_share=0.005, half_signatures=20, reboots=8
)


@dataclass(frozen=True)
class Topic:
    """A topic that holds a simulated fleet's logs, and the truth about them."""

    broker: Broker
    name: str
    records: int
    truth: Truth


@pytest.fixture(scope="module")
def fleet(kafka: Broker) -> Topic:
    """The fleet's logs in three partitions."""
    simulation = simulate(PLAN)
    name = kafka.create_topic(partitions=3)
    number = to_kafka(
        records(simulation, format="rsyslog", delivery="jitter"),
        name,
        {"bootstrap_servers": kafka.bootstrap, **kafka.client},
    )
    return Topic(kafka, name, number, simulation.truth)


def service(topic: Topic, store: Path) -> subprocess.Popen[bytes]:
    """`oopswatch run`, as a process of its own."""
    options = [
        "--bootstrap",
        topic.broker.bootstrap,
        "--topic",
        topic.name,
        "--group",
        f"{topic.name}-{store.stem}",
        "--store",
        str(store),
    ]
    command = [sys.executable, "-c", "from detector.cli import main; main()", "run", *options]
    with (store.parent / f"{store.stem}.stderr").open("ab") as errors:
        return subprocess.Popen(command, stderr=errors)


def stored(store: Path) -> int:
    """How many records the store says are dealt with."""
    if not store.exists():
        return 0
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as history:
        try:
            return int(
                history.execute("SELECT coalesce(sum(position), 0) FROM positions").fetchone()[0]
            )
        except sqlite3.OperationalError:
            return 0


def wait_for(process: subprocess.Popen[bytes], store: Path, records: int) -> None:
    """Waits until so many records are stored; fails if the service ends or stands still."""
    deadline, before = time.monotonic() + 120, -1
    while (now := stored(store)) < records:
        assert process.poll() is None, (store.parent / f"{store.stem}.stderr").read_text()
        if now != before:
            deadline, before = time.monotonic() + 120, now
        assert time.monotonic() < deadline, f"stands still at {now} of {records}"
        time.sleep(0.05)


def starts(store: Path) -> int:
    """How often the service has said that it has started."""
    return (store.parent / f"{store.stem}.stderr").read_text().count('"event": "started"')


def finish(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM ends the service cleanly."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


@pytest.mark.timeout(900)
def test_all_planted_incidents_and_nothing_else_also_after_ten_kills(
    fleet: Topic, tmp_path: Path
) -> None:
    """One quiet run, and one that is killed at ten random points: both agree with the truth and
    with each other, to the last count.
    """
    quiet = tmp_path / "quiet.db"
    process = service(fleet, quiet)
    wait_for(process, quiet, fleet.records)
    finish(process)
    comparison = compare(fleet.truth, incidents(quiet, "--limit", "1000"), items(noise(quiet)))
    assert (comparison.missed, comparison.false, comparison.noise) == ((), (), {})

    killed, chance = tmp_path / "killed.db", Random(17)
    for target in sorted(chance.randrange(1, fleet.records) for _ in range(KILLS)):
        process = service(fleet, killed)
        wait_for(process, killed, target)
        process.kill()
        process.wait()
    before = starts(killed)
    process = service(fleet, killed)
    wait_until(lambda: starts(killed) > before, "the start")  # all may be stored already
    wait_for(process, killed, fleet.records)
    finish(process)
    assert noise(killed) == noise(quiet)
    assert _stable(incidents(killed, "--limit", "1000")) == _stable(
        incidents(quiet, "--limit", "1000")
    )


def test_the_history_answers_by_host_and_time(fleet: Topic, tmp_path: Path) -> None:
    """`incidents list --host … --since … --json` gives the incidents of that host from that time
    on.
    """
    store = tmp_path / "history.db"
    process = service(fleet, store)
    wait_for(process, store, fleet.records)
    finish(process)
    planted = max(fleet.truth.incidents, key=lambda one: one.anchor.wall_us)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(planted.halves[0].wall_us / 1e6 - 60))
    found = incidents(store, "--host", planted.host, "--since", since)
    assert [one["host"] for one in found] == [planted.host]
    assert incidents(store, "--host", planted.host, "--since", "2100-01-01") == []


def _stable(found: list[dict[str, object]]) -> list[dict[str, object]]:
    """Incidents without the times at which they were found and last changed."""
    clocks = {"found", "found_us", "changed", "changed_us"}
    return sorted(
        ({key: value for key, value in one.items() if key not in clocks} for one in found),
        key=lambda one: str(one["id"]),
    )
