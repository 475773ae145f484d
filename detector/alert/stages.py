"""Stages between a change of an incident and a message: filter, route, silence, group.

In: changes, the routing, silences, the groups there are, the time. Out: routed changes, each with
the group whose message reports it, or with the reason why nobody is notified. Pure: no IO, no
clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from detector.alert.groups import GroupBook
from detector.alert.routing import Routing, RoutingFacts, why_quiet
from detector.clock import HOUR_US
from detector.store.alert_rows import FollowedChange
from detector.store.query.notifications import SilenceRow


@dataclass(frozen=True, slots=True)
class Windows:
    """Time windows in µs.

    Incidents of one problem join one group while its last one is at most `group_us` old; those
    without a report, which only their rule holds together, while it is `kindless_us` old. Changes
    older than `stale_us` are sent to nobody.
    """

    group_us: int
    kindless_us: int
    stale_us: int


@dataclass(frozen=True, slots=True)
class RoutedChange:
    """One change, for one receiver once it is routed.

    `why` is the reason why it is sent, or why it ended.
    """

    change: FollowedChange
    receiver: str | None = None
    team: str | None = None
    group_id: int | None = None
    ended: bool = False
    why: str = ""

    def end(self, why: str) -> RoutedChange:
        """Ends here: nobody, or not this receiver, is notified."""
        return replace(self, ended=True, why=why)


@dataclass(slots=True)
class StageContext:
    """State that the stages work with: groups (which they change), routing, windows, time,
    silences.
    """

    groups: GroupBook
    routing: Routing
    windows: Windows
    now_us: int
    silences: Sequence[SilenceRow] = field(default_factory=tuple)


Stage = Callable[[StageContext, RoutedChange], Iterable[RoutedChange]]


def facts_of(change: FollowedChange) -> RoutingFacts:
    """Facts by which routes are chosen, of the change's incident as it is now."""
    return RoutingFacts(
        change.host,
        change.rule,
        change.severity,
        change.fingerprint,
        change.known_issue,
    )


def drop_old(context: StageContext, case: RoutedChange) -> Iterable[RoutedChange]:
    """Drops notes, changes of incidents that were joined into another one, and stale changes."""
    change = case.change
    if change.what == "noted":
        yield case.end("a note: it is kept in the history")
    elif change.what == "joined":
        for group in context.groups.of(change.incident_id):
            context.groups.leave(group, change)
            yield replace(
                case,
                receiver=group.receiver,
                group_id=group.id,
                why=f"it became part of {change.joined_into}",
            )
        yield case.end(f"told under {change.joined_into}, which it became part of")
    elif change.joined_into:
        yield case.end(f"told under {change.joined_into}, which it became part of")
    elif context.now_us - change.at_us > context.windows.stale_us:
        yield case.end(
            f"it was {(context.now_us - change.at_us) // HOUR_US} h old when it was looked "
            "at: longer than alert.give_up_s"
        )
    else:
        yield case


def route(context: StageContext, case: RoutedChange) -> Iterable[RoutedChange]:
    """Chooses receivers: by the routes for new incidents and evidence, and for changes of state
    those that were notified of the incident.
    """
    change = case.change
    if case.group_id is not None:
        yield case
        return
    if change.what in ("acknowledged", "resolved"):
        groups = [
            group
            for group in context.groups.of(change.incident_id)
            if group.receiver in context.routing.receivers
        ]
        if not groups:
            yield case.end("nobody was told of the incident")
        for group in groups:
            yield replace(case, receiver=group.receiver, group_id=group.id, why=_because(change))
        return
    assigned = context.routing.assign(facts_of(change))
    if not assigned:
        yield case.end(context.routing.why_nobody(facts_of(change)))
    for assignment in assigned:
        yield replace(
            case,
            receiver=assignment.receiver,
            team=assignment.team,
            why=f"{_because(change)}, by the route at {assignment.place}",
        )


def silence(context: StageContext, case: RoutedChange) -> Iterable[RoutedChange]:
    """Applies maintenance and silences; the end of a notified incident is sent all the same."""
    why = (
        None
        if case.group_id is not None
        else why_quiet(facts_of(case.change), context.routing, context.silences, context.now_us)
    )
    yield case if why is None else case.end(why)


def group(context: StageContext, case: RoutedChange) -> Iterable[RoutedChange]:
    """Chooses the incident's group: its own, that of one joined into it, the latest of its
    problem, or a new one.
    """
    if case.group_id is not None:
        yield case
        return
    change, groups, why = case.change, context.groups, case.why
    assert case.receiver is not None
    own = groups.of_receiver(change.incident_id, case.receiver)
    if own is not None:
        yield replace(case, group_id=own.id)
        return
    chosen = groups.inherited(change.incident_id, case.receiver)
    if chosen is None:
        scope, window = _scope(context, case.receiver, change)
        chosen = groups.latest(case.receiver, scope, change.at_us - window)
        if chosen is None:
            chosen = groups.open(case.receiver, scope, case.team, change)
        else:
            why += f"; folded into the group of {chosen.leader}"
    groups.join(chosen, change)
    yield replace(case, group_id=chosen.id, why=why)


STAGES: tuple[Stage, ...] = (drop_old, route, silence, group)


def run_stages(
    context: StageContext, change: FollowedChange, stages: Sequence[Stage] = STAGES
) -> list[RoutedChange]:
    """Runs a change through the stages; returns a routed change for each receiver."""
    cases = [RoutedChange(change)]
    for stage in stages:
        cases = [
            later for case in cases for later in ((case,) if case.ended else stage(context, case))
        ]
    return cases


def scopes_of(change: FollowedChange) -> tuple[str, str]:
    """Returns the scopes that a group of the incident may have: the incident alone, and what it
    shares with others: its problem, or its rule where no report says which problem it is.
    """
    shared = f"problem {change.fingerprint}" if change.fingerprint else f"rule {change.rule}"
    return f"incident {change.incident_id}", shared


def _scope(context: StageContext, receiver: str, change: FollowedChange) -> tuple[str, int]:
    """Returns the scope of the incident's group, and for how long, in µs, it takes in others."""
    alone, shared = scopes_of(change)
    if not context.routing.receivers[receiver].grouped:
        return alone, 0
    return shared, context.windows.group_us if change.fingerprint else context.windows.kindless_us


def _because(change: FollowedChange) -> str:
    who = f" by {change.actor}" if change.actor != "oopswatch" else ""
    why = f" ({change.reason})" if change.reason else ""
    return f"{change.what}{who}{why}"
