"""`oopswatch doctor` against a real broker, and without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from detector.cli import oopswatch
from tests.kafka.broker import Broker


def doctor(folder: Path, *arguments: str) -> Result:
    """The command with a history in this folder."""
    return CliRunner().invoke(
        oopswatch, ["doctor", "--json", "--store", str(folder / "history.db"), *arguments]
    )


def results(done: Result) -> dict[str, list[dict[str, str]]]:
    """Results by subject."""
    found: dict[str, list[dict[str, str]]] = {}
    for line in done.output.splitlines():
        item = json.loads(line)
        found.setdefault(item["subject"], []).append(item)
    return found


def test_brokers_that_are_away_are_one_fault(tmp_path, monkeypatch):
    """The other checks run all the same; exit 1."""
    monkeypatch.setenv("OOPSWATCH_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    done = doctor(tmp_path)
    found = results(done)
    assert done.exit_code == 1
    assert [item["level"] for item in found["kafka"]] == ["fault"]
    assert "127.0.0.1:1" in found["kafka"][0]["text"]
    assert {"settings", "clock", "disk", "limits", "patterns", "history"} <= found.keys()


@pytest.mark.kafka
def test_keys_are_seen_on_a_real_broker(kafka: Broker, tmp_path, monkeypatch):
    """A keyed topic has no fault; a key on two partitions and records without a key are faults."""
    keyed, mixed = (kafka.create_topic(partitions=3) for _ in range(2))
    kafka.send(keyed, [(f"h-{number % 7}".encode(), b"x") for number in range(70)])
    kafka.send(mixed, [(b"web-1", b"x")], partition=0)
    kafka.send(mixed, [(b"web-1", b"x")], partition=1)
    kafka.send(mixed, [(None, b"x")], partition=2)
    monkeypatch.setenv("OOPSWATCH_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap)
    monkeypatch.setenv("OOPSWATCH_KAFKA_TOPICS", f"{keyed},{mixed}")
    done = doctor(tmp_path)
    found = results(done)
    assert done.exit_code == 1, done.output
    assert not [item for item in found[f"topic {keyed}"] if item["level"] == "fault"]
    faults = [item["text"] for item in found[f"topic {mixed}"] if item["level"] == "fault"]
    assert len(faults) == 2
    assert faults[0].startswith("1 of 3 sampled records have no key")
    assert "(web-1)" in faults[1]


@pytest.mark.kafka
def test_a_missing_topic_is_a_fault(kafka: Broker, tmp_path, monkeypatch):
    """It is named, and nothing is made."""
    monkeypatch.setenv("OOPSWATCH_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap)
    monkeypatch.setenv("OOPSWATCH_KAFKA_TOPICS", "no-such-topic")
    done = doctor(tmp_path)
    assert "no-such-topic does not exist" in results(done)["kafka"][0]["text"]
    assert not (tmp_path / "history.db").exists()


@pytest.mark.kafka
def test_topics_of_two_stages_are_judged_where_a_setting_names_them(
    kafka: Broker, tmp_path, monkeypatch
):
    """A missing one is a fault that says how to make it."""
    findings = kafka.create_topic(partitions=2)
    monkeypatch.setenv("OOPSWATCH_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap)
    monkeypatch.setenv("OOPSWATCH_KAFKA_TOPICS", kafka.create_topic())
    monkeypatch.setenv("OOPSWATCH_FLEET_FINDINGS_TOPIC", findings)
    monkeypatch.setenv("OOPSWATCH_FLEET_NOISE_TOPIC", "no-such-noise")
    found = results(doctor(tmp_path))
    assert found[f"topic {findings}"][0]["text"] == "2 partitions, 0 records"
    (missing,) = found["kafka"]
    assert missing["text"].startswith("fleet.noise_topic: no-such-noise does not exist")
    assert "kafka-topics.sh --create --topic no-such-noise" in missing["text"]


def test_a_damaged_index_is_a_fault_and_never_ok(tmp_path, monkeypatch):
    """What is used in its place is said by its own path."""
    monkeypatch.setenv("OOPSWATCH_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    damaged = tmp_path / "damaged.zst"
    damaged.write_bytes(b"no index")
    monkeypatch.setenv("OOPSWATCH_KNOWN_INDEX", str(damaged))
    fault, used = results(doctor(tmp_path))["known bugs"]
    assert fault["level"] == "fault"
    assert str(damaged) in fault["text"]
    assert str(damaged) not in used["text"]


def test_an_index_that_a_setting_names_and_is_not_there_is_a_fault(tmp_path, monkeypatch):
    """By the setting's name; the one that came with oopswatch is used, and said."""
    monkeypatch.setenv("OOPSWATCH_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("OOPSWATCH_KNOWN_INDEX", str(tmp_path / "none.zst"))
    fault, used = results(doctor(tmp_path))["known bugs"]
    assert fault["level"] == "fault"
    assert fault["text"].startswith("OOPSWATCH_KNOWN_INDEX: known.index: ")
    assert f"known.index: {tmp_path / 'none.zst'}: there is no such file" in fault["text"]
    assert used["level"] != "fault"
