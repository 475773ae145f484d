"""Families of a batch: matches that make one incident together, found from any of them.

A batch finds the matches related to each of its matches; sets that share a match, or an incident,
are one family.

In: a rule and the matches related to one match, as often as matches come. Out: families, each to be
raised once, however many matches it has: a storm of faults costs what its matches cost, not a new
incident for each. Decides nothing about what makes an incident; does no IO.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from detector.catalogue import Rule
from detector.correlate import StoredMatch


@dataclass(slots=True, eq=False)
class Family:
    """Matches that make one incident of a rule, by id; `incidents` are the live ones that some
    of them are evidence of already.
    """

    rule: Rule
    members: dict[int, StoredMatch] = field(default_factory=dict)
    incidents: set[str] = field(default_factory=set)

    def take(self, other: Family) -> None:
        """Takes all of another family in."""
        self.members |= other.members
        self.incidents |= other.incidents


class Families:
    """The families of one batch."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, int | str], Family] = {}

    def add(self, rule: Rule, related: Sequence[StoredMatch]) -> None:
        """Adds the matches related to one: a new family, or a part of those that share a match."""
        incidents = {
            stored_match.incidents[rule.id]
            for stored_match in related
            if rule.id in stored_match.incidents
        }
        new = Family(rule, {stored_match.id: stored_match for stored_match in related}, incidents)
        near = {
            id(family): family for key in _keys(new) if (family := self._of.get(key)) is not None
        }
        whole = max(near.values(), key=lambda family: len(family.members), default=new)
        for family in (*near.values(), new):
            if family is not whole:
                whole.take(family)
                self._of |= dict.fromkeys(_keys(family), whole)
        if not near:
            self._of |= dict.fromkeys(_keys(new), new)

    def take(self) -> list[Family]:
        """All families since the last call, in the order of their first matches."""
        families = list({id(family): family for family in self._of.values()}.values())
        self._of = {}
        return families


def _keys(family: Family) -> Iterable[tuple[str, int | str]]:
    rule = family.rule.id
    yield from ((rule, member) for member in family.members)
    yield from ((rule, incident) for incident in family.incidents)
