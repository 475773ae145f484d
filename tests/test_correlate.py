"""The correlator against an oracle that sees everything at once, in every order of arrival."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.catalogue import Rule
from detector.correlate import (
    StoredMatch,
    assemble_incident,
    gap,
    incident_id,
    partners,
    reach_us,
    related_to,
)
from detector.model import Boot, Incident, Match
from detector.same_boot import same_boot
from tests.support.matches import SECOND, match

RULE = Rule(
    id="pair",
    title="a pair",
    type="temporal",
    classes=("tcp-state", "memory-fault"),
    signatures=(),
    anchor="memory-fault",
    group_by=("host",),
    timespan_us=10 * SECOND,
    severity="critical",
    reasoning="",
)


class Memory:
    """The store's part, by brute force: matches, which incident they are evidence of, live
    incidents.
    """

    def __init__(self, rule: Rule = RULE) -> None:
        self.rule = rule
        self.matches: dict[int, StoredMatch] = {}
        self.incidents: dict[str, Incident] = {}
        self.joins: list[tuple[str, str]] = []

    def add(self, new: Match) -> None:
        """Stores one match and lets the correlator decide, as the service does."""
        if any(
            old.match.text == new.text and old.match.host == new.host
            for old in self.matches.values()
        ):
            return
        stored = StoredMatch(len(self.matches), new)
        self.matches[stored.id] = stored
        reach = reach_us(self.rule)
        neighbours = [
            other
            for other in self.matches.values()
            if other.match.host == new.host
            and abs((gap(other.match, new) or (reach + 1, "kernel"))[0]) <= reach
        ]
        family = related_to(self.rule, stored, neighbours)
        known = {one.incidents[self.rule.id] for one in family if self.rule.id in one.incidents}
        older = [one for one in self.matches.values() if one.incidents.get(self.rule.id) in known]
        evidence = {one.id: one for one in (*older, *family)}
        incident = assemble_incident(self.rule, tuple(evidence.values()), known) if family else None
        if incident is None:
            return
        for identity in evidence:
            self.matches[identity] = replace(
                self.matches[identity], incidents={self.rule.id: incident.id}
            )
        for joined in incident.joined:
            del self.incidents[joined]
            self.joins.append((joined, incident.id))
        self.incidents[incident.id] = incident


def oracle(matches: list[Match]) -> set[frozenset[str]]:
    """All incidents as sets of evidence texts, from the whole history at once: paired faults that
    share evidence are one.
    """
    groups: list[set[str]] = []
    span = RULE.timespan_us

    def near(a: Match, b: Match) -> bool:
        apart = gap(a, b)
        return a.host == b.host and same_boot(a, b) and apart is not None and abs(apart[0]) <= span

    faults = [one for one in matches if one.cls == "memory-fault"]
    for fault in faults:
        halves = {
            other.text for other in matches if other.cls == "tcp-state" and near(fault, other)
        }
        if not halves:
            continue
        group = halves | {other.text for other in faults if near(fault, other)}
        for other in [old for old in groups if old & group]:
            groups.remove(other)
            group |= other
        groups.append(group)
    return {frozenset(group) for group in groups}


times = st.integers(0, 60).map(lambda tenths: tenths * 0.9)
kernel_matches = st.builds(
    match,
    cls=st.sampled_from(["tcp-state", "memory-fault", "memory-fault", "warning"]),
    seconds=times,
    host=st.sampled_from(["db-1", "db-2"]),
    boot=st.sampled_from([Boot(id="b1"), Boot(id="b2")]),
).map(lambda one: replace(one, text=f"{one.text} {one.host} {one.boot.id}"))


@settings(max_examples=300)
@given(st.lists(kernel_matches, max_size=14), st.randoms(use_true_random=False))
def test_any_order_and_any_repeats_give_what_the_whole_history_gives(
    matches: list[Match], chance: random.Random
) -> None:
    """The incidents do not depend on the order of arrival, nor on duplicates."""
    unique = list({one.text: one for one in matches}.values())
    arrivals = unique + chance.choices(unique, k=3) if unique else []
    chance.shuffle(arrivals)
    memory = Memory()
    for one in arrivals:
        memory.add(one)
    assert {
        frozenset(one.text for one in incident.evidence) for incident in memory.incidents.values()
    } == oracle(unique)
    again = Memory()
    for one in unique:
        again.add(one)
    assert set(memory.incidents) == set(again.incidents)


def raised(*matches: Match, rule: Rule = RULE) -> list[Incident]:
    """The incidents of matches in this order."""
    memory = Memory(rule)
    for one in matches:
        memory.add(one)
    return list(memory.incidents.values())


@pytest.mark.parametrize("first", ["tcp-state", "memory-fault"])
def test_either_half_may_come_first_and_the_later_one_raises(first: str) -> None:
    """Order of arrival and order in time are both free for a temporal rule."""
    halves = [match("tcp-state", 100.0), match("memory-fault", 109.999999)]
    (incident,) = raised(*(halves if first == "tcp-state" else halves[::-1]))
    assert (incident.gap_us, incident.time_basis) == (9_999_999, "kernel")
    assert [one.cls for one in incident.evidence] == ["tcp-state", "memory-fault"]


def test_the_window_is_exact_to_the_microsecond() -> None:
    """Ten seconds are in, one microsecond more is out."""
    assert len(raised(match("tcp-state", 100.0), match("memory-fault", 110.0))) == 1
    assert raised(match("tcp-state", 100.0), match("memory-fault", 110.000001)) == []


def test_two_boots_and_two_hosts_never_join() -> None:
    """The same uptime on another boot or another host is no neighbour."""
    assert raised(match("tcp-state", 100.0), match("memory-fault", 100.5, boot=Boot(id="b2"))) == []
    assert raised(match("tcp-state", 100.0), match("memory-fault", 100.5, host="db-2")) == []


def test_a_second_fault_is_a_cascade_of_the_first() -> None:
    """A cascade belongs to the first fault's incident, whatever arrives first."""
    release, fault, cascade = (
        match("tcp-state", 100.0),
        match("memory-fault", 101.0),
        match("memory-fault", 110.5),
    )
    for order in ((release, fault, cascade), (cascade, fault, release), (cascade, release, fault)):
        (incident,) = raised(*order)
        assert incident.anchor == fault
        assert incident.evidence == (release, fault, cascade)


def test_late_evidence_that_joins_two_incidents_is_recorded() -> None:
    """Two incidents become one under the earliest fault's identity, and the join names the
    other.
    """
    memory = Memory()
    for one in (
        match("tcp-state", 90.0),
        match("memory-fault", 100.0),
        match("tcp-state", 119.0),
        match("memory-fault", 118.0),
    ):
        memory.add(one)
    assert len(memory.incidents) == 2
    memory.add(match("tcp-state", 109.0))
    (incident,) = memory.incidents.values()
    assert incident.anchor.kernel_time_us == 100 * SECOND
    assert incident.joined == (incident_id("pair", match("memory-fault", 118.0)),)


def test_wall_time_decides_where_a_half_has_no_kernel_time_and_says_so() -> None:
    """Without kernel time on one half the wall clocks are compared."""
    release = match("tcp-state", None, boot=Boot(stream="s"), wall=1000.0)
    fault = match("memory-fault", 500.0, boot=Boot(epoch_us=504 * SECOND), wall=1004.0)
    (incident,) = raised(release, fault)
    assert (incident.time_basis, incident.gap_us) == ("wall", 4 * SECOND)
    assert raised(release, replace(fault, wall_time_us=1011 * SECOND)) == []
    assert raised(replace(release, wall_time_us=None), fault) == []


def test_an_ordered_rule_asks_for_its_order() -> None:
    """temporal_ordered: the first class must not come after the second in time."""
    ordered = replace(RULE, type="temporal_ordered")
    assert len(raised(match("tcp-state", 100.0), match("memory-fault", 104.0), rule=ordered)) == 1
    assert raised(match("tcp-state", 104.0), match("memory-fault", 100.0), rule=ordered) == []


def test_three_terms_must_fit_into_one_timespan() -> None:
    """All terms within one window, not each one near the fault."""
    rule = replace(RULE, classes=("tcp-state", "warning", "memory-fault"))
    assert (
        len(
            raised(
                match("tcp-state", 95.0),
                match("warning", 105.0),
                match("memory-fault", 100.0),
                rule=rule,
            )
        )
        == 1
    )
    assert (
        raised(
            match("tcp-state", 94.0),
            match("warning", 105.0),
            match("memory-fault", 100.0),
            rule=rule,
        )
        == []
    )


def test_partners_are_the_other_halves_only() -> None:
    """Faults of the anchor's own class are no partners."""
    fault = StoredMatch(1, match("memory-fault", 100.0))
    others = [
        StoredMatch(2, match("memory-fault", 101.0)),
        StoredMatch(3, match("tcp-state", 99.0)),
    ]
    assert [one.id for one in partners(RULE, fault, others)] == [3]


def test_identity_is_the_fault_not_the_transport() -> None:
    """Source, boot and wall time do not enter the identity; host, rule, kernel time and text do."""
    fault = match("memory-fault", 100.0, text="Unable")
    other = replace(fault, source="elsewhere", number=9, boot=Boot(epoch_us=5), wall_time_us=7)
    assert incident_id("pair", fault) == incident_id("pair", other)
    changed = [
        replace(fault, host="x"),
        replace(fault, kernel_time_us=1),
        replace(fault, text="BUG"),
    ]
    assert (
        len({incident_id("pair", one) for one in (fault, *changed)} | {incident_id("other", fault)})
        == 5
    )
