"""Rules that count, against an oracle that sees the whole history, under every delivery."""

from __future__ import annotations

import random
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.model import Match
from detector.store import open_journal
from tests.rules.worlds import (
    FAULT,
    HALF,
    Delivery,
    Raised,
    counted,
    delivered,
    fault,
    line,
    pairs,
    raised,
    rule,
)
from tests.support.rules import LONE, PAIR

matches = st.lists(
    st.builds(
        line,
        st.sampled_from([FAULT, FAULT, "panic", "warning", HALF]),
        st.integers(0, 40).map(lambda step: step * 2.5),
        st.sampled_from(["db-1", "db-1", "db-2"]),
        st.sampled_from(["b1", "b2"]),
        st.sampled_from([True, True, False]),
    ),
    max_size=16,
    unique_by=lambda one: one.text,
)
chances = st.randoms(use_true_random=False)


@settings(max_examples=60, deadline=None)
@given(matches, st.integers(2, 5), chances)
def test_a_count_is_that_of_the_whole_history(
    history: list[Match], gte: int, chance: random.Random
) -> None:
    """Shuffled, in batches, some twice: the same incidents, with the same anchors and evidence."""
    count = rule("count", "event_count", (FAULT, "panic"), 12, gte)
    wanted = {raised(count, group) for group in counted(count, history)}
    assert delivered(history, [count], chance) == wanted


def lone_oracle(history: list[Match]) -> set[Raised]:
    """Pairs, and the lone faults that are near each other where no pair rests on one of them. What
    is lone and near a fault of a pair is evidence of the pair.
    """
    paired, alone = pairs(PAIR, history), lone_groups(history)
    kept = {raised(LONE, group) for group in alone if not any(group & pair for pair in paired)}
    return {Raised("pair", raised(PAIR, group).anchor, frozenset()) for group in paired} | kept


def lone_groups(history: list[Match]) -> list[set[Match]]:
    """Lone faults, those within a timespan of each other together."""
    return counted(LONE, history)


@settings(max_examples=60, deadline=None)
@given(matches, chances)
def test_a_lone_fault_is_part_of_a_pair_that_rests_on_it(
    history: list[Match], chance: random.Random
) -> None:
    """Whichever comes first, there is one live incident; pairs are as they are without lone
    faults.
    """
    found = delivered(history, [PAIR, LONE], chance)
    shown = {one._replace(evidence=frozenset()) if one.rule == "pair" else one for one in found}
    assert shown == lone_oracle(history)
    # Nothing that a lone rule or a pair asks for is left out of all incidents.
    told = {text for one in found for text in one.evidence}
    assert {one.text for one in history if one.cls in LONE.classes} <= told


@pytest.mark.parametrize("first", [FAULT, HALF])
def test_one_incident_whichever_half_comes_first(first: str) -> None:
    """The lone fault's incident becomes a part of the pair's, or is one from the start."""
    halves = [fault(HALF, 100), fault(FAULT, 104)]
    with closing(open_journal(":memory:")) as journal:
        delivery = Delivery(journal, [PAIR, LONE])
        for one in sorted(halves, key=lambda one: one.cls != first):
            delivery.batch([one])
        (live,) = delivery.live()
        assert live == Raised("pair", halves[1].text, frozenset(one.text for one in halves))
        last = delivery.told[-1].incident
        assert last.rule == "pair"
        assert len(last.joined) == (1 if first == FAULT else 0)
        assert [one.incident.rule for one in delivery.told] == (
            ["lone", "pair"] if first == FAULT else ["pair"]
        )


def test_a_fault_alone_has_no_other_half() -> None:
    """No gap is told where there is none; the clock is that of the line."""
    with closing(open_journal(":memory:")) as journal:
        delivery = Delivery(journal, [LONE])
        delivery.batch([fault("panic", 7)])
        (made,) = [finding.incident for finding in delivery.told]
        assert (made.nearest, made.gap_us, made.time_basis) == (None, 0, "kernel")
        stored = journal.history().incident(made.id)
        assert stored is not None
        assert stored.incident == made


def test_late_evidence_between_two_joins_them_under_the_earlier() -> None:
    """The identity is the earliest match's; the join is recorded."""
    count = rule("count", "event_count", (FAULT,), 10, 2)
    with closing(open_journal(":memory:")) as journal:
        delivery = Delivery(journal, [count])
        delivery.batch(fault(FAULT, at) for at in (100, 105, 120, 125))
        early, late = (finding.incident for finding in delivery.told)
        delivery.batch([fault(FAULT, 112)])
        last = delivery.told[-1].incident
        assert (last.id, last.joined) == (early.id, (late.id,))
        (live,) = delivery.live()
        assert len(live.evidence) == 5


def test_a_storm_is_one_incident() -> None:
    """More matches than the store shows as neighbours, in any order: one incident, its first line
    the anchor.
    """
    count = rule("count", "event_count", (FAULT,), 30, 16)
    storm = [fault(FAULT, at) for at in range(400)]
    chance = random.Random(7)
    (live,) = delivered(storm, [count], chance)
    assert live.anchor == storm[0].text
    assert len(live.evidence) == len(storm)
