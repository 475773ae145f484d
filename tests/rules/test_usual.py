"""Programs that crash on far more hosts than usual, against an oracle that sees the whole history,
however it is delivered.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.catalogue import Rule
from detector.model import Incident
from detector.outbreak import Outbreaks
from detector.store import Journal, open_journal
from tests.support.nouns import noise
from tests.support.outboxes import World
from tests.support.outbreaks import SEGFAULT, pipeline, ship
from tests.support.rules import HOUR, START, counting

RATE = replace(counting("process", 24, 3), id="rate", times_usual=3)
BURST = replace(counting("process", 1, 6), id="burst")
DAY = 24 * HOUR
# START is no day's beginning.
FIRST_DAY = START - START % DAY
Crash = tuple[str, int, int]


class CrashingFleet:
    """A history that gets counts of noise, under some rules."""

    def __init__(self, journal: Journal, *rules: Rule) -> None:
        self.journal = journal
        self.outbreaks = Outbreaks(rules or [RATE], journal)
        self.raised: list[str] = []

    def crashes(self, seen: list[Crash]) -> None:
        """Crashes of (program, host, hour since the first day), in one transaction."""
        rows = [
            noise(value, f"h{host}", hour_us=FIRST_DAY + hour * HOUR) for value, host, hour in seen
        ]
        with self.journal.transaction():
            self.journal.count_noise(rows)
            self.outbreaks.noise(rows)
            self.outbreaks.raise_incidents(self.saved)

    def saved(self, incident: Incident, evidence: Sequence[int], *, notify: bool = True) -> None:
        """Stores an incident, and keeps its rule where somebody hears of it."""
        self.journal.save_incident(incident, evidence)
        if notify:
            self.raised.append(incident.rule)

    def days(self) -> set[tuple[str, str, int, int, int]]:
        """The live incidents: rule, program, first and last day, hosts."""
        query = """
        SELECT s.rule, s.value, s.first_us, s.last_us, s.hosts FROM spreads s
        JOIN incidents i ON i.id = s.incident_id WHERE i.joined_into IS NULL
        """
        return {
            (row[0], row[1], (row[2] - FIRST_DAY) // DAY, (row[3] - FIRST_DAY) // DAY, row[4])
            for row in self.journal.db.execute(query)
        }


@pytest.fixture
def journal() -> Iterator[Journal]:
    """A history in memory."""
    with closing(open_journal(":memory:")) as opened:
        yield opened


def oracle(seen: list[Crash]) -> set[tuple[str, str, int, int, int]]:
    """Every day of the whole history on which a program is far above its usual; days next to each
    other are one incident.
    """
    hosts: dict[tuple[str, int], set[int]] = defaultdict(set)
    for value, host, hour in seen:
        hosts[value, hour // 24].add(host)
    busy = {day for _, day in hosts}
    wanted = set()
    for value in {value for value, _ in hosts}:
        above = []
        for day in sorted(day for name, day in hosts if name == value):
            before = range(day - 15, day - 1)
            usual = max(len(hosts.get((value, earlier), ())) for earlier in before)
            known = len(busy & set(before)) >= 7
            if known and len(hosts[value, day]) >= max(RATE.gte, RATE.times_usual * usual):
                above.append(day)
        while above:
            first = last = above.pop(0)
            while above and above[0] == last + 1:
                last = above.pop(0)
            of_all = set().union(*(hosts.get((value, day), ()) for day in range(first, last + 1)))
            wanted.add((RATE.id, value, first, last, len(of_all)))
    return wanted


def history(chance: random.Random) -> list[Crash]:
    """Some weeks of a program that crashes on a host or none a day, but for some days on many;
    another one crashes now and then.
    """
    days = chance.randint(10, 22)
    many = {chance.randrange(7, days): chance.randint(2, 9) for _ in range(4)}
    many |= {day + 1: chance.randint(2, 9) for day in many if chance.random() < 0.3}
    seen: list[Crash] = []
    for day in range(days):
        if chance.random() < 0.85:
            seen.append((chance.choice(["agent", "other"]), 0, day * 24 + chance.randrange(24)))
        hours = chance.choices(range(24), k=many.get(day, 0))
        seen += [("agent", host, day * 24 + hour) for host, hour in enumerate(hours)]
    return seen


def delivered(seen: list[Crash], chance: random.Random) -> list[Crash]:
    """The same out of order by up to a day, some of it twice."""
    arrivals = [*seen, *chance.choices(seen, k=len(seen) // 4)] if seen else []
    return sorted(arrivals, key=lambda crash: crash[2] + chance.uniform(0, 24))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32))
def test_unusual_days_are_those_of_the_whole_history(seed: int) -> None:
    """Late by up to a day, twice, in batches of any size and after restarts: 0 false, 0 missed."""
    chance = random.Random(seed)
    seen = history(chance)
    arrivals = delivered(seen, chance)
    with closing(open_journal(":memory:")) as journal:
        fleet = CrashingFleet(journal)
        while arrivals:
            size = chance.randint(1, 30)
            fleet.crashes(arrivals[:size])
            del arrivals[:size]
            if chance.random() < 0.1:
                fleet = CrashingFleet(journal)
        assert fleet.days() == oracle(seen)


def ordinary(days: int, hosts: int = 1) -> list[Crash]:
    """A program that crashes on some hosts every day."""
    return [("agent", host, day * 24 + host % 24) for day in range(days) for host in range(hosts)]


def test_one_host_in_a_loop_is_not_above_the_usual(journal: Journal) -> None:
    """Hosts are counted, once a day each, whatever the number of crashes."""
    fleet = CrashingFleet(journal)
    fleet.crashes(ordinary(10))
    fleet.crashes([("agent", host, 240 + hour) for hour in range(24) for host in range(2)])
    assert fleet.days() == set()
    fleet.crashes([("agent", 2, 263)])
    assert fleet.days() == {("rate", "agent", 10, 10, 3)}


def test_what_lasts_becomes_usual(journal: Journal) -> None:
    """A release that crashes on many hosts for weeks is news once, not every day."""
    fleet = CrashingFleet(journal)
    fleet.crashes(ordinary(10))
    for day in range(10, 40):
        fleet.crashes([("agent", host, day * 24 + 5) for host in range(5)])
    assert fleet.days() == {("rate", "agent", 10, 11, 5)}


def test_nothing_in_the_learning_period(journal: Journal) -> None:
    """Where counting began a week ago, or was off meanwhile, nothing is known to be usual."""
    fleet = CrashingFleet(journal)
    fleet.crashes(ordinary(7))
    fleet.crashes([("agent", host, 7 * 24) for host in range(9)])  # six of the days before count
    fleet.crashes([("agent", host, 100 * 24) for host in range(9)])
    assert fleet.days() == set()


@pytest.mark.parametrize("first", ["rate", "burst", "both"])
def test_a_burst_takes_in_what_is_above_the_usual(journal: Journal, first: str) -> None:
    """Whichever comes first there is one live incident, the burst's; one that is above the usual is
    told where it comes first, and only there.
    """
    fleet = CrashingFleet(journal, RATE, BURST)
    fleet.crashes([("other", 1, day * 24) for day in range(6)])
    within = [("agent", host, 240) for host in range(6)]
    if first != "burst":
        fleet.crashes([("other", 1, day * 24) for day in range(6, 10)])
    for crashes in [within[:3], within[3:]] if first == "rate" else [within]:
        fleet.crashes(crashes)
    fleet.crashes([("other", 1, day * 24) for day in range(6, 10)])
    fleet.crashes([("agent", 9, 250)])
    assert {incident[0] for incident in fleet.days()} == {"burst"}
    rows = journal.db.execute("SELECT rule FROM incidents WHERE joined_into IS NOT NULL").fetchall()
    assert [row[0] for row in rows] == ["rate"]
    assert ("rate" in fleet.raised) == (first == "rate")


def test_a_bad_rollout_is_one_message(tmp_path: Path) -> None:
    """With the shipped rules: two hosts a day for ten days, then thirty in a day, five an hour: one
    message of the lowest severity.
    """
    with closing(World(tmp_path / "history.db")) as world:
        watch = pipeline(world, noise_bursts=True)
        for day in range(11, 1, -1):
            for host in ("web-1", "web-2"):
                ship(world, watch, host, SEGFAULT, ago_s=day * 86_400)
        world.run(10)
        assert world.fake().taken == []
        for number in range(30):
            ship(world, watch, f"web-{number}", SEGFAULT)
            world.run(720, step=720)
        (row,) = world.journal.history().incidents()
        assert (row.rule, row.severity) == ("noise-rate", "info")
        assert "agent crashed in user space on 10 hosts or more within 24 hours" in row.title
        assert [one.action for one in world.fake().taken] == ["fire"]
