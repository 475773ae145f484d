"""A stored match and its neighbours → incidents.

The history is the correlator's memory; this module only decides.

In: a rule, the match that was just stored, the matches stored near it. Out: the related matches
that make an incident, and the incident that they make. Any order of arrival gives the same
incidents: a fault is paired when the rule's other halves lie within the timespan of it; paired
faults that share evidence are one incident, anchored at the earliest paired fault. A rule that
counts takes as many matches within one timespan as it asks for; windows that share a match are one
incident, anchored at the earliest match. Keeps no window and no clock, and does no IO.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from detector.model import Incident, Match, TimeBasis
from detector.same_boot import NO_BANNERS, BootEvidence, known_name

if TYPE_CHECKING:
    from detector.catalogue import Rule

# Evidence beyond this is stored and counted, but not looked through again for every further fault
# of a storm.
EVIDENCE_LIMIT = 200


@dataclass(frozen=True, slots=True)
class StoredMatch:
    """A match in the history. `incidents` names, by rule, the live incident that it is evidence
    of; `refined` says that a copy told its kernel time, which was rounded, more exactly.
    """

    id: int
    match: Match
    incidents: Mapping[str, str] = field(default_factory=dict)
    refined: bool = False


def reach_us(rule: Rule) -> int:
    """Returns how far from a new match the neighbours matter: a half may complete a fault one
    timespan away, and that one's other halves; what is counted lies in one timespan with it.
    """
    return rule.timespan_us if rule.type == "event_count" else 2 * rule.timespan_us


def terms(rule: Rule) -> tuple[str, ...]:
    """Returns what a rule asks for, in its order: classes or signatures."""
    return rule.classes or rule.signatures


def concerns(rule: Rule, match: Match) -> bool:
    """Returns whether the rule asks for such a match."""
    return _term(rule, match) in terms(rule)


def related_to(
    rule: Rule,
    new: StoredMatch,
    neighbours: Iterable[StoredMatch],
    boots: BootEvidence = NO_BANNERS,
) -> tuple[StoredMatch, ...]:
    """The matches that `new` makes one incident with (itself among them), or nothing.

    `neighbours` holds at least the matches of the same host within `reach_us(rule)`; those of other
    boots are left out here.
    """
    if not concerns(rule, new.match):
        return ()
    near = [other for other in neighbours if other.id != new.id and concerns(rule, other.match)]
    near = [other for other in near if boots.same_boot(new.match, other.match)]
    if rule.type == "event_count":
        return _counted_together(rule, new, near)
    faults = [other for other in (new, *near) if _term(rule, other.match) == rule.anchor]
    stored_by_id: dict[int, StoredMatch] = {}
    for fault in faults:
        if fault is not new and not _within(rule, fault.match, new.match):
            continue
        halves = partners(rule, fault, (new, *near), boots)
        if halves:
            cascade = [other for other in faults if _within(rule, fault.match, other.match)]
            stored_by_id |= {item.id: item for item in (fault, *halves, *cascade)}
    return tuple(stored_by_id.values()) if new.id in stored_by_id else ()


def _counted_together(
    rule: Rule, new: StoredMatch, near: Iterable[StoredMatch]
) -> tuple[StoredMatch, ...]:
    """The matches in the windows that `new` completes or extends: each of `gte` matches next to
    each other, itself among them, within one timespan.

    One match is enough for a lone rule; then the next one within a timespan belongs to it.
    """
    timed = [(other, gap(new.match, other.match)) for other in near]
    offsets = [
        (0, new.id, new),
        *((apart[0], stored.id, stored) for stored, apart in timed if apart),
    ]
    offsets.sort(key=lambda offset: offset[:2])
    at, size = offsets.index((0, new.id, new)), max(rule.gte, 2)
    starts = [
        start
        for start in range(max(0, at - size + 1), min(at, len(offsets) - size) + 1)
        if offsets[start + size - 1][0] - offsets[start][0] <= rule.timespan_us
    ]
    if not starts:
        return (new,) if rule.is_lone else ()
    return tuple(stored for _, _, stored in offsets[starts[0] : starts[-1] + size])


def partners(
    rule: Rule,
    fault: StoredMatch,
    near: Iterable[StoredMatch],
    boots: BootEvidence = NO_BANNERS,
) -> tuple[StoredMatch, ...]:
    """The matches that complete the rule around one fault: every term within one timespan, in
    the rule's order where it has one.
    """
    counts = {term: 0 for term in terms(rule) if term != rule.anchor}
    pair = (
        rule.type == "temporal" and len(counts) == 1
    )  # then each match of the other term completes the rule by itself
    offsets = []
    for other in near:
        if other.id == fault.id or (pair and _term(rule, other.match) == rule.anchor):
            continue
        apart = gap(fault.match, other.match)
        if (
            apart is not None
            and -rule.timespan_us <= apart[0] <= rule.timespan_us
            and boots.same_boot(fault.match, other.match)
        ):
            offsets.append((apart[0], other))
    if pair:
        return tuple(other for _, other in offsets)
    offsets.sort(key=lambda offset: offset[0])
    stored_by_id: dict[int, StoredMatch] = {}
    first = past = taken = 0
    for start in (*sorted({offset for offset, _ in offsets if offset < 0}), 0):
        past = _count(rule, offsets, past, start + rule.timespan_us + 1, counts, 1)
        first = _count(rule, offsets, first, start, counts, -1)
        if all(counts.values()) and (
            rule.type == "temporal" or _complete(rule, offsets[first:past])
        ):
            taken = max(taken, first)
            stored_by_id |= {
                other.id: other
                for _, other in offsets[taken:past]
                if _term(rule, other.match) != rule.anchor
            }
            taken = past
    return tuple(stored_by_id.values())


def _count(
    rule: Rule,
    offsets: Sequence[tuple[int, StoredMatch]],
    at: int,
    until: int,
    counts: dict[str, int],
    step: int,
) -> int:
    """Counts the terms of the matches from `at` up to the offset `until` in or out of a window;
    returns where its edge is now.
    """
    while at < len(offsets) and offsets[at][0] < until:
        term = _term(rule, offsets[at][1].match)
        if term in counts:
            counts[term] += step
        at += 1
    return at


def gap(a: Match, b: Match) -> tuple[int, TimeBasis] | None:
    """b − a in µs: by kernel time where both have it, else by wall time, else None."""
    if a.kernel_time_us is not None and b.kernel_time_us is not None:
        return b.kernel_time_us - a.kernel_time_us, "kernel"
    if a.wall_time_us is not None and b.wall_time_us is not None:
        return b.wall_time_us - a.wall_time_us, "wall"
    return None


def assemble_incident(
    rule: Rule,
    evidence: Sequence[StoredMatch],
    known: Iterable[str] = (),
    boots: BootEvidence = NO_BANNERS,
) -> Incident | None:
    """The incident that evidence makes; `known` names the live incidents which it was evidence
    of: all but the new identity are joined.
    """
    ordered = in_order(evidence)
    if rule.type == "event_count":
        return _counted_incident(rule, ordered, set(known), boots)
    for fault in ordered:
        if _term(rule, fault.match) != rule.anchor:
            continue
        halves = partners(rule, fault, ordered, boots)
        if halves:
            return _incident(rule, fault, halves, ordered, set(known), boots)
    return None


def _counted_incident(
    rule: Rule, ordered: Sequence[StoredMatch], known: set[str], boots: BootEvidence
) -> Incident | None:
    """The incident of a counting rule: its first window begins at the match that anchors it."""
    events = [stored_match for stored_match in ordered if concerns(rule, stored_match.match)]
    for first, last in zip(events, events[rule.gte - 1 :], strict=False):
        if first is last or _within(rule, first.match, last.match):
            return _incident(rule, first, events, events, known, boots)
    return None


def _incident(
    rule: Rule,
    fault: StoredMatch,
    halves: Sequence[StoredMatch],
    ordered: Sequence[StoredMatch],
    known: set[str],
    boots: BootEvidence,
) -> Incident:
    anchor = fault.match
    host = known_name(
        anchor.host, (stored_match.match.host for stored_match in ordered), boots.unnamed
    )
    nearest = nearest_half(anchor, [half.match for half in halves])
    apart = (gap(anchor, nearest) if nearest else None) or _alone(anchor)
    # Machines without a name share it: their incidents are those of the names that they get.
    identity = incident_id(rule.id, replace(anchor, host=host))
    starts = [
        stored_match.match.wall_time_us
        for stored_match in ordered
        if stored_match.match.wall_time_us is not None
    ]
    return Incident(
        id=identity,
        rule=rule.id,
        severity=rule.severity,
        host=host,
        boot=boot_name(anchor),
        time_basis=apart[1],
        gap_us=abs(apart[0]),
        started_us=min(starts, default=None),
        anchor=anchor,
        evidence=tuple(stored_match.match for stored_match in ordered),
        joined=tuple(sorted(known - {identity})),
        nearest=nearest,
    )


def _alone(match: Match) -> tuple[int, TimeBasis]:
    """The distance of a match to nothing, and the clock that its time is told by."""
    return 0, "wall" if match.kernel_time_us is None else "kernel"


def nearest_half(anchor: Match, evidence: Iterable[Match]) -> Match | None:
    """Returns the match of another class that is nearest to the anchor, else of its own class."""
    others = [item for item in evidence if item != anchor]
    halves = [other for other in others if other.cls != anchor.cls] or others
    timed = [(abs(apart[0]), halve) for halve in halves if (apart := gap(anchor, halve))]
    return min(timed, key=lambda pair: pair[0])[1] if timed else None


def incident_id(rule: str, anchor: Match) -> str:
    """The same crash, shipped by two transports or replayed, has one identity: rule, host,
    kernel time and text of the anchoring fault.
    """
    time = (
        anchor.kernel_time_us
        if anchor.kernel_time_us is not None
        else f"wall {anchor.wall_time_us}"
    )
    spelled = "\0".join((rule, anchor.host, str(time), anchor.text.strip()))
    return hashlib.sha256(spelled.encode(errors="surrogatepass")).hexdigest()[:16]


def boot_name(match: Match) -> str:
    """A boot in words that stay the same: journald's id, the second it began at (`epoch:…`),
    or its count within a stream.
    """
    if match.boot.id:
        return match.boot.id
    if match.boot.epoch_us is not None:
        return f"epoch:{match.boot.epoch_us // 1_000_000}"
    return f"{match.boot.stream}#{match.boot.count}"


def in_order(evidence: Iterable[StoredMatch]) -> tuple[StoredMatch, ...]:
    """Sorts matches by kernel time; a match without one is put in by its wall time against the
    boot's start that the others tell.
    """
    matches = list(evidence)
    epoch = min(
        (item.match.boot.epoch_us for item in matches if item.match.boot.epoch_us is not None),
        default=0,
    )

    def time(stored_match: StoredMatch) -> tuple[int, str, str]:
        match = stored_match.match
        if match.kernel_time_us is not None:
            return match.kernel_time_us, match.text, match.host
        return (match.wall_time_us or 0) - epoch, match.text, match.host

    return tuple(sorted(matches, key=time))


def _term(rule: Rule, match: Match) -> str:
    return match.cls if rule.classes else match.signature


def _within(rule: Rule, a: Match, b: Match) -> bool:
    apart = gap(a, b)
    return apart is not None and abs(apart[0]) <= rule.timespan_us


def _complete(rule: Rule, window: Sequence[tuple[int, StoredMatch]]) -> bool:
    """Returns whether a window (offsets from the fault) holds every other term in the rule's
    order.
    """
    reached = -(1 << 62)
    for term in terms(rule):
        offsets = (
            [0]
            if term == rule.anchor
            else sorted(offset for offset, other in window if _term(rule, other.match) == term)
        )
        following = bisect_left(offsets, reached)
        if following == len(offsets):
            return False
        reached = offsets[following]
    return True
