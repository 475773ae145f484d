"""Rules that count hosts, against an oracle that sees the whole history, under every delivery."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.catalogue import Rule
from detector.model import Block, CrashReport, Incident, Match
from detector.outbreak import Outbreaks
from detector.spread import HourSpan, all_spans, spread_id
from detector.store import Journal, open_journal
from tests.rules.worlds import Delivery, fault, rule
from tests.support.nouns import noise
from tests.support.rules import HOUR, START, counting


class Fleet:
    """A history that is told where values were seen."""

    def __init__(self, journal: Journal, rule: Rule) -> None:
        self.journal = journal
        self.outbreaks = Outbreaks([rule], journal)
        self.number = 0

    def batch(self, seen: list[tuple[str, int, int]]) -> None:
        """Reports of (fingerprint, host, hour), in one transaction."""
        with self.journal.transaction():
            for value, host, hour in seen:
                self.report(value, host, hour)
            self.outbreaks.raise_incidents(self.save)

    def report(self, value: str, host: int, hour: int, minute: int = 7) -> None:
        """One crash on a host, with its report."""
        at = START + hour * HOUR + minute * 60_000_000
        head = replace(
            fault("memory-fault", hour * 3_600 + minute, f"h{host}"),
            wall_time_us=at,
            text=f"crash {value} in hour {hour} at {minute}",
        )
        stored, _ = self.journal.add_match(head)
        report = CrashReport("memory-fault", title=f"BUG: {value}")
        self.journal.add_report(stored.id, Block(head, (head.text,), True), report, value)
        self.outbreaks.report(stored.id)

    def save(self, incident: Incident, evidence: Sequence[int], *, notify: bool = True) -> None:
        """Stores an incident as the correlator does, without an explanation."""
        self.journal.save_incident(incident, evidence)

    def live(self) -> dict[str, tuple[int, int, int]]:
        """The incidents that are no part of another: first and last hour, hosts."""
        query = """
        SELECT s.incident_id, s.first_us, s.last_us, s.hosts FROM spreads s JOIN incidents i ON
    i.id = s.incident_id
        WHERE i.joined_into IS NULL
        """
        rows = self.journal.db.execute(query).fetchall()
        return {
            row[0]: ((row[1] - START) // HOUR, (row[2] - START) // HOUR, row[3]) for row in rows
        }


@pytest.fixture
def journal() -> Iterator[Journal]:
    """A history in memory."""
    with closing(open_journal(":memory:")) as opened:
        yield opened


def oracle(rule: Rule, seen: list[tuple[str, int, int]]) -> dict[str, tuple[int, int, int]]:
    """Every window of the whole history that has enough hosts; those with at most a day between
    them are one.
    """
    wanted = {}
    hours = rule.timespan_us // HOUR
    for value in {one[0] for one in seen}:
        at = sorted({hour for name, _, hour in seen if name == value})
        windows = []
        for start in at:
            inside = [one for one in seen if one[0] == value and start <= one[2] < start + hours]
            if len({host for _, host, _ in inside}) >= rule.gte:
                windows.append((start, max(hour for _, _, hour in inside)))
        spans: list[tuple[int, int]] = []
        for first, last in windows:
            if spans and first <= spans[-1][1] + 24:
                spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
            else:
                spans.append((first, last))
        for first, last in spans:
            hosts = {host for name, host, hour in seen if name == value and first <= hour <= last}
            identity = spread_id(rule.id, value, START + first * HOUR)
            wanted[identity] = (first, last, len(hosts))
    return wanted


sightings = st.lists(
    st.tuples(
        st.sampled_from(["1:a", "1:a", "1:b"]),
        st.integers(0, 4),
        st.builds(lambda block, hour: block * 19 + hour, st.integers(0, 4), st.integers(0, 6)),
    ),
    min_size=6,
    max_size=24,
)


@settings(max_examples=60, deadline=None)
@given(sightings, st.integers(1, 5), st.integers(2, 3), st.randoms(use_true_random=False))
def test_outbreaks_are_those_of_the_whole_history(
    seen: list[tuple[str, int, int]], hours: int, gte: int, chance: random.Random
) -> None:
    """Shuffled, in batches, some twice and some late: the same incidents, hours and hosts."""
    rule = counting("fingerprint", hours, gte)
    arrivals = [*seen, *chance.choices(seen, k=3)] if seen else []
    chance.shuffle(arrivals)
    with closing(open_journal(":memory:")) as journal:
        fleet = Fleet(journal, rule)
        while arrivals:
            size = chance.randint(1, 5)
            fleet.batch(arrivals[:size])
            del arrivals[:size]
        assert fleet.live() == oracle(rule, seen)


@settings(max_examples=40, deadline=None)
@given(sightings, st.integers(1, 4), st.integers(2, 4), st.randoms(use_true_random=False))
def test_bursts_are_those_of_the_whole_history(
    seen: list[tuple[str, int, int]], hours: int, gte: int, chance: random.Random
) -> None:
    """The same of programs, whose crashes are counted and not kept."""
    rule = counting("process", hours, gte)
    arrivals = list(seen)
    chance.shuffle(arrivals)
    with closing(open_journal(":memory:")) as journal:
        fleet = Fleet(journal, rule)
        while arrivals:
            size = chance.randint(1, 5)
            rows = [
                noise(value, f"h{host}", hour_us=START + hour * HOUR)
                for value, host, hour in arrivals[:size]
            ]
            del arrivals[:size]
            with journal.transaction():
                journal.count_noise(rows)
                fleet.outbreaks.noise(rows)
                fleet.outbreaks.raise_incidents(fleet.save)
        assert fleet.live() == oracle(rule, seen)


def test_a_report_that_says_something_else_no_longer_counts(journal: Journal) -> None:
    """A cut report has another fingerprint than the whole one: the host counts for the latter."""
    fleet = Fleet(journal, counting("fingerprint", 24, 3))
    fleet.batch([("1:cut", 1, 0), ("1:cut", 2, 0)])
    with journal.transaction():
        row = journal.db.execute("SELECT id FROM matches WHERE host = 'h1'").fetchone()
        head = journal.history().fault(row["id"])
        assert head is not None
        block = Block(head.match, (head.match.text, "more"), True)
        journal.add_report(row["id"], block, CrashReport("memory-fault"), "1:whole")
        fleet.outbreaks.report(row["id"])
    fleet.batch([("1:cut", 3, 1)])
    assert fleet.live() == {}
    fleet.batch([("1:cut", 4, 2)])
    assert [hosts for _, _, hosts in fleet.live().values()] == [3]


def test_another_report_of_the_hour_stands_for_one_that_changed(journal: Journal) -> None:
    """A host that crashed twice so within the hour still counts when one of the two is read
    anew.
    """
    fleet = Fleet(journal, counting("fingerprint", 24, 2))
    with journal.transaction():
        fleet.report("1:a", 1, 0, minute=5)
        fleet.report("1:a", 1, 0, minute=6)
    with journal.transaction():
        first = journal.db.execute("SELECT min(id) AS id FROM matches").fetchone()["id"]
        head = journal.history().fault(first)
        assert head is not None
        block = Block(head.match, (head.match.text, "more"), True)
        journal.add_report(first, block, CrashReport("memory-fault"), "1:b")
        fleet.outbreaks.report(first)
    fleet.batch([("1:a", 2, 1)])
    assert list(fleet.live()) == [spread_id("many-fingerprint", "1:a", START)]


def test_programs_that_are_not_told_apart_are_no_burst(journal: Journal) -> None:
    """Names that stand for all programs count for none, nor does noise without a time."""
    fleet = Fleet(journal, counting("process", 1, 2))
    for process, hour_us in (("(others)", START), ("(unnamed)", START), ("agent", 0)):
        rows = [noise(process, f"h{host}", hour_us=hour_us) for host in range(4)]
        with journal.transaction():
            fleet.outbreaks.noise(rows)
            fleet.outbreaks.raise_incidents(fleet.save)
    assert fleet.live() == {}


def test_hours_that_no_span_holds() -> None:
    """What an incident takes in when it grows over others."""
    whole = HourSpan(0, 9 * HOUR)
    others = [HourSpan(2 * HOUR, 3 * HOUR), HourSpan(6 * HOUR, 6 * HOUR)]
    assert list(whole.without(others)) == [
        HourSpan(0, HOUR),
        HourSpan(4 * HOUR, 5 * HOUR),
        HourSpan(7 * HOUR, 9 * HOUR),
    ]
    assert list(whole.without([whole])) == []


def test_spans_of_a_whole_history() -> None:
    """What `rules test` and the rules' own tests ask."""
    hosts = {0: {"a"}, HOUR: {"b"}, 25 * HOUR: {"a", "b"}, 50 * HOUR: {"a", "b"}, 90 * HOUR: {"a"}}
    assert all_spans(counting("process", 2, 2), hosts) == [
        HourSpan(0, 25 * HOUR),
        HourSpan(50 * HOUR, 50 * HOUR),
    ]


@settings(max_examples=40, deadline=None)
@given(sightings, st.randoms(use_true_random=False))
def test_lone_faults_are_part_of_an_outbreak_that_covers_them(
    seen: list[tuple[str, int, int]], chance: random.Random
) -> None:
    """Whichever comes first: lone faults of a fingerprint and hour that an outbreak covers are part
    of it, the others are incidents of their own.
    """
    many = counting("fingerprint", 3, 3)
    lone = rule("lone", "event_count", ("memory-fault",), 60)
    arrivals = [*seen, *chance.choices(seen, k=3)] if seen else []
    chance.shuffle(arrivals)
    with closing(open_journal(":memory:")) as journal:
        delivery = Delivery(journal, [many, lone])
        while arrivals:
            size = chance.randint(1, 5)
            delivery.reports([crash(*one) for one in arrivals[:size]])
            del arrivals[:size]
        rows = journal.db.execute("SELECT id, rule, host FROM incidents WHERE joined_into IS NULL")
        live = rows.fetchall()
    spans = oracle(many, seen)
    alone = {
        (host, value, hour)
        for value, host, hour in seen
        if not any(
            spread_id(many.id, value, START + first * HOUR) == identity and first <= hour <= last
            for identity, (first, last, _) in spans.items()
        )
    }
    assert {row["id"] for row in live if row["rule"] == many.id} == set(spans)
    assert sorted(row["host"] for row in live if row["rule"] == "lone") == sorted(
        f"h{host}" for host, _, _ in alone
    )


def crash(value: str, host: int, hour: int) -> tuple[Match, str]:
    """A fault that is near no other of its host, and the fingerprint of its report."""
    minute = 7 if value == "1:a" else 37
    head = replace(
        fault("memory-fault", hour * 3_600 + minute * 60, f"h{host}"),
        wall_time_us=START + hour * HOUR + minute * 60_000_000,
        text=f"crash {value} in hour {hour}",
    )
    return head, value


@pytest.mark.parametrize("late", [0, 2, 4])
def test_a_host_between_two_windows_counts(journal: Journal, late: int) -> None:
    """Whenever it comes, also when the incident covers its hour already."""
    fleet = Fleet(journal, counting("fingerprint", 1, 2))
    seen = [("1:a", 1, 0), ("1:a", 2, 0), ("1:a", 1, 19), ("1:a", 2, 19)]
    seen.insert(late, ("1:a", 3, 10))
    for one in seen:
        fleet.batch([one])
    assert list(fleet.live().values()) == [(0, 19, 3)]
