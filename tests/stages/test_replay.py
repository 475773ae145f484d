"""Replay agrees with what was live, and says what other patterns would change."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from detector.cli import oopswatch
from detector.settings import shipped_patterns_dir
from detector.simulate import SimulationPlan, records, simulate
from tests.kafka.broker import Broker
from tests.kafka.service import COMMAND
from tests.kernel_errors.shipping import counting, day, ship, syslog

PLAN = SimulationPlan(
    seed=5, hosts=12, lines=3_000, incidents=6, half_signatures=4, reboots=2, noise_share=0.01
)
Replay = Callable[..., Result]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The logs of a fleet in one file."""
    path = tmp_path / "fleet.log"
    rows = records(simulate(PLAN), format="rsyslog", delivery="in-order")
    path.write_bytes(b"".join(value + b"\n" for _, value in rows))
    return path


@pytest.fixture
def store(tmp_path: Path, log: Path) -> Path:
    """A history of them."""
    path = tmp_path / "history.db"
    done = CliRunner().invoke(oopswatch, ["scan", "--store", str(path), str(log)])
    assert done.exit_code == 1, done.output
    return path


@pytest.fixture
def replay(store: Path) -> Replay:
    """The command over the history: exit code and output."""

    def invoke(*arguments: object) -> Result:
        arguments = ("replay", "--store", store, "--json", *arguments)
        return CliRunner().invoke(oopswatch, [str(argument) for argument in arguments])

    return invoke


def items(done: Result) -> tuple[list[dict[str, object]], dict[str, dict[str, int]]]:
    """The changes and the summary."""
    *changes, summary = [json.loads(line) for line in done.stdout.splitlines()]
    return changes, summary


def change(store: Path, statement: str) -> None:
    """Has the history say otherwise."""
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize("stored", [False, True])
def test_replay_agrees_with_what_was_live(replay: Replay, log: Path, stored: bool) -> None:
    """Nothing is new, gone or changed; exit 0."""
    done = replay("--stored" if stored else log)
    changes, summary = items(done)
    assert (done.exit_code, changes) == (0, []), done.output
    assert summary["incidents"]["same"] == 6
    assert summary["faults"]["same"] > 20
    assert summary["records"] == (summary["faults"]["same"] if stored else 3_000)


def test_what_the_history_lacks_is_new(replay: Replay, store: Path, log: Path) -> None:
    """An incident that was not raised then, with its rule and host."""
    change(store, "DELETE FROM evidence")
    change(store, "DELETE FROM incidents WHERE rowid = 1")
    changes, summary = items(replay(log))
    (new,) = changes
    assert (new["type"], new["change"]) == ("replay_incident", "new")
    assert new["rule"]
    assert new["host"]
    assert summary["incidents"]["new"] == 1


@pytest.mark.parametrize("stored", [False, True])
def test_what_changed_is_said_before_and_after(
    replay: Replay, store: Path, log: Path, stored: bool
) -> None:
    """Field by field."""
    change(store, "UPDATE incidents SET title = 'as it was', known_issue = NULL WHERE rowid = 1")
    done = replay("--stored" if stored else log)
    (changed,), _ = items(done)
    assert done.exit_code == 1
    assert changed["change"] == "changed"
    assert changed["fields"]["title"]["before"] == "as it was"
    assert changed["fields"]["title"]["after"] == changed["title"]


@pytest.mark.parametrize("stored", [False, True])
def test_own_patterns_are_tried_before_they_go_live(
    replay: Replay, log: Path, tmp_path: Path, stored: bool
) -> None:
    """A signature that takes one half's lines away: incidents are gone, faults changed."""
    shipped = (shipped_patterns_dir() / "kernel" / "tcp.toml").read_text()
    own = tmp_path / "own" / "kernel"
    own.mkdir(parents=True)
    (own / "tcp.toml").write_text(shipped.replace('"tcp-state"', '"own-tcp"', 1))
    done = replay("--stored" if stored else log, "--patterns", own.parent)
    changes, summary = items(done)
    assert done.exit_code == 1, done.output
    assert summary["incidents"]["gone"] == 6, done.output
    faults = [item for item in changes if item["type"] == "replay_fault"]
    assert {item["signature"] for item in faults} == {"kernel.tcp-release-state"}
    assert all(item["fields"]["cls"]["after"] == "own-tcp" for item in faults)


def test_logs_of_others_are_not_gone(replay: Replay, tmp_path: Path) -> None:
    """What was not read is not compared."""
    other = tmp_path / "other.log"
    other.write_bytes(b"<6>[    1.000000] Linux version 6.1.0 (x) #1\n")
    done = replay(other)
    changes, summary = items(done)
    assert (done.exit_code, changes) == (0, [])
    assert summary["incidents"] == {"new": 0, "gone": 0, "changed": 0, "same": 0}


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        ((), "say what to replay"),
        (("--stored", "a.log"), "say what to replay"),
        (("a.log", "--since", "1d"), "are for --topic and --stored"),
        (("--stored", "--until", "1d"), "is for --topic"),
    ],
)
def test_arguments_that_contradict_each_other(
    replay: Replay, arguments: tuple[str, ...], phrase: str
) -> None:
    """One line, exit 2."""
    done = replay(*arguments)
    assert done.exit_code == 2
    assert phrase in done.stderr


def test_a_file_that_is_not_there(replay: Replay, tmp_path: Path) -> None:
    """Is named; exit 2."""
    done = replay(tmp_path / "none.log")
    assert done.exit_code == 2
    assert "none.log" in done.stderr


def test_new_kernel_errors_are_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An incident of them is the same where the history is read anew."""
    path = tmp_path / "errors.db"
    with counting(path, rules__kernel_errors=True) as watch:
        ship(watch, [syslog("h0", day(0), "acme 7: gone")])
        rows = [syslog(f"h{number}", day(20, number), "pump 3 stopped") for number in range(24)]
        ship(watch, rows, day(20))
    monkeypatch.setenv("OOPSWATCH_RULES_KERNEL_ERRORS", "true")
    done = CliRunner().invoke(oopswatch, ["replay", "--stored", "--store", str(path), "--json"])
    changes, summary = items(done)
    assert changes == []
    assert summary["incidents"] == {"new": 0, "gone": 0, "changed": 0, "same": 1}
    monkeypatch.setenv("OOPSWATCH_RULES_KERNEL_ERRORS", "false")
    done = CliRunner().invoke(oopswatch, ["replay", "--stored", "--store", str(path), "--json"])
    (gone,), _ = items(done)
    assert gone["change"] == "gone"
    assert str(gone["title"]).count(" ") > 2, "no report has a title for it: the rule has"


def test_incidents_that_another_takes_in_are_changed(
    replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lone faults are incidents; with the rule switched on they are new, and stay counted."""
    monkeypatch.setenv("OOPSWATCH_RULES_LONE_FAULTS", "true")
    _, before = items(replay("--stored"))
    monkeypatch.setenv("OOPSWATCH_RULES_OUTBREAKS", "true")
    _, after = items(replay("--stored"))
    assert before["incidents"]["new"] > 0
    assert before["incidents"]["same"] == after["incidents"]["same"] == 6


@pytest.mark.kafka
def test_a_range_of_a_topic(
    kafka: Broker, log: Path, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All records, without a group; and none where the range holds none."""
    topic = kafka.create_topic(partitions=2)
    lines = log.read_bytes().splitlines()
    kafka.send(topic, [(None, line) for line in lines[:2_000]], partition=0)
    kafka.send(topic, [(None, line) for line in lines[2_000:]], partition=1)
    monkeypatch.setenv("OOPSWATCH_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap)
    changes, summary = items(replay("--topic", topic))
    assert summary["records"] == len(lines)
    assert summary["incidents"]["same"] == 6, changes
    _, summary = items(replay("--topic", topic, "--until", "365d"))
    assert summary["records"] == 0
    done = replay("--topic", "no-such-topic")
    assert done.exit_code == 2
    assert "--topic: no-such-topic does not exist" in done.stderr


def test_a_replay_that_is_ended_leaves_nothing_behind(store: Path, tmp_path: Path) -> None:
    """SIGTERM, while it waits for more of a pipe: its temporary history is gone."""
    pipe, scratch = tmp_path / "pipe", tmp_path / "scratch"
    os.mkfifo(pipe)
    scratch.mkdir()
    command = [*COMMAND, "replay", "--store", str(store), str(pipe)]
    environment = os.environ | {"TMPDIR": str(scratch)}
    # The pipe is open once the other end reads.
    with subprocess.Popen(command, env=environment) as process, pipe.open("wb"):
        assert list(scratch.iterdir())
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    assert list(scratch.iterdir()) == []
