"""Notices of groups: the incident that leads, some of the others, how many there are on how many
hosts.

In: a group in the outbox's tables, the catalogue, the time. Out: a `Notice`, and a digest of what
it says. Reads only; what one incident is to a message is said by `telling.py`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from sqlite3 import Row

from detector.alert.notice import Action, Notice, Subject
from detector.alert.notice_builder import standing_of, subject_of
from detector.catalogue import Catalogue
from detector.store.alerts import AlertStore, Sums

OTHERS = 10
HOSTS = 200
# What a message says of its leading incident: where none of it differs the message would be the
# same.
_SAID = (
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
class Teller:
    """Makes notices. `base_url` is where pages are, or "": then notices have no link."""

    tables: AlertStore
    catalogue: Catalogue
    base_url: str = ""

    def notice(
        self,
        group: Row,
        sums: Sums,
        action: Action,
        reason: str,
        now_us: int,
        *,
        repeated: bool = False,
    ) -> Notice:
        """What is to be said of a group now."""
        lead = self._subject(group["leader"])
        others = [one for one in self.tables.members(group["id"], OTHERS + 1) if one != lead.id][
            :OTHERS
        ]
        standing = standing_of(self.tables.history(), lead.id, now_us)
        if group["messages"]:  # the receiver knows the alert by what was first said
            lead = replace(lead, fingerprint=group["fingerprint"])
        return Notice(
            action=action,
            dedup_key=group["dedup_key"],
            subjects=(lead, *map(self._subject, others)),
            total=max(1, sums.total),
            hosts=tuple(self.tables.hosts(group["id"], HOSTS)) or (lead.host,),
            host_count=max(1, sums.hosts),
            standing=standing,
            reason=reason,
            at_us=now_us,
            team=group["team"],
            link=f"{self.base_url}/incidents/{lead.id}" if self.base_url else None,
            repeated=repeated,
        )

    def digest(self, group: Row, sums: Sums) -> str:
        """What a message about the group would say now, in short: equal digests are equal
        messages.
        """
        lead = self._subject(group["leader"])
        spelled = json.dumps(
            [sums.state, sums.total, sums.hosts, [getattr(lead, name) for name in _SAID]]
        )
        return hashlib.blake2b(spelled.encode(), digest_size=12).hexdigest()

    def _subject(self, identity: str) -> Subject:
        subject = subject_of(self.tables.history(), self.catalogue, identity)
        assert subject is not None  # incidents are never deleted while a group names them
        return subject
