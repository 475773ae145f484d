"""Groups of incidents, as the stages change them in memory: which group an incident is in,
which one it may join.

In: a snapshot of the alert store. Out: answers of the moment, and the writes that bring the store
to it. Pure: no IO, no clock.
"""

from __future__ import annotations

from dataclasses import replace

from detector.store.alert_rows import AlertGroup, FollowedChange, GroupSnapshot
from detector.store.alert_writes import AlertWrite, JoinGroup, LeaveGroup, OpenGroup


class GroupBook:
    """The groups of a snapshot and what is changed about them; `writes` holds the changes."""

    def __init__(self, snapshot: GroupSnapshot) -> None:
        self.writes: list[AlertWrite] = []
        self._groups = dict(snapshot.groups)
        self._members = {incident: list(ids) for incident, ids in snapshot.members.items()}
        self._joined = snapshot.joined
        self._live = dict(snapshot.live)
        self._next_id = snapshot.next_id
        self._by_scope: dict[tuple[str, str], list[int]] = {}
        for group in snapshot.groups.values():
            self._by_scope.setdefault((group.receiver, group.scope), []).append(group.id)

    def of(self, incident_id: str) -> list[AlertGroup]:
        """Returns the groups of an incident: at most one for each receiver."""
        return [self._groups[number] for number in sorted(self._members.get(incident_id, ()))]

    def of_receiver(self, incident_id: str, receiver: str) -> AlertGroup | None:
        """Returns the receiver's group of an incident, or None."""
        return next((group for group in self.of(incident_id) if group.receiver == receiver), None)

    def inherited(self, incident_id: str, receiver: str) -> AlertGroup | None:
        """Returns the receiver's first group of an incident that was joined into this one."""
        parts = self._joined.get(incident_id, {})
        groups = [group for part in parts for group in self.of(part) if group.receiver == receiver]
        return min(groups, key=lambda group: group.id, default=None)

    def latest(self, receiver: str, scope: str, since_us: int) -> AlertGroup | None:
        """Returns the receiver's latest group of a scope that is not over and got an incident since
        then.
        """
        groups = [self._groups[number] for number in self._by_scope.get((receiver, scope), ())]
        open_ones = [
            group for group in groups if group.last_us >= since_us and self._live.get(group.id)
        ]
        return max(open_ones, key=lambda group: (group.last_us, group.id), default=None)

    def open(
        self, receiver: str, scope: str, team: str | None, change: FollowedChange
    ) -> AlertGroup:
        """Adds a group, which the incident of the change leads."""
        group = AlertGroup(
            id=self._next_id,
            receiver=receiver,
            scope=scope,
            leader=change.incident_id,
            dedup_key=f"oopswatch/{change.incident_id}",
            fingerprint=None,
            team=team,
            last_us=change.at_us,
            sent_state=None,
            sent_digest=None,
            messages=0,
            sent_us=None,
            repeat_us=None,
        )
        self._next_id += 1
        self._groups[group.id] = group
        self._by_scope.setdefault((receiver, scope), []).append(group.id)
        self.writes.append(
            OpenGroup(group.id, receiver, scope, group.leader, group.dedup_key, team, group.last_us)
        )
        return group

    def join(self, group: AlertGroup, change: FollowedChange) -> None:
        """Adds the incident of a change to a group; those that were joined into it leave, and it
        leads in their place.
        """
        identity = change.incident_id
        self.writes.append(JoinGroup(group.id, identity, change.at_us))
        parts = self._joined.get(identity, {})
        self._groups[group.id] = replace(
            group,
            last_us=max(group.last_us, change.at_us),
            leader=identity if group.leader in parts else group.leader,
        )
        self._add(group.id, identity, live=change.state != "resolved")
        for part, state in parts.items():
            self._remove(group.id, part, live=state != "resolved")

    def leave(self, group: AlertGroup, change: FollowedChange) -> None:
        """Removes the incident of a change, which became part of another, from a group."""
        self.writes.append(LeaveGroup(group.id, change.incident_id))
        self._remove(group.id, change.incident_id, live=change.state != "resolved")

    def _add(self, number: int, identity: str, *, live: bool) -> None:
        groups = self._members.setdefault(identity, [])
        if number not in groups:
            groups.append(number)
            self._live[number] = self._live.get(number, 0) + live

    def _remove(self, number: int, identity: str, *, live: bool) -> None:
        groups = self._members.get(identity, [])
        if number in groups:
            groups.remove(number)
            self._live[number] -= live
