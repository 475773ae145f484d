"""Writes to the alert tables as values: what a plan of `detector/alert` decides is one of
these, and `AlertStore.apply` executes it.

Times are µs since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from sqlite3 import Connection

from detector.store.lifecycle.states import State
from detector.store.rows import clean


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """Adds a group under a number that the snapshot reserved; the incident `leader` leads it."""

    group_id: int
    receiver: str
    scope: str
    leader: str
    dedup_key: str
    team: str | None
    at_us: int


@dataclass(frozen=True, slots=True)
class JoinGroup:
    """Adds an incident to a group; those that were joined into it leave, and it leads in their
    place.
    """

    group_id: int
    incident_id: str
    at_us: int


@dataclass(frozen=True, slots=True)
class LeaveGroup:
    """Removes an incident that became part of another from a group."""

    group_id: int
    incident_id: str


@dataclass(frozen=True, slots=True)
class PlanMessage:
    """Adds a message to send about a group."""

    group_id: int
    receiver: str
    reason: str
    at_us: int
    due_us: int


@dataclass(frozen=True, slots=True)
class Reschedule:
    """Changes when a waiting message is due, and its reason."""

    delivery_id: int
    reason: str
    due_us: int


@dataclass(frozen=True, slots=True)
class LogChange:
    """Logs that the waiting message of a group reports a change to a receiver; without a
    group, why no message does.
    """

    change_id: int
    incident_id: str
    at_us: int
    receiver: str | None
    group_id: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class MoveCursor:
    """Moves the cursor: all changes up to this one are handled."""

    change_id: int


@dataclass(frozen=True, slots=True)
class BeginAttempt:
    """Marks a message as being sent: one found so after a crash may have arrived."""

    delivery_id: int
    action: str


@dataclass(frozen=True, slots=True)
class EndMessage:
    """Ends a message: delivered, refused, undelivered or unchanged."""

    delivery_id: int
    state: str
    at_us: int
    detail: str | None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Postpone:
    """Puts a message off; `repeated` where this attempt may have arrived."""

    delivery_id: int
    due_us: int
    detail: str
    repeated: bool


@dataclass(frozen=True, slots=True)
class MarkDelivered:
    """Records that a receiver took a message about a group; the first one settles the
    fingerprint that the receiver knows the group by.
    """

    group_id: int
    state: State
    digest: str
    at_us: int
    repeat_us: int | None
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class MarkKnown:
    """Records a state that the receiver cannot express as taken."""

    group_id: int
    state: State
    digest: str


@dataclass(frozen=True, slots=True)
class RepeatAt:
    """Sets when the last message of a group is sent again; None: never."""

    group_id: int
    repeat_us: int | None


AlertWrite = (
    OpenGroup
    | JoinGroup
    | LeaveGroup
    | PlanMessage
    | Reschedule
    | LogChange
    | MoveCursor
    | BeginAttempt
    | EndMessage
    | Postpone
    | MarkDelivered
    | MarkKnown
    | RepeatAt
)

_STATEMENTS: dict[type[AlertWrite], tuple[str, ...]] = {
    OpenGroup: (
        """INSERT INTO alert_groups (id, receiver, scope, leader, dedup_key, team, last_us)
        VALUES (:group_id, :receiver, :scope, :leader, :dedup_key, :team, :at_us)""",
    ),
    JoinGroup: (
        """INSERT OR IGNORE INTO alert_members (incident_id, group_id)
        VALUES (:incident_id, :group_id)""",
        "UPDATE alert_groups SET last_us = max(last_us, :at_us) WHERE id = :group_id",
        """UPDATE alert_groups SET leader = :incident_id WHERE id = :group_id
        AND leader IN (SELECT id FROM incidents WHERE joined_into = :incident_id)""",
        """DELETE FROM alert_members WHERE group_id = :group_id
        AND incident_id IN (SELECT id FROM incidents WHERE joined_into = :incident_id)""",
    ),
    LeaveGroup: (
        "DELETE FROM alert_members WHERE group_id = :group_id AND incident_id = :incident_id",
    ),
    PlanMessage: (
        """INSERT INTO deliveries (group_id, receiver, reason, created_us, due_us)
        VALUES (:group_id, :receiver, :reason, :at_us, :due_us)""",
    ),
    Reschedule: (
        "UPDATE deliveries SET reason = :reason, due_us = :due_us WHERE id = :delivery_id",
    ),
    LogChange: (
        """INSERT INTO notifications
          (change_id, incident_id, at_us, receiver, delivery_id, reason)
        VALUES (:change_id, :incident_id, :at_us, :receiver,
          (SELECT id FROM deliveries WHERE group_id = :group_id AND state = 'waiting'
            ORDER BY id LIMIT 1),
          :reason)""",
    ),
    MoveCursor: ("UPDATE outbox SET change_id = :change_id WHERE name = 'alerts'",),
    BeginAttempt: (
        """UPDATE deliveries SET state = 'attempting', attempts = attempts + 1, action = :action
        WHERE id = :delivery_id""",
    ),
    EndMessage: (
        """UPDATE deliveries SET state = :state, settled_us = :at_us, detail = :detail,
          action = coalesce(:action, action) WHERE id = :delivery_id""",
    ),
    Postpone: (
        """UPDATE deliveries SET state = 'waiting', due_us = :due_us, detail = :detail,
          repeated = max(repeated, :repeated) WHERE id = :delivery_id""",
    ),
    MarkDelivered: (
        """UPDATE alert_groups SET told = :state, said = :digest, sent_us = :at_us,
          repeat_us = :repeat_us, messages = messages + 1,
          fingerprint = CASE WHEN messages = 0 THEN :fingerprint ELSE fingerprint END
        WHERE id = :group_id""",
    ),
    MarkKnown: ("UPDATE alert_groups SET told = :state, said = :digest WHERE id = :group_id",),
    RepeatAt: ("UPDATE alert_groups SET repeat_us = :repeat_us WHERE id = :group_id",),
}
_TEXTS = frozenset(("reason", "detail"))
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in _STATEMENTS}


def execute(connection: Connection, writes: Iterable[AlertWrite]) -> None:
    """Executes writes in their order, inside the caller's transaction; texts are stored clean."""
    for write in writes:
        values = {name: getattr(write, name) for name in _FIELDS[type(write)]}
        for name in _TEXTS & values.keys():
            values[name] = values[name] and clean(values[name])
        for statement in _STATEMENTS[type(write)]:
            connection.execute(statement, values)
