"""The tests that rules carry: matches as a rule's own test gives them, and how many
incidents the rule makes of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.clock import HOUR_US
from detector.correlate import StoredMatch, assemble_incident, in_order, related_to
from detector.model import Boot, Match

if TYPE_CHECKING:
    from detector.catalogue import Catalogue, Rule, RuleTest


def asked_for(rule: Rule) -> str:
    """Returns what a rule asks for, in short: "a + b", "3 of a, b"."""
    names = rule.classes or rule.signatures
    if rule.counts_hosts:
        usual = f", {rule.times_usual} times as many as usual" if rule.times_usual else ""
        return f"one {' and '.join(rule.group_by)} on {rule.gte} hosts{usual}"
    if rule.type == "event_count":
        return f"{rule.gte} of {', '.join(names)}"
    return " + ".join(names)


def failing(catalogue: Catalogue, rule: Rule) -> list[str]:
    """The tests of a rule that it does not pass, each as a located line."""
    faults = []
    for test in rule.tests:
        raised = raised_by(catalogue, rule, test)
        if raised != test.expect:
            faults.append(
                f"{rule.path}:{test.line}: {rule.id}: test {test.name!r}: {raised} incidents, "
                f"not {test.expect}"
            )
    return faults


def raised_by(catalogue: Catalogue, rule: Rule, given: RuleTest) -> int:
    """Returns how many incidents a rule raises from the matches that a test gives, stored in
    that order.
    """
    if rule.counts_hosts:
        return _spread_by(rule, given)
    stored: list[StoredMatch] = []
    live: dict[str, set[int]] = {}
    for number, (term, host, time_us) in enumerate(given.given):
        new = StoredMatch(number, _match_of(catalogue, rule, term, host, time_us))
        stored.append(new)
        family = related_to(rule, new, [other for other in stored if other.match.host == host])
        known = {
            identity for identity, members in live.items() if members & {item.id for item in family}
        }
        members = {item.id for item in family}.union(*(live[identity] for identity in known))
        incident = (
            assemble_incident(rule, in_order(stored[member] for member in members), known)
            if family
            else None
        )
        if incident is not None:
            live = {identity: held for identity, held in live.items() if identity not in known} | {
                incident.id: members
            }
    return len(live)


def _spread_by(rule: Rule, given: RuleTest) -> int:
    """Returns how many incidents a rule that counts hosts raises from the values that a test
    gives.
    """
    from detector.spread import all_spans, all_unusual_days

    seen: dict[str, dict[int, set[str]]] = {}
    for value, host, time_us in given.given:
        hours = seen.setdefault(value, {})
        hours.setdefault(time_us - time_us % HOUR_US, set()).add(host)
    if rule.times_usual:
        return sum(map(len, all_unusual_days(rule, seen).values()))
    return sum(len(all_spans(rule, hours)) for hours in seen.values())


def _match_of(catalogue: Catalogue, rule: Rule, term: str, host: str, time_us: int) -> Match:
    named = [item for item in catalogue.signatures if term in (item.id, item.cls)]
    signature = named[0]
    cls = term if term in rule.classes else signature.cls
    sign = term if term in rule.signatures else signature.id
    text_ = f"{term} at {time_us}"
    return Match(
        sign,
        cls,
        "kernel",
        signature.severity,
        text_,
        {},
        "test",
        1,
        host,
        Boot(id="test"),
        time_us,
        None,
    )
