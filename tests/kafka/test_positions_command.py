from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from detector.cli import oopswatch
from detector.model import Position
from detector.store import open_journal
from detector.store.turns import held
from tests.kafka.broker import Broker
from tests.kafka.reader import lines

pytestmark = pytest.mark.kafka


def run(*arguments: str) -> str:
    """What `oopswatch positions …` prints."""
    result = CliRunner().invoke(oopswatch, ["positions", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    """The one line of an error that a person can mend."""
    result = CliRunner().invoke(oopswatch, ["positions", *arguments], catch_exceptions=False)
    assert result.exit_code == 2, result.output
    return result.output


def test_positions_are_listed_and_set(
    kafka: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To an offset, the beginning, the end and a time; noise that is counted stays counted."""
    monkeypatch.setenv("OOPSWATCH_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap)
    topic, path = kafka.create_topic(partitions=2), tmp_path / "history.db"
    store = ("--store", str(path))
    kafka.send(topic, lines(10), partition=0)
    with closing(open_journal(path)) as journal:
        journal.sources.place({f"{topic}/0": Position(8, None, 8)})
    assert f"{topic}/0             8  -\n1 source\n" in run("list", *store)
    assert run("set", f"{topic}/0", "3", *store) == f"{topic}/0: 8 → 3\n"
    with closing(open_journal(path)) as journal:
        found = journal.sources.get(f"{topic}/0")
        assert found is not None
        assert (found.offset, found.counted) == (3, 8)
        assert found.topic_id is not None
        assert found.set_us is not None
    assert "set, not read from yet  noise counted up to 8" in run("list", *store)
    assert run("set", topic, "end", *store) == f"{topic}/0: 3 → 10\n{topic}/1: - → 0\n"
    assert run("set", topic, "beginning", *store).startswith(f"{topic}/0: 10 → 0\n")
    assert run("set", f"{topic}/0", "1d", *store) == f"{topic}/0: 0 → 0\n"
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3_600))
    assert run("set", f"{topic}/0", later, *store) == f"{topic}/0: 0 → 10\n"
    said = [json.loads(line) for line in run("list", "--json", *store).splitlines()]
    assert [item["source"] for item in said] == [f"{topic}/0", f"{topic}/1"]
    assert said[0]["position"] == 10


def test_what_cannot_be_set_is_said(
    kafka: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside what Kafka holds, no such partition or time, a history that is read into."""
    monkeypatch.setenv("OOPSWATCH_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap)
    topic, path = kafka.create_topic(), tmp_path / "history.db"
    store = ("--store", str(path))
    kafka.send(topic, lines(10), partition=0)
    assert "there is no such history" in refused("set", f"{topic}/0", "3", *store)
    open_journal(path).close()
    for asked, said in (
        ((f"{topic}/0", "11"), "Kafka holds the offsets from 0 to 10, not 11"),
        ((f"{topic}/1", "0"), "there are 1 partitions, from 0 on"),
        (("no-such-topic", "end"), "does not exist"),
        ((topic, "3"), "an offset is of one partition"),
        ((topic, "yesterday"), "neither an offset, nor beginning or end, nor a time"),
    ):
        assert said in refused("set", *asked, *store)
    with held(path):
        assert "stop it first" in refused("set", topic, "end", *store)
