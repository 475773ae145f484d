"""What the tests of rules share: kernel matches, a history that gets them in batches, and an oracle
that sees all of them at once.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import NamedTuple

from detector.catalogue import Rule
from detector.correlator import Correlator
from detector.hooks import RaisedIncident
from detector.isolation import Isolation
from detector.model import Block, Boot, Match
from detector.store import Journal, open_journal
from tests.support.shipped import shipped

SECOND = 1_000_000
FAULT = "memory-fault"
HALF = "tcp-state"
# When the boots of the tests began, by the wall clock.
EPOCHS = {"b1": 1_790_000_000 * SECOND, "b2": 1_790_100_000 * SECOND}


class NoFields(dict[str, str]):
    """Captured fields of a match that can be a member of a set."""

    def __hash__(self) -> int:  # type: ignore[override]
        """Returns the same for all."""
        return 0


def rule(name: str, kind: str, classes: Sequence[str], seconds: int, gte: int = 1) -> Rule:
    """A rule over classes of one host; a pair's anchor is its last class."""
    return Rule(
        id=name,
        title=name,
        type=kind,
        classes=tuple(classes),
        signatures=(),
        anchor="" if kind == "event_count" else classes[-1],
        group_by=("host",),
        timespan_us=seconds * SECOND,
        severity="critical",
        reasoning="",
        gte=gte,
    )


def fault(cls: str, seconds: float, host: str = "db-1", boot: str = "b1") -> Match:
    """A kernel match whose text tells its class, time, host and boot."""
    return Match(
        signature=f"kernel.{cls}",
        cls=cls,
        origin="kernel",
        severity="critical",
        text=f"{cls} at {seconds} on {host} in {boot}",
        fields=NoFields(),
        source="test",
        number=1,
        host=host,
        boot=Boot(id=boot),
        kernel_time_us=round(seconds * SECOND),
        wall_time_us=None,
    )


def line(cls: str, seconds: float, host: str, boot: str, stamped: bool) -> Match:
    """A match of a boot with a known start, which may carry its wall time alone."""
    made = fault(cls, seconds, host, boot)
    epoch_us = EPOCHS[boot]
    assert made.kernel_time_us is not None
    return replace(
        made,
        text=f"{made.text} {'by the kernel' if stamped else 'by the wall'}",
        boot=Boot(id=boot, epoch_us=epoch_us),
        wall_time_us=epoch_us + made.kernel_time_us,
        kernel_time_us=made.kernel_time_us if stamped else None,
    )


def at(one: Match) -> int:
    """A match's time since its boot, in µs."""
    if one.kernel_time_us is not None:
        return one.kernel_time_us
    assert one.wall_time_us is not None
    assert one.boot.epoch_us is not None
    return one.wall_time_us - one.boot.epoch_us


class Raised(NamedTuple):
    """A live incident: its rule, what anchors it, and what it rests on, by their texts."""

    rule: str
    anchor: str
    evidence: frozenset[str]


class Delivery:
    """A history, and the correlator that decides about what is delivered to it."""

    def __init__(self, journal: Journal, rules: Sequence[Rule]) -> None:
        self.journal = journal
        self.told: list[RaisedIncident] = []
        self.isolation = Isolation(journal)
        self.correlator = Correlator(
            shipped(),
            journal,
            self.isolation,
            rules=rules,
            on_incident=lambda finding, _new: self.told.append(finding),
            on_report=lambda *_: None,
        )

    def batch(self, matches: Iterable[Match]) -> None:
        """Stores matches and raises what they make, in one transaction, as the pipeline does."""
        with self.journal.transaction():
            for one in matches:
                stored, new = self.journal.add_match(one)
                if new:
                    self.correlator.add(stored)
            self.correlator.raise_incidents()
        self.isolation.tell()

    def reports(self, faults: Iterable[tuple[Match, str]]) -> None:
        """The same of faults with the fingerprints of their reports, and what hosts share."""
        with self.journal.transaction():
            for one, fingerprint in faults:
                stored, new = self.journal.add_match(one)
                if new:
                    self.correlator.add(stored)
                block = Block(one, (one.text,), complete=True)
                self.journal.add_report(stored.id, block, None, fingerprint)
                self.correlator.seen(stored.id)
            self.correlator.raise_incidents()
            self.correlator.raise_outbreaks()
        self.isolation.tell()

    def live(self) -> set[Raised]:
        """The incidents that are no part of another."""
        query = "SELECT id FROM incidents WHERE joined_into IS NULL"
        found = set()
        for row in self.journal.db.execute(query).fetchall():
            detail = self.journal.history().incident(row["id"])
            assert detail is not None
            made = detail.incident
            found.add(
                Raised(made.rule, made.anchor.text, frozenset(one.text for one in made.evidence))
            )
        return found


def delivered(
    matches: Sequence[Match], rules: Sequence[Rule], chance: random.Random
) -> set[Raised]:
    """The live incidents of matches that come shuffled, some twice, in batches of any size."""
    arrivals = [*matches, *chance.choices(matches, k=3)] if matches else []
    chance.shuffle(arrivals)
    with closing(open_journal(":memory:")) as journal:
        delivery = Delivery(journal, rules)
        while arrivals:
            size = chance.randint(1, 4)
            delivery.batch(arrivals[:size])
            del arrivals[:size]
        return delivery.live()


def near(a: Match, b: Match, span_us: int) -> bool:
    """Whether two matches are of one host and boot and lie within a span."""
    return (a.host, a.boot) == (b.host, b.boot) and abs(at(a) - at(b)) <= span_us


def united(groups: Iterable[set[Match]]) -> list[set[Match]]:
    """Sets that share a member, put together."""
    whole: list[set[Match]] = []
    for group in groups:
        apart = [other for other in whole if not other & group]
        whole = [*apart, group.union(*(other for other in whole if other & group))]
    return whole


def counted(rule: Rule, matches: Sequence[Match]) -> list[set[Match]]:
    """The incidents of a counting rule, from the whole history: every timespan that begins at a
    match and holds enough of them is one, and those that share a match are one.
    """
    events = [one for one in matches if one.cls in rule.classes]
    windows = [
        {other for other in events if near(one, other, rule.timespan_us) and not before(other, one)}
        for one in events
    ]
    return united(window for window in windows if len(window) >= rule.gte)


def pairs(rule: Rule, matches: Sequence[Match]) -> list[set[Match]]:
    """The incidents of a pair rule: faults with a half within the timespan, and their cascades."""
    faults = [one for one in matches if one.cls == rule.anchor]
    groups = []
    for one in faults:
        close = {other for other in matches if near(one, other, rule.timespan_us)}
        if any(other.cls == HALF for other in close):
            groups.append({other for other in close if other.cls in rule.classes})
    return united(groups)


def raised(rule: Rule, group: set[Match]) -> Raised:
    """An incident of the oracle, anchored at its earliest match, or its earliest paired fault."""
    anchors = [one for one in group if one.cls == rule.anchor or not rule.anchor]
    if rule.anchor:
        halves = [one for one in group if one.cls == HALF]
        anchors = [
            one for one in anchors if any(near(one, half, rule.timespan_us) for half in halves)
        ]
    first = min(anchors, key=lambda one: (at(one), one.text))
    return Raised(rule.id, first.text, frozenset(one.text for one in group))


def before(a: Match, b: Match) -> bool:
    """Whether a match is earlier than another."""
    return at(a) < at(b)
