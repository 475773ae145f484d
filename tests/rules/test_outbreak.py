"""An outbreak and a burst of noise through the pipeline and the alerts, with the shipped rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from detector.alert.message import compose, plain
from detector.app.alerting import timing_of
from detector.settings import settings_of
from detector.store.query.filters import Filter
from tests.support.outboxes import World
from tests.support.outbreaks import CRASH, SEGFAULT, pipeline, ship


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A history with its outbox and one receiver."""
    with closing(World(tmp_path / "history.db")) as opened:
        yield opened


def test_an_outbreak_of_forty_hosts_is_one_incident_and_three_messages(world: World) -> None:
    """The fifth host raises it, it is told once more at twenty, and when it is over."""
    watch = pipeline(world, outbreaks=True)
    for number in range(40):
        ship(world, watch, f"web-{number}", *CRASH)
        world.run(400, step=100)
    (row,) = world.journal.history().incidents()
    detail = world.journal.history().incident(row.id)
    assert detail is not None
    spread = detail.incident.spread
    assert spread is not None
    assert (row.rule, spread.hosts, len(spread.names)) == ("outbreak", 40, 40)
    assert detail.row.function == "my_driver_poll"
    assert [(one.action, one.host_count) for one in world.fake().taken] == [
        ("fire", 5),
        ("update", 20),
    ]
    said = plain(compose(world.fake().taken[-1]))
    assert said.startswith("[error, update] 20 hosts: paging fault in my_driver_poll\n")
    assert "First host: web-0\n" in said
    assert "Hosts: 20: web-0, web-1, " in said
    assert "wall clock" not in said
    world.actions.act(row.id, "resolve", actor="ann", reason="the driver is out")
    world.run(10)
    assert world.actions_taken() == ["fire", "update", "resolve"]


def test_lone_faults_of_an_outbreak_are_part_of_it(tmp_path: Path) -> None:
    """With both rules in force there is one incident at the end, and one alert of three messages:
    the first host is told, then the outbreak, twice.
    """
    settings, _ = settings_of(None, rules__outbreaks=True)
    with closing(World(tmp_path / "history.db", timing=timing_of(settings))) as world:
        lone_faults_of_an_outbreak(world)


def lone_faults_of_an_outbreak(world: World) -> None:
    """Forty hosts with the same crash, some minutes apart."""
    watch = pipeline(world, outbreaks=True, lone_faults=True)
    for number in range(40):
        ship(world, watch, f"web-{number}", *CRASH)
        world.run(400, step=100)
    (row,) = world.journal.history().incidents()
    assert row.rule == "outbreak"
    taken = world.fake().taken
    assert len({one.dedup_key for one in taken}) == 1
    assert [(one.total, one.host_count) for one in taken] == [
        (1, 1),
        (1, 5),
        (1, 20),
    ]


def test_outbreak_is_found_by_each_of_its_hosts(world: World) -> None:
    """By name and by pattern, alone and beside other fields, page by page; by no other host."""
    watch = pipeline(world, outbreaks=True, lone_faults=True)
    for number in range(12):
        ship(world, watch, f"web-{number}", *CRASH)
        world.run(10)
    ship(world, watch, "db-1", *CRASH[:1])
    world.run(10)
    history = world.journal.history()
    (outbreak,) = (row for row in history.incidents() if row.rule == "outbreak")

    def found(**asked: tuple[str, ...]) -> list[str]:
        return [row.id for row in history.search(Filter(**asked)).rows]

    for number in range(12):
        assert found(host=(f"web-{number}",)) == [outbreak.id]
    assert found(host=("web-1?",)) == [outbreak.id]
    assert found(host=("web-3", "web-5")) == [outbreak.id]
    assert found(host=("web-3",), text=("my_driver_poll",)) == [outbreak.id]
    assert found(host=("web-3",), severity=("error",), rule=("outbreak",)) == [outbreak.id]
    assert found(host=("web-3",), severity=("info",)) == []
    assert outbreak.id not in found(host=("db-1",))
    assert outbreak.id in found(host=("*-1",))
    first = history.search(Filter(host=("*",)), limit=1)
    second = history.search(Filter(host=("*",)), limit=1, after=first.next)
    assert {row.id for row in (*first.rows, *second.rows)} == {
        row.id for row in history.incidents()
    }
    host = history.host("web-7")
    assert host is not None
    assert [row.id for row in host.incidents] == [outbreak.id]


def test_four_hosts_and_one_that_loops_are_no_outbreak(world: World) -> None:
    """Hosts are counted, not crashes."""
    watch = pipeline(world, outbreaks=True)
    for number in range(12):
        ship(world, watch, f"web-{min(number, 3)}", *CRASH)
        world.run(100, step=50)
    assert world.journal.history().incidents() == []


def test_late_hosts_of_an_earlier_hour_join_the_outbreak(world: World) -> None:
    """What comes late may begin the outbreak earlier: the known incident is joined, the alert is
    the same.
    """
    watch = pipeline(world, outbreaks=True)
    for number in range(6):
        ship(world, watch, f"web-{number}", *CRASH)
    world.run(10)
    ship(world, watch, "web-late", *CRASH, ago_s=7_200)
    world.run(400, step=100)
    (row,) = world.journal.history().incidents()
    detail = world.journal.history().incident(row.id)
    assert detail is not None
    assert detail.incident.spread is not None
    assert detail.incident.spread.hosts == 7
    assert len(detail.incident.joined) == 1
    assert len({one.dedup_key for one in world.fake().taken}) == 1


def test_a_burst_of_noise_is_news_once(world: World) -> None:
    """A program on twenty hosts within the hour is one message of the lowest severity; that it goes
    on for hours, on ever more hosts, is none.
    """
    watch = pipeline(world, noise_bursts=True)
    for number in range(300):
        ship(world, watch, f"web-{number % 100}", SEGFAULT)
        world.run(60, step=60)
    (row,) = world.journal.history().incidents()
    assert (row.rule, row.severity) == ("noise-burst", "info")
    assert "agent crashed in user space on 20 hosts or more within an hour" in row.title
    (notice,) = world.fake().taken
    assert (notice.action, notice.host_count) == ("fire", 20)
    assert world.journal.db.execute("SELECT count(*) FROM faults").fetchone()[0] == 0


def test_a_restart_between_two_hosts_changes_nothing(world: World) -> None:
    """What was seen before is in the history."""
    for number in range(5):
        ship(world, pipeline(world, outbreaks=True), f"web-{number}", *CRASH)
    (row,) = world.journal.history().incidents()
    assert row.rule == "outbreak"


def test_without_the_settings_nothing_is_counted(world: World) -> None:
    """No rule in force: no rows, no incidents."""
    watch = pipeline(world)
    for number in range(30):
        ship(world, watch, f"web-{number}", *CRASH, SEGFAULT)
    assert world.journal.history().incidents() == []
    assert world.journal.db.execute("SELECT count(*) FROM value_hours").fetchone()[0] == 0
