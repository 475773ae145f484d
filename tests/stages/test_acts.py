"""A history that is lost is rebuilt from its topics: incidents, and what people did with them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from detector.api import Archive, Detector, Finding, open_history, text_chunk
from detector.isolation import NOWHERE
from detector.settings.kafka import Kafka
from detector.sources.kafka.chunks import KafkaChunk
from detector.stages import topic_writer
from detector.stages.act_topic import ActTopic
from detector.stages.archive_input import ArchiveInput
from detector.stages.topic_writer import TopicWriter
from detector.store import Journal, open_actions
from detector.store.lifecycle.shared_acts import (
    ActError,
    IncidentAct,
    SharedAct,
    act_from_json,
    act_to_json,
)
from tests.kafka.service import ask
from tests.support.fleet_log import lines
from tests.support.shipped import shipped

NOW_US = 1_800_000_000_000_000

# All that people did, and what it made of incidents and problems.
QUERIES = (
    (
        "SELECT incident_id, at_us, what, actor, reason, request FROM changes"
        " WHERE what IN ('acknowledged', 'resolved', 'reopened', 'noted') ORDER BY 1, 2, 3"
    ),
    "SELECT id, state FROM incidents ORDER BY id",
    "SELECT fingerprint, state, state_us, state_by, fixed_in FROM problems ORDER BY 1",
    "SELECT fingerprint, about, text, author, at_us FROM problem_advice ORDER BY 1, 2",
    (
        "SELECT host, rule, fingerprint, starts_us, ends_us, author, comment, created_us,"
        " expired_us, expired_by FROM silences ORDER BY created_us"
    ),
)


def people(store: Path) -> list[list[tuple[Any, ...]]]:
    """What a history says of acts of people."""
    return [ask(store, query) for query in QUERIES]


class Brokers:
    """A compacted topic in memory."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}

    def send(self, topic: str, *, value: bytes, key: bytes) -> SimpleNamespace:
        """A record."""
        self.kept[key] = value
        return SimpleNamespace(get=lambda timeout: None)

    def flush(self, timeout: float) -> None:
        """Nothing waits."""


@pytest.fixture
def findings() -> list[Finding]:
    """Four incidents of one problem."""
    detector = Detector(catalogue=shipped())
    text = "".join(f"{line}\n" for line in lines()).encode()
    made = detector.feed([text_chunk("fleet.log", text)], NOW_US)
    return [*made, *detector.finish(NOW_US)]


def done(store: Path) -> None:
    """What people do: every act there is, some of them twice."""
    moments = iter(range(NOW_US, NOW_US + 1_000, 7))
    with closing(open_actions(store, lambda: next(moments))) as actions:
        first, second, third, *_ = [row[0] for row in ask(store, "SELECT id FROM incidents")]
        (fingerprint,) = ask(store, "SELECT fingerprint FROM problems")[0]
        actions.act(first, "acknowledge", actor="ada", reason="mine", request="r-1")
        actions.act(first, "note", actor="ada", reason="card replaced <b>")
        actions.act(second, "resolve", actor="bob")
        actions.act(second, "reopen", actor="ada", reason="not yet")
        actions.act(third, "acknowledge", actor="bob")
        actions.advise(fingerprint, "ticket", "OPS-1", actor="ada")
        actions.advise(fingerprint, "cause", "a guess", actor="ada")
        actions.advise(fingerprint, "cause", "", actor="bob")
        actions.resolve_problem(fingerprint, actor="bob", fixed_in="6.1.90")
        actions.act(third, "reopen", actor="ada")
        number = actions.silence(
            host="db-*", starts_us=NOW_US, ends_us=NOW_US * 2, author="ada", comment="move"
        )
        actions.silence(
            rule="x", starts_us=NOW_US, ends_us=NOW_US * 2, author="ada", comment="noisy"
        )
        actions.expire_silence(number, actor="bob")


def published(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> list[SharedAct]:
    """What a history writes to its topic."""
    brokers = Brokers()
    monkeypatch.setattr(topic_writer, "KafkaProducer", lambda **_: brokers)
    writer = TopicWriter(Kafka(), elapsed_s=lambda: 0.0, failed=pytest.fail)
    topic = ActTopic(journal, "acts", writer)
    topic.turn()
    kept = dict(brokers.kept)
    brokers.kept.clear()
    topic.turn()
    assert not brokers.kept
    return [act_from_json(value) for value in kept.values()]


@pytest.fixture
def original(
    tmp_path: Path, findings: Sequence[Finding], monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, list[SharedAct]]:
    """A history with acts, and its topic."""
    store = tmp_path / "original.db"
    with closing(open_history(store)) as journal:
        Archive(journal, catalogue=shipped()).take(findings)
        done(store)
        return store, published(journal, monkeypatch)


@pytest.mark.parametrize("seed", range(4))
def test_a_history_is_rebuilt_with_the_acts_of_people(
    tmp_path: Path, original: tuple[Path, list[SharedAct]], findings: Sequence[Finding], seed: int
) -> None:
    """However findings and acts come: one before the other, mixed, acts shuffled and doubled."""
    store, acts = original
    acts = acts * 2
    Random(seed).shuffle(acts)
    cut = (0, len(acts), len(acts) // 2, len(acts) // 3)[seed]
    with closing(open_history(tmp_path / "rebuilt.db")) as journal:
        archive = Archive(journal, catalogue=shipped())
        archive.store([(act, NOWHERE) for act in acts[:cut]], {})
        for at in range(0, len(findings), 3):
            archive.take(findings[at : at + 3])
        archive.store([(act, NOWHERE) for act in acts[cut:]], {})
    assert people(tmp_path / "rebuilt.db") == people(store)
    assert ask(tmp_path / "rebuilt.db", "SELECT count(*) FROM waiting_acts") == [(0,)]
    assert len(people(store)[0]) > 6


def test_what_a_history_holds_already_changes_nothing(
    original: tuple[Path, list[SharedAct]],
) -> None:
    """Its own acts come back to it from the topic."""
    store, acts = original
    before = people(store)
    with closing(open_history(store)) as journal:
        Archive(journal, catalogue=shipped()).store([(act, NOWHERE) for act in acts], {})
    assert people(store) == before


def test_a_replica_gets_what_was_done_since(
    tmp_path: Path, findings: Sequence[Finding], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of an earlier moment, with the acts of the whole topic."""
    store, replica = tmp_path / "original.db", tmp_path / "replica.db"
    with closing(open_history(store)) as journal:
        Archive(journal, catalogue=shipped()).take(findings)
        (first,) = ask(store, "SELECT id FROM incidents LIMIT 1")[0]
        with closing(open_actions(store, lambda: NOW_US - 5)) as actions:
            actions.act(first, "resolve", actor="eve")
        with closing(open_history(replica)) as copy:
            journal.db.backup(copy.db)
        with closing(open_actions(store, lambda: NOW_US - 3)) as actions:
            actions.act(first, "reopen", actor="eve")
        done(store)
        acts = published(journal, monkeypatch)
    with closing(open_history(replica)) as journal:
        Archive(journal, catalogue=shipped()).store([(act, NOWHERE) for act in acts], {})
    assert people(replica) == people(store)


def test_an_older_act_does_not_undo_a_newer_one(
    original: tuple[Path, list[SharedAct]],
) -> None:
    """It is entered where it belongs; the state stays."""
    store, _ = original
    (identity,) = ask(store, "SELECT id FROM incidents WHERE state = 'resolved' LIMIT 1")[0]
    late = IncidentAct(identity, "acknowledged", NOW_US - 1, "eve")
    with closing(open_history(store)) as journal:
        Archive(journal, catalogue=shipped()).store([(late, NOWHERE)], {})
    assert ask(store, f"SELECT state FROM incidents WHERE id = '{identity}'") == [("resolved",)]
    assert ask(store, "SELECT count(*) FROM changes WHERE actor = 'eve'") == [(1,)]


class Polled:
    """A record as a consumer hands it out."""

    timestamp, key = 0, b"k"

    def __init__(self, offset: int, value: bytes) -> None:
        self.offset, self.value = offset, value


def test_what_is_no_act_is_set_aside(tmp_path: Path) -> None:
    """By its place and field; the rest of the topic is applied."""
    good = act_to_json(IncidentAct("i", "noted", NOW_US, "ada", "text"))
    values = [b"{", b'{"kind":"match"}', good.replace(b'"v":1', b'"v":2'), b"\xff", good]
    store = tmp_path / "h.db"
    with closing(open_history(store)) as journal:
        taking = ArchiveInput(Archive(journal, catalogue=shipped()), acts_topic="acts")
        records = [Polled(number, value) for number, value in enumerate(values)]
        taking.store([KafkaChunk("acts/0", records)], NOW_US)  # type: ignore[arg-type]
    assert ask(store, "SELECT number, stage FROM rejected") == [(n, "finding") for n in range(4)]
    assert ask(store, "SELECT subject FROM waiting_acts") == [("i",)]


@pytest.mark.parametrize("field", ["at_us", "incident"])
def test_a_field_out_of_its_bounds_is_named(field: str) -> None:
    """A time that no history can hold, an id that is none."""
    value = {"at_us": str(1 << 70), "incident": '""'}[field]
    sound = act_to_json(IncidentAct("i", "noted", NOW_US, "ada")).decode()
    act = f'{sound[:-1]},"{field}":{value}}}'
    with pytest.raises(ActError, match=field):
        act_from_json(act)
