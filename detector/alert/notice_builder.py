"""Builds the notice of a group: the incident that leads, some of the others, how many there are on
how many hosts.

In: a group, the catalogue, the time. Out: a `Notice`, and a digest of what it says. Reads only;
`subject.py` describes one incident.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from detector.alert.notice import Action, Notice, Subject
from detector.alert.subject import subject_of
from detector.catalogue import Catalogue
from detector.store.alert_rows import AlertGroup, GroupSums
from detector.store.alerts import AlertStore
from detector.store.query.standing import standing_of

OTHERS = 10
HOSTS = 200
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

    store: AlertStore
    catalogue: Catalogue
    base_url: str = ""

    def notice(
        self,
        group: AlertGroup,
        sums: GroupSums,
        action: Action,
        reason: str,
        now_us: int,
        *,
        repeated: bool = False,
    ) -> Notice:
        """Builds the message about a group as it is now."""
        lead = self._subject(group.leader)
        members = self.store.members(group.id, OTHERS + 1)
        others = [identity for identity in members if identity != lead.id][:OTHERS]
        standing = standing_of(self.store.history(), lead.id, now_us)
        if group.messages:  # the receiver knows the alert by the fingerprint of the first message
            lead = replace(lead, fingerprint=group.fingerprint)
        return Notice(
            action=action,
            dedup_key=group.dedup_key,
            subjects=(lead, *map(self._subject, others)),
            total=max(1, sums.total),
            hosts=tuple(self.store.hosts(group.id, HOSTS)) or (lead.host,),
            host_count=max(1, sums.hosts),
            standing=standing,
            reason=reason,
            at_us=now_us,
            team=group.team,
            link=f"{self.base_url}/incidents/{lead.id}" if self.base_url else None,
            repeated=repeated,
        )

    def digest(self, group: AlertGroup, sums: GroupSums) -> str:
        """Digests what a message about the group would say now: equal digests, equal messages."""
        lead = self._subject(group.leader)
        content = json.dumps(
            [sums.state, sums.total, sums.hosts, [getattr(lead, name) for name in _DIGESTED]]
        )
        return hashlib.blake2b(content.encode(), digest_size=12).hexdigest()

    def _subject(self, identity: str) -> Subject:
        subject = subject_of(self.store.history(), self.catalogue, identity)
        assert subject is not None  # incidents are never deleted while a group names them
        return subject
