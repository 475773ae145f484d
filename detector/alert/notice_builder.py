"""Builds the notice of a group: the incident that leads, some of the others, how many
there are on how many hosts.

In: a message that is due, the history, the catalogue, the time. Out: a `Notice`, and a digest of
what it says. Reads only; `subject.py` describes one incident.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from detector.alert.notice import Action, Notice, Subject
from detector.alert.subject import subject_of
from detector.catalogue import Catalogue
from detector.store.alert_rows import DueMessage
from detector.store.query.history import History
from detector.store.query.standing import standing_of

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
