"""A fault that is alone, and the pair that it turns out to be, are one alert."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from detector.app import build
from detector.catalogue import Rule
from detector.settings import settings_of
from detector.settings.records import RuleSettings
from tests.rules.worlds import FAULT, HALF, Delivery, fault, rule
from tests.support.outboxes import World
from tests.support.shipped import shipped


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A history with its outbox and one receiver."""
    with closing(World(tmp_path / "history.db")) as opened:
        yield opened


def in_force(**switches: bool) -> tuple[Rule, ...]:
    """The shipped rules in force with some settings."""
    settings, _ = settings_of(None, **{f"rules__{name}": on for name, on in switches.items()})
    return build.rules_in_force(settings, shipped())


def test_off_by_default_and_switched_on_by_one_setting() -> None:
    """Without the setting the rule raises nothing; every setting of rules has one that needs it."""
    assert not any(one.is_lone for one in in_force())
    assert [one.id for one in in_force(lone_faults=True) if one.is_lone] == ["lone-kernel-fault"]
    switches = {one.switch for one in shipped().rules if one.switch}
    assert switches == {f"rules.{name}" for name in RuleSettings.model_fields}


@pytest.mark.parametrize("first", [FAULT, HALF])
def test_one_alert_whichever_half_comes_first(world: World, first: str) -> None:
    """The fault fires; when the other half comes, the same alert is updated. The half alone tells
    nothing, and the pair fires once.
    """
    delivery = Delivery(world.journal, in_force(lone_faults=True))
    halves = sorted([fault(FAULT, 104), fault(HALF, 100)], key=lambda one: one.cls != first)
    for one in halves:
        delivery.batch([one])
        world.run(300)
    taken = world.fake().taken
    assert [one.action for one in taken] == (["fire", "update"] if first == FAULT else ["fire"])
    assert len({one.dedup_key for one in taken}) == 1
    assert taken[-1].subjects[0].rule == "tcp-release-and-memory-fault"
    assert taken[-1].total == 1


def test_halves_of_one_batch_are_one_message(world: World) -> None:
    """The pair is raised, the lone fault is a part of it before anybody looks."""
    delivery = Delivery(world.journal, in_force(lone_faults=True))
    delivery.batch([fault(FAULT, 104), fault(HALF, 100)])
    world.run(300)
    assert world.actions_taken() == ["fire"]
    assert world.fake().taken[0].subjects[0].gap_us == 4_000_000


def test_a_panic_alone_is_told_without_a_gap(world: World) -> None:
    """The message says what happened and tells of no other half."""
    Delivery(world.journal, in_force(lone_faults=True)).batch([fault("panic", 7)])
    world.run(10)
    (notice,) = world.fake().taken
    assert notice.subjects[0].what_happened == ("kernel panic",)


def test_a_count_is_said(world: World) -> None:
    """A rule that counts says how many, and in what time."""
    count = rule("hung-again", "event_count", ("hung-task",), 600, 3)
    known = replace(shipped(), rules=(count,))
    world.outbox.builder = replace(world.outbox.builder, catalogue=known)
    Delivery(world.journal, [count]).batch(fault("hung-task", at) for at in (10, 130, 250))
    world.run(10)
    (notice,) = world.fake().taken
    assert notice.subjects[0].what_happened == ("hung task, 3 such faults in 4 min 0 s",)
