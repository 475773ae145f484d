"""The stages between a change and a message: each takes cases and passes on those that go further;
a case that ends has its reason.

In: changes of incidents with what is known of them, the routing, silences, the outbox's tables, the
time. Out: cases with the group that tells of them, or with why nobody is told. Reads and writes
tables only through the outbox; no clock, no sending.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from sqlite3 import Row

from detector.alert.routing import Assignment, Routing, RoutingFacts, why_quiet
from detector.clock import HOUR_US
from detector.store.alerts import AlertStore
from detector.store.query.notifications import SilenceRow


@dataclass(frozen=True, slots=True)
class Windows:
    """How long things hold, in µs.

    Incidents of one problem come to one group while the last one is at most `group_us` old; those
    without a report, which only their rule holds together, while it is `kindless_us` old. Changes
    older than `stale_us` are told to nobody.
    """

    group_us: int
    kindless_us: int
    stale_us: int


@dataclass(frozen=True, slots=True)
class RoutedChange:
    """One change, for one receiver once it is routed. `why` is filled where the case ends, or says
    why the receiver is told.
    """

    change: Row
    receiver: str | None = None
    team: str | None = None
    group_id: int | None = None
    ended: bool = False
    why: str = ""

    def end(self, why: str) -> RoutedChange:
        """The case ends here: nobody, or not this receiver, is told."""
        return replace(self, ended=True, why=why)


@dataclass(slots=True)
class Desk:
    """What the stages work with."""

    tables: AlertStore
    routing: Routing
    windows: Windows
    now_us: int
    silences: Sequence[SilenceRow] = field(default_factory=tuple)


Stage = Callable[[Desk, RoutedChange], Iterable[RoutedChange]]


def facts_of(change: Row) -> RoutingFacts:
    """What routes are chosen by, of a change's incident as it is now."""
    return RoutingFacts(
        change["host"],
        change["rule"],
        change["severity"],
        change["fingerprint"],
        change["known_issue"],
    )


def worth_telling(desk: Desk, case: RoutedChange) -> Iterable[RoutedChange]:
    """Notes are kept to the history; what became part of another incident is told of under that;
    what is old is no news.
    """
    change = case.change
    if change["what"] == "noted":
        yield case.end("a note: it is kept in the history")
    elif change["what"] == "joined":
        for group in desk.tables.groups_of(change["incident_id"]):
            desk.tables.remove_member(group["id"], change["incident_id"])
            yield replace(
                case,
                receiver=group["receiver"],
                group_id=group["id"],
                why=f"it became part of {change['joined_into']}",
            )
        yield case.end(f"told under {change['joined_into']}, which it became part of")
    elif change["joined_into"]:
        yield case.end(f"told under {change['joined_into']}, which it became part of")
    elif desk.now_us - change["at_us"] > desk.windows.stale_us:
        yield case.end(
            f"it was {(desk.now_us - change['at_us']) // HOUR_US} h old when it was looked "
            "at: longer than alert.give_up_s"
        )
    else:
        yield case


def route(desk: Desk, case: RoutedChange) -> Iterable[RoutedChange]:
    """Who is told: of beginnings and additions whoever the routes name, of states whoever knows of
    the incident.
    """
    change = case.change
    if case.group_id is not None:
        yield case
        return
    if change["what"] in ("acknowledged", "resolved"):
        groups = [
            group
            for group in desk.tables.groups_of(change["incident_id"])
            if group["receiver"] in desk.routing.receivers
        ]
        if not groups:
            yield case.end("nobody was told of the incident")
        for group in groups:
            yield replace(
                case, receiver=group["receiver"], group_id=group["id"], why=_because(change)
            )
        return
    assigned = desk.routing.assign(facts_of(change))
    if not assigned:
        yield case.end(desk.routing.why_nobody(facts_of(change)))
    for one in assigned:
        yield replace(case, receiver=one.receiver, team=one.team, why=_routed(change, one))


def silence(desk: Desk, case: RoutedChange) -> Iterable[RoutedChange]:
    """Maintenance and silences; the end of what was told is told all the same."""
    why = (
        None
        if case.group_id is not None
        else why_quiet(facts_of(case.change), desk.routing, desk.silences, desk.now_us)
    )
    yield case if why is None else case.end(why)


def group(desk: Desk, case: RoutedChange) -> Iterable[RoutedChange]:
    """The group that tells of the incident: its own, that of one joined into it, the latest of its
    problem, or a new one.
    """
    if case.group_id is not None:
        yield case
        return
    change, tables = case.change, desk.tables
    assert case.receiver is not None
    identity, at = change["incident_id"], change["at_us"]
    own = tables.groups_of(identity, case.receiver)
    if own:
        yield replace(case, group_id=own[0]["id"])
        return
    found, why = tables.inherited(identity, case.receiver), case.why
    if found is None:
        scope, window = _scope(desk, case.receiver, change)
        found = tables.latest_group(case.receiver, scope, at - window)
        if found is None:
            found = tables.open_group(case.receiver, scope, identity, case.team, at)
        else:
            why += f"; folded into the group of {found['leader']}"
    tables.add_member(found["id"], identity, at)
    yield replace(case, group_id=found["id"], why=why)


STAGES: tuple[Stage, ...] = (worth_telling, route, silence, group)


def through(desk: Desk, change: Row, stages: Sequence[Stage] = STAGES) -> list[RoutedChange]:
    """The cases that a change becomes, all stages passed or ended."""
    cases = [RoutedChange(change)]
    for stage in stages:
        cases = [
            later for case in cases for later in ((case,) if case.ended else stage(desk, case))
        ]
    return cases


def _scope(desk: Desk, receiver: str, change: Row) -> tuple[str, int]:
    """What the incident is told with, and how long such a group takes in others."""
    if not desk.routing.receivers[receiver].grouped:
        return f"incident {change['incident_id']}", 0
    if change["fingerprint"]:
        return f"problem {change['fingerprint']}", desk.windows.group_us
    return f"rule {change['rule']}", desk.windows.kindless_us


def _routed(change: Row, one: Assignment) -> str:
    return f"{_because(change)}, by the route at {one.place}"


def _because(change: Row) -> str:
    who = f" by {change['actor']}" if change["actor"] != "oopswatch" else ""
    why = f" ({change['reason']})" if change["reason"] else ""
    return f"{change['what']}{who}{why}"
