"""Two stages over a real Kafka find what one process finds: however records are spread over
partitions, wherever a partition goes, whoever falls asleep.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from detector.api import Archive, Detector, open_history, text_chunk
from detector.simulate import (
    Simulation,
    SimulationPlan,
    compare,
    halves_apart,
    records,
    render,
    simulate,
)
from detector.store import open_actions
from detector.store.backup import backup
from detector.store.lifecycle.states import Act
from tests.kafka.broker import ApacheKafka
from tests.kafka.facts import differences, frames
from tests.kafka.killable import Forked
from tests.kafka.service import Service, ask, stored
from tests.kafka.stage_chaos import stage_chaos
from tests.kafka.stages import PARTITIONS, SETTINGS, Stages
from tests.support.fleet_items import incidents, items, noise
from tests.support.kafka_runs import clean, moving

pytestmark = pytest.mark.kafka

# Where a member falls asleep; `make stages` tries all.
SLEEPS = (4, 6, 7, 8, 9) if os.environ.get("OOPSWATCH_STAGES") else (7,)
# Where a member sleeps until another one has its name.
ZOMBIES = (4, 6, 7, 8, 9) if os.environ.get("OOPSWATCH_STAGES") else (8,)
# Where an archive sleeps until another one has its history.
ARCHIVE_SLEEPS = (3, 4, 8, 10) if os.environ.get("OOPSWATCH_STAGES") else (8,)
# All partitions of the topics of findings and of noise.
FOUND_PARTITIONS = 4
# How the shippers of a topic give keys; `make stages` tries both.
KEYS = ("none", "mixed") if os.environ.get("OOPSWATCH_STAGES") else ("none",)
# Whether a replica is left of a lost archive; `make stages` tries both.
LOSSES = (True, False) if os.environ.get("OOPSWATCH_STAGES") else (True,)
# Not in the first days of a year, when a host's clock looks as if it had never been set.
PLAN = SimulationPlan(
    seed=9, hosts=40, lines=12_000, start=1_776_000_000_000_000, incidents=20, noise_share=0.01,
    half_signatures=8, reboots=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def fleet() -> Simulation:
    """A fleet's logs."""
    return simulate(PLAN)


@pytest.fixture
def stages(own_kafka: ApacheKafka, tmp_path: Path) -> Iterator[Stages]:
    """Topics without processes."""
    made = Stages(own_kafka, tmp_path)
    yield made
    made.kill()


def keyed(fleet: Simulation) -> list[tuple[str, bytes, int]]:
    """All lines of a host in one partition."""
    return spread(records(fleet, format="rsyslog", delivery="in-order"))


def spread(rows: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes, int]]:
    """Lines with the partition of their host."""
    return [(host, value, sum(host.encode()) % PARTITIONS) for host, value in rows]


def wrong(fleet: Simulation, store: Path) -> tuple[object, ...]:
    """What a history says otherwise than the truth: missed and false incidents, noise."""
    comparison = compare(fleet.truth, incidents(store, "--limit", "1000"), items(noise(store)))
    return comparison.missed, comparison.false, comparison.noise


def test_two_stages_write_the_history_of_one_process(
    stages: Stages, fleet: Simulation, tmp_path: Path
) -> None:
    """The same incidents, matches, reports, noise and counters as `run` over the same topic; and
    each incident is in a topic of its own as it is now.
    """
    stages.send(keyed(fleet))
    topic = stages.broker.create_topic(config={"cleanup.policy": "compact"})
    detect, archive = stages.detect("a"), stages.archive(fleet_incidents_topic=topic)
    stages.through(detect, archive)
    archive.until(lambda: published(stages, topic) == as_they_are(stages.store))
    detect.stop()
    archive.stop()
    one = Service(
        stages.broker, stages.topic, f"{stages.group}-one", tmp_path / "one.db", start=Forked,
        **SETTINGS,
    )  # fmt: skip
    one.until(lambda: stored(one.store) >= len(keyed(fleet)))
    one.stop()
    assert differences(stages.store, one.store) == {}
    assert wrong(fleet, stages.store) == ((), (), {})


@pytest.mark.parametrize("keys", KEYS)
def test_hosts_whose_lines_lie_in_all_partitions(
    stages: Stages, fleet: Simulation, tmp_path: Path, keys: str
) -> None:
    """No keys, or two partitioners, and two members that keep up: every planted pair, nothing else,
    noise to the last count, and the frames of a topic with keys.
    """
    chance = Random(4)
    rows = [
        (host, value, chance.randrange(PARTITIONS) if keys == "none" else spread_by(host, chance))
        for host, value, _ in keyed(fleet)
    ]
    apart = {"fleet_assemble_in_archive": True}
    first, second = stages.detect("a", **apart), stages.detect("b", **apart)
    archive = stages.archive(assemble_deadline_s=1)
    both(first, second)
    for at in range(0, len(rows), 1_500):
        stages.send(rows[at : at + 1_500], keyed=False)
        stages.through(first, archive)
    expected = frames(in_one_partition(fleet, tmp_path / "keyed.db"))
    most = sum(count for *_, count in expected)
    archive.until(lambda: sum(count for *_, count in frames(stages.store)) >= 0.95 * most > 0)
    print(f"frames: {sum(count for *_, count in frames(stages.store))} of {most}")
    assert wrong(fleet, stages.store) == ((), (), {})


def spread_by(host: str, chance: Random) -> int:
    """The partition of one of two shippers, which hash a host's name differently."""
    return (sum(host.encode()) if chance.random() < 0.5 else len(host) * 7 + host.encode()[-1]) % 4


def in_one_partition(fleet: Simulation, store: Path) -> Path:
    """The history of a topic that has one partition."""
    detector = Detector()
    lines = b"\n".join(value for _, value, _ in keyed(fleet))
    found = detector.feed([text_chunk("k/0", lines)], PLAN.start)
    with closing(open_history(store)) as journal:
        Archive(journal).take([*found, *detector.finish(PLAN.start)])
    return store


def test_a_partition_that_moves_between_the_halves(stages: Stages, fleet: Simulation) -> None:
    """One member reads the first halves and ends; another one reads the others."""
    entries = halves_apart(fleet.entries(), fleet.truth)
    archive = stages.archive()
    for member, part in zip(("a", "b"), entries, strict=True):
        detect = stages.detect(member)
        stages.send(spread(render(part, "rsyslog")))
        stages.through(detect, archive)
        detect.stop()
    assert wrong(fleet, stages.store) == ((), (), {})


@pytest.mark.parametrize("point", SLEEPS)
def test_a_member_that_slept_past_its_session_sends_nothing_twice(
    stages: Stages, fleet: Simulation, point: int
) -> None:
    """It stops itself with findings in hand; another one takes over; then it goes on."""
    rows = keyed(fleet)
    half = len(rows) // 2
    first, archive = stages.detect("a", f"{point}:0:{signal.SIGSTOP:d}"), stages.archive()
    second = stages.detect("b")
    both(first, second)
    first.signal(signal.SIGUSR1)
    stages.send(rows[:half])
    second.until(lambda: len(moving(second)) == PARTITIONS)
    stages.send(rows[half:])
    first.signal(signal.SIGCONT)
    stages.through(second, archive)
    assert wrong(fleet, stages.store) == ((), (), {})
    assert first.process.poll() in (None, 2)


@pytest.mark.parametrize("point", ZOMBIES)
def test_of_two_members_with_one_name_one_goes_on(
    stages: Stages, fleet: Simulation, point: int
) -> None:
    """The first stops itself with findings in hand, and wakes when a second has its name: the group
    knows that one, and only the first ends.
    """
    rows = keyed(fleet)
    half = len(rows) // 2
    first, archive = stages.detect("a", f"{point}:0:{signal.SIGSTOP:d}"), stages.archive()
    first.until(lambda: len(moving(first)) == PARTITIONS)
    first.signal(signal.SIGUSR1)
    stages.send(rows[:half])
    first.until(lambda: "State:\tT" in Path(f"/proc/{first.process.pid}/status").read_text())
    second = stages.detect("a", folder="second")
    second.until(lambda: len(moving(second)) == PARTITIONS)
    first.signal(signal.SIGCONT)
    stages.send(rows[half:])
    stages.through(second, archive)
    assert first.process.wait(60) == 2
    (failed,) = first.said("failed")
    assert "another" in failed["error"]
    assert wrong(fleet, stages.store) == ((), (), {})
    second.stop()


def test_detect_waits_for_a_broker_that_goes_before_its_first_transaction(
    stages: Stages, fleet: Simulation, own_kafka: ApacheKafka
) -> None:
    """It says so once, and goes on when the broker is there again."""
    rows = keyed(fleet)
    stages.send(rows[: len(rows) // 2])
    detect = stopped_before_a_transaction(stages)
    own_kafka.halt()
    try:
        detect.signal(signal.SIGCONT)
        detect.until(lambda: bool(detect.said("broker_away")))
    finally:
        own_kafka.start()
    archive = stages.archive()
    stages.send(rows[len(rows) // 2 :])
    stages.through(detect, archive)
    detect.stop()
    clean(detect)
    for event in ("broker_away", "broker_back", "findings_refused"):
        assert len(detect.said(event)) == 1
    assert wrong(fleet, stages.store) == ((), (), {})


def test_a_detect_without_a_broker_is_ended_and_started_again(
    stages: Stages, fleet: Simulation, own_kafka: ApacheKafka
) -> None:
    """SIGTERM ends within seconds one that waits for its first transaction; the next one starts
    without a broker, and reads what is there once that comes.
    """
    stages.send(keyed(fleet))
    detect = stopped_before_a_transaction(stages)
    own_kafka.halt()
    try:
        detect.signal(signal.SIGCONT)
        assert detect.stop() < 10
        clean(detect)
        detect = stages.detect("a", folder="second")
        detect.until(lambda: bool(detect.said("broker_away")))
    finally:
        own_kafka.start()
    stages.through(detect, stages.archive())
    assert wrong(fleet, stages.store) == ((), (), {})


def stopped_before_a_transaction(stages: Stages) -> Service:
    """A first stage that stopped itself before its first transaction."""
    detect = stages.detect("a", f"6:1:{signal.SIGSTOP:d}")
    detect.until(lambda: "State:\tT" in Path(f"/proc/{detect.process.pid}/status").read_text())
    return detect


@pytest.mark.parametrize("point", ARCHIVE_SLEEPS)
def test_of_two_archives_with_one_history_the_first_goes_on(
    stages: Stages, fleet: Simulation, point: int
) -> None:
    """It stops itself with findings in hand, past its session; the second one ends with a line that
    says why, and the first goes on where it stood.
    """
    detect, first = archived_half(stages, fleet, point)
    second = stages.archive()
    assert second.process.wait(60) == 2
    (failed,) = second.said("failed")
    assert "another oopswatch" in failed["error"]
    assert str(stages.store) in failed["error"]
    first.signal(signal.SIGCONT)
    stages.through(detect, first)
    assert wrong(fleet, stages.store) == ((), (), {})


@pytest.mark.parametrize("point", ARCHIVE_SLEEPS)
def test_an_archive_that_wakes_beside_its_replica_stores_nothing_more(
    stages: Stages, fleet: Simulation, tmp_path: Path, point: int
) -> None:
    """It stops itself with findings in hand; a copy of its history takes the place of the file, and
    a second archive goes on with that. Then the first wakes, ends, and says that the file is
    another one.
    """
    detect, first = archived_half(stages, fleet, point)
    backup(stages.store, tmp_path / "replica.db")
    stages.store.rename(tmp_path / "left.db")
    for leftover in ("-wal", "-shm"):
        Path(f"{stages.store}{leftover}").rename(tmp_path / f"left.db{leftover}")
    (tmp_path / "replica.db").rename(stages.store)
    second = stages.archive()
    second.until(lambda: len(moving(second)) == FOUND_PARTITIONS)
    first.signal(signal.SIGCONT)
    stages.through(detect, second)
    assert first.process.wait(60) == 2
    assert "removed or replaced" in first.said("failed")[-1]["error"]
    assert wrong(fleet, stages.store) == ((), (), {})


def archived_half(stages: Stages, fleet: Simulation, point: int) -> tuple[Service, Service]:
    """A first stage, and an archive that stopped itself at a point with findings in hand; all that
    is left was sent.
    """
    rows = keyed(fleet)
    half = len(rows) // 2
    detect, first = stages.detect("a"), stages.archive(f"{point}:0:{signal.SIGSTOP:d}")
    stages.send(rows[:half])
    stages.through(detect, first)
    first.signal(signal.SIGUSR1)
    stages.send(rows[half:])
    first.until(lambda: "State:\tT" in Path(f"/proc/{first.process.pid}/status").read_text())
    detect.until(stages.detected)
    return detect, first


def test_a_topic_of_findings_that_is_not_there(stages: Stages) -> None:
    """One line that says how to make it."""
    detect = stages.detect("a", fleet_findings_topic="nowhere")
    assert detect.process.wait(60) == 2
    (failed,) = detect.said("failed")
    assert "fleet.findings_topic: nowhere does not exist" in failed["error"]
    assert "kafka-topics.sh --create --topic nowhere" in failed["error"]


def test_a_topic_of_incidents_that_is_not_there(stages: Stages) -> None:
    """`archive` says so before it begins, not at the first incident; nothing is made."""
    archive = stages.archive(fleet_incidents_topic="nowhere")
    assert archive.process.wait(60) == 2
    (failed,) = archive.said("failed")
    assert "fleet.incidents_topic: nowhere does not exist" in failed["error"]
    assert not stages.store.exists()


@pytest.mark.parametrize("replica", LOSSES)
def test_an_archive_that_is_lost_comes_back(
    stages: Stages, fleet: Simulation, tmp_path: Path, *, replica: bool
) -> None:
    """From a replica and the topics, or from the topics alone: equal incidents, acts of people and
    noise; clocks apart.
    """
    rows = keyed(fleet)
    acts = stages.broker.create_topic(config={"cleanup.policy": "compact"})
    detect, archive = stages.detect("a"), stages.archive(fleet_acts_topic=acts)
    stages.send(rows[: len(rows) // 2])
    stages.through(detect, archive)
    act_on(stages.store, "ada")
    if replica:
        backup(stages.store, tmp_path / "replica.db")
    stages.send(rows[len(rows) // 2 :])
    stages.through(detect, archive)
    act_on(stages.store, "bob")
    archive.until(lambda: len(stages.records(acts)) >= len(acts_in(stages.store)))
    archive.kill()
    lost = stages.store.rename(tmp_path / "lost.db")
    for leftover in ("-wal", "-shm"):
        beside = Path(f"{stages.store}{leftover}")
        if beside.exists():
            beside.rename(f"{lost}{leftover}")
    if replica:
        (tmp_path / "replica.db").rename(stages.store)
    archive = stages.archive(fleet_acts_topic=acts)
    stages.through(detect, archive)
    archive.until(lambda: acts_in(stages.store) == acts_in(lost))
    archive.stop()
    assert differences(stages.store, lost) == {}
    assert wrong(fleet, stages.store) == ((), (), {})
    assert ask(stages.store, STATES) == ask(lost, STATES)
    assert {row[1] for row in acts_in(lost)} == {"ada", "bob"}


STATES = "SELECT id, state FROM incidents WHERE joined_into IS NULL ORDER BY id"


def act_on(store: Path, actor: str) -> None:
    """Somebody acknowledges, closes and comments on what is there."""
    with closing(open_actions(store)) as actions:
        for number, (identity, state) in enumerate(ask(store, STATES)):
            if state != "resolved":
                what: Act = ("acknowledge", "resolve", "note")[number % 3 if state == "open" else 2]
                actions.act(identity, what, actor=actor, reason=f"{actor} {number}")


def acts_in(store: Path) -> list[tuple[object, ...]]:
    """What people did, by incident."""
    if not store.exists():
        return []
    query = (
        "SELECT incident_id, actor, what, reason, at_us FROM changes WHERE actor <> 'oopswatch' "
        "ORDER BY 1, 5"
    )
    return ask(store, query)


def published(stages: Stages, topic: str) -> dict[str, object]:
    """The latest state of each incident in a topic: its report's function."""
    items = {record.key.decode(): json.loads(record.value) for record in stages.records(topic)}
    return {key: item["function"] for key, item in items.items() if not item["joined_into"]}


def as_they_are(store: Path) -> dict[str, object]:
    """The same of the history."""
    query = "SELECT id, function FROM incidents WHERE joined_into IS NULL"
    return dict(ask(store, query))


def both(first: Service, second: Service) -> None:
    """Waits until two members share the partitions."""
    first.until(lambda: len(moving(first)) + len(moving(second)) == PARTITIONS)
    second.until(lambda: len(moving(second)) == PARTITIONS // 2)


def test_kills_of_both_stages_lose_nothing_and_double_nothing(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """The short form of `make stages`: numbered points and random times."""
    outcome = stage_chaos(own_kafka, tmp_path, rounds=5)
    assert outcome.agrees, str(outcome)
