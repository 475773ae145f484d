"""Routing of incidents to receivers: routes by host, rule, severity, problem and known
issue; maintenance and silences that say nobody is.

In: the facts of an incident, a routing, silences, the time. Out: receivers with their team, and
why; or why nobody. Pure: no IO, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from detector.alert.notice import Sender
from detector.model import Severity
from detector.render.objects import moment
from detector.store.query.notifications import SilenceRow


@dataclass(frozen=True, slots=True)
class RoutingFacts:
    """Facts of an incident by which routes are chosen."""

    host: str
    rule: str
    severity: Severity
    problem: str | None = None
    known_issue: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Facts that fit every list that is not empty go to `receivers`; later routes are asked too
    only where the route `goes_on`.

    Hosts and rules may be shell patterns. `place` is "file:line".
    """

    place: str
    receivers: tuple[str, ...]
    team: str | None = None
    goes_on: bool = False
    hosts: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    known_issues: tuple[str, ...] = ()

    def fits(self, facts: RoutingFacts) -> bool:
        """Returns whether the route is for these facts."""
        return (
            _one_of(self.hosts, facts.host)
            and _one_of(self.rules, facts.rule)
            and _one_of(self.severities, facts.severity)
            and _one_of(self.problems, facts.problem)
            and _one_of(self.known_issues, facts.known_issue)
        )


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Hosts that are worked on: nobody is told of them from `from_us` until `until_us`, where
    these are given.
    """

    place: str
    hosts: tuple[str, ...]
    comment: str
    from_us: int | None = None
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver by its name. `heartbeat`: it expects to hear regularly that we live; not
    `grouped`: it is told of each incident apart.
    """

    name: str
    sender: Sender
    heartbeat: bool = False
    grouped: bool = True


@dataclass(frozen=True, slots=True)
class Assignment:
    """One receiver that is told, for which team, and the route that says so."""

    receiver: str
    team: str | None
    place: str


@dataclass(frozen=True, slots=True)
class Routing:
    """A routing file, read. An empty one tells nobody."""

    path: str = ""
    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    maintenances: tuple[Maintenance, ...] = ()

    def assign(self, facts: RoutingFacts) -> tuple[Assignment, ...]:
        """The receivers of an incident, each once, by the first route that names it."""
        assignments: dict[str, Assignment] = {}
        for route in self.routes:
            if not route.fits(facts):
                continue
            for name in route.receivers:
                assignments.setdefault(name, Assignment(name, route.team, route.place))
            if not route.goes_on:
                break
        return tuple(assignments.values())

    def why_nobody(self, facts: RoutingFacts) -> str:
        """Returns why `assign` found no receiver."""
        if not self.path:
            return "there is no routing file (alert.file)"
        blank = next((route for route in self.routes if route.fits(facts)), None)
        if blank is not None:
            return f"the route at {blank.place} names no receiver"
        return (
            f"no route of {self.path} is for host {facts.host}, rule {facts.rule}, severity "
            f"{facts.severity}"
        )


def why_quiet(
    facts: RoutingFacts, routing: Routing, silences: Iterable[SilenceRow], now_us: int
) -> str | None:
    """Returns why nobody is told just now although routes name somebody: maintenance or a
    silence; None where nothing is in the way.
    """
    for work in routing.maintenances:
        begun = work.from_us is None or work.from_us <= now_us
        if (
            begun
            and (work.until_us is None or now_us < work.until_us)
            and _one_of(work.hosts, facts.host)
        ):
            until = f" until {moment(work.until_us)}" if work.until_us is not None else ""
            return f"maintenance ({work.place}){until}: {work.comment}"
    for silence in silences:
        if silence.starts_us <= now_us < silence.ends_us and covers(silence, facts):
            return (
                f"silenced by #{silence.id} ({silence.author}) until {moment(silence.ends_us)}: "
                f"{silence.comment}"
            )
    return None


def covers(silence: SilenceRow, facts: RoutingFacts) -> bool:
    """Returns whether a silence, while it lasts, is of an incident with these facts."""
    criteria = (
        (silence.host, facts.host),
        (silence.rule, facts.rule),
        (silence.fingerprint, facts.problem),
    )
    return all(_one_of((pattern,), value) for pattern, value in criteria if pattern is not None)


def _one_of(patterns: tuple[str, ...], value: str | None) -> bool:
    """No pattern asks for nothing; a value that is not known fits no pattern."""
    return not patterns or (
        value is not None and any(fnmatchcase(value, pattern) for pattern in patterns)
    )
