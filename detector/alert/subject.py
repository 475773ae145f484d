"""Builds the notice of a group: its subject, and what the history adds.

In: the history, the catalogue, an incident's id. Out: a `Subject`. Reads only, by indexes; a storm
asks for many of them.

Reads only; `subject.py` describes one incident.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from detector.alert import wording
from detector.alert.notice import Action, Notice, Subject
from detector.catalogue import Catalogue, Rule
from detector.correlate import gap
from detector.explain.tcp import state_of
from detector.known.names import KnownBug
from detector.model import Incident, Match
from detector.render.objects import moment
from detector.store import History, IncidentDetail
from detector.store.alert_rows import DueMessage
from detector.store.query.standing import standing_of

_LINES = 20

# What a fault is called in half a line, where the signature's title is a sentence: by signature,
# else by class.
_SHORT = {
    "kernel.null-pointer": "NULL pointer dereference",
    "kernel.x86-null-pointer": "NULL pointer dereference",
    "kernel.general-protection": "general protection fault",
    "memory-fault": "paging fault",
    "soft-lockup": "soft lockup",
    "hard-lockup": "hard lockup",
    "rcu-stall": "RCU stall",
    "hung-task": "hung task",
    "kernel-bug": "kernel BUG",
    "oops": "kernel oops",
    "panic": "kernel panic",
    "warning": "kernel warning",
    "tcp-state": "TCP socket released while in use",
}
_SHORT_TCP = {
    1: "TCP socket released while connected",
    2: "TCP socket released while connecting",
    3: "TCP socket released half open",
    10: "TCP socket released while listening",
}


def subject_of(history: History, catalogue: Catalogue, incident_id: str) -> Subject | None:
    """Returns what a message says of one incident; None where the history has none of this id."""
    detail = history.incident(incident_id)
    return None if detail is None else subject_of_detail(detail, catalogue)


def subject_of_detail(detail: IncidentDetail, catalogue: Catalogue) -> Subject:
    """The same of what is read already."""
    row, incident, diagnosis = detail.row, detail.incident, detail.diagnosis
    if incident.spread is not None:  # one host's lines say what the others' say
        incident = replace(incident, evidence=(incident.anchor,))
    rule = next((rule for rule in catalogue.rules if rule.id == incident.rule), None)
    signature = catalogue.signature(incident.anchor.signature)
    return Subject(
        id=incident.id,
        rule=incident.rule,
        host=incident.host,
        boot=incident.boot,
        severity=incident.severity,
        title=row.title,
        fingerprint=row.fingerprint,
        started_us=incident.started_us,
        found_us=row.found_us,
        gap_us=incident.gap_us,
        time_basis=incident.time_basis,
        uptime_us=incident.anchor.kernel_time_us,
        kernel=row.kernel,
        function=row.function,
        module=row.module,
        lines=tuple(map(line_of, _both(incident))),
        what_happened=_happened(incident, catalogue, rule, row.function),
        known_issue=row.known_issue,
        known_issue_confidence=diagnosis.known_issue_confidence if diagnosis else None,
        next_steps=diagnosis.next_steps if diagnosis else (),
        state=row.state,
        rule_title=rule.title if rule else None,
        runbook=(signature.runbook or None) if signature else None,
        known_bug=known_bug_of(detail.known_bugs),
        spread=incident.spread,
    )


def known_bug_of(bugs: Sequence[KnownBug]) -> str | None:
    """The bug that a crash likely is, and where it is fixed, in one line; None where none is
    likely.
    """
    if not bugs or bugs[0].confidence != "likely":
        return None
    first = bugs[0]
    if len(bugs) > 1:
        return f"{' or '.join(bug.id for bug in bugs)} (likely one of them)"
    fixed = f"; fixed in {first.fixed_in}" if first.fixed_in else ""
    return f"{first.id} (likely): {first.subject}{fixed}"


def _happened(
    incident: Incident, catalogue: Catalogue, rule: Rule | None, function: str | None
) -> tuple[str, ...]:
    """Returns what happened, of a rule that counts how often."""
    phrases = tuple(what_happened(incident, catalogue, function))
    if rule is None or rule.type != "event_count" or rule.is_lone:
        return phrases
    apart = gap(incident.evidence[0], incident.evidence[-1])
    within = f" in {wording.duration(apart[0])}" if apart else ""
    return (f"{phrases[0]}, {len(incident.evidence)} such faults{within}",)


def what_happened(incident: Incident, catalogue: Catalogue, function: str | None) -> Iterator[str]:
    """Each thing that happened in a few words, in order; equal ones once.

    The anchoring fault names its function.
    """
    seen: set[str] = set()
    for match in incident.evidence:
        text = phrase(match, catalogue)
        if match == incident.anchor and function:
            text = f"{text} in {function}"
        if text not in seen:
            seen.add(text)
            yield text


def phrase(match: Match, catalogue: Catalogue) -> str:
    """Returns what one match is, in a few words; the signature's own title where nothing
    shorter is known, the text where it is gone.
    """
    state = state_of(match)
    if state in _SHORT_TCP:
        return _SHORT_TCP[state]
    if short := _SHORT.get(match.signature) or _SHORT.get(match.cls):
        return short
    signature = catalogue.signature(match.signature)
    return signature.title if signature else match.text


def line_of(match: Match) -> str:
    """A line of evidence verbatim, after its stamp as printk prints it (else its wall time),
    before its place.
    """
    kernel = match.kernel_time_us
    stamp = (
        f"{kernel // 1_000_000}.{kernel % 1_000_000:06d}"
        if kernel is not None
        else moment(match.wall_time_us) or "no time"
    )
    return f"[{stamp}] {match.text}   {match.source}:{match.number}"


def _both(incident: Incident) -> list[Match]:
    """The evidence, or of much of it the first lines and, always, the anchoring fault."""
    shown = list(incident.evidence[:_LINES])
    return shown if incident.anchor in shown or not shown else [*shown[:-1], incident.anchor]


OTHERS = 10
# Fields of the leading incident that a message shows: where none differs, the message is the same.
_DIGESTED = (
    "id",
    "title",
    "kernel",
    "function",
    "module",
    "known_issue",
    "what_happened",
    "rule",
    "severity",
)


@dataclass(frozen=True, slots=True)
class NoticeBuilder:
    """Builds notices. `base_url` is where pages are, or "": then notices have no link."""

    history: History
    catalogue: Catalogue
    base_url: str = ""

    def lead(self, due: DueMessage) -> Subject:
        """Describes the incident that leads the group."""
        return self._subject(due.group.leader)

    def digest(self, due: DueMessage, lead: Subject) -> str:
        """Digests what a message about the group would say now: equal digests, equal messages."""
        sums = due.sums
        content = json.dumps(
            [sums.state, sums.total, sums.hosts, [getattr(lead, name) for name in _DIGESTED]]
        )
        return hashlib.blake2b(content.encode(), digest_size=12).hexdigest()

    def notice(self, due: DueMessage, lead: Subject, action: Action, now_us: int) -> Notice:
        """Builds the message about a group as it is now."""
        group, sums, delivery = due.group, due.sums, due.delivery
        others = [identity for identity in due.incidents if identity != lead.id][:OTHERS]
        standing = standing_of(self.history, lead.id, now_us)
        if group.messages:  # the receiver knows the alert by the fingerprint of the first message
            lead = replace(lead, fingerprint=group.fingerprint)
        return Notice(
            action=action,
            dedup_key=group.dedup_key,
            subjects=(lead, *map(self._subject, others)),
            total=max(1, sums.total),
            hosts=due.hosts or (lead.host,),
            host_count=max(1, sums.hosts),
            standing=standing,
            reason=delivery.reason if delivery else "it is still open",
            at_us=now_us,
            team=group.team,
            link=f"{self.base_url}/incidents/{lead.id}" if self.base_url else None,
            repeated=bool(delivery and delivery.repeated),
        )

    def _subject(self, identity: str) -> Subject:
        subject = subject_of(self.history, self.catalogue, identity)
        assert subject is not None  # incidents are never deleted while a group names them
        return subject
