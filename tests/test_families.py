"""Kin that share a match or an incident are one family, whatever the order in which they come."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from detector.correlate import StoredMatch
from detector.families import Families
from tests.support.nouns import match
from tests.support.shipped import shipped

RULE, OTHER = shipped().rules[0], replace(shipped().rules[0], id="another")
KIN = st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=4, unique=True), max_size=15)


def stored(number: int) -> StoredMatch:
    """A match; each fifth is evidence of an incident that it shares with the next."""
    return StoredMatch(
        number, match(), {RULE.id: f"incident-{number // 10}"} if number % 5 == 0 else {}
    )


def together(kin: list[list[int]]) -> set[frozenset[int]]:
    """What belongs together, found the plain way."""
    groups: list[set[int]] = []
    for one in kin:
        near = [group for group in groups if any(linked(a, b) for a in one for b in group)]
        groups = [group for group in groups if group not in near] + [set(one).union(*near)]
    return {frozenset(group) for group in groups}


def linked(a: int, b: int) -> bool:
    """The same match, or evidence of the same incident."""
    return a == b or (a % 5 == b % 5 == 0 and a // 10 == b // 10)


@given(KIN)
def test_what_shares_anything_is_one_family(kin: list[list[int]]) -> None:
    """As a plain search through all groups says; incidents are those of the members."""
    families = Families()
    for one in kin:
        families.add(RULE, [stored(number) for number in one])
    taken = families.take()
    assert {frozenset(family.members) for family in taken} == together(kin)
    for family in taken:
        assert family.incidents == {
            f"incident-{number // 10}" for number in family.members if number % 5 == 0
        }
    assert families.take() == []


def test_rules_do_not_share_families() -> None:
    """The same matches may make an incident of each rule."""
    families = Families()
    for rule in (RULE, OTHER):
        families.add(rule, [stored(1), stored(2)])
    assert [family.rule.id for family in families.take()] == [RULE.id, "another"]
