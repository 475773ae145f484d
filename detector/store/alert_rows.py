"""Rows of the alert tables as values: changes to follow, groups, deliveries.

Times are µs since 1970. A field that a table may leave NULL is None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from sqlite3 import Row
from typing import Any, TypeVar

from detector.model import Severity
from detector.store.lifecycle.states import State

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FollowedChange:
    """A change of an incident, with what is known of the incident now; `printing` while its
    anchor's report is not closed.
    """

    id: int
    incident_id: str
    at_us: int
    what: str
    actor: str
    reason: str | None
    rule: str
    host: str
    severity: Severity
    fingerprint: str | None
    known_issue: str | None
    state: State
    joined_into: str | None
    printing: bool


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """The incidents that one receiver hears of under one key.

    `sent_state` is the state that the last message said, `sent_digest` its digest, `messages` how
    many it took.
    """

    id: int
    receiver: str
    scope: str
    leader: str
    dedup_key: str
    fingerprint: str | None
    team: str | None
    last_us: int
    sent_state: State | None
    sent_digest: str | None
    messages: int
    sent_us: int | None
    repeat_us: int | None


@dataclass(frozen=True, slots=True)
class AlertDelivery:
    """One message to one receiver, from its plan to its end."""

    id: int
    group_id: int
    receiver: str
    action: str | None
    reason: str
    state: str
    created_us: int
    due_us: int
    attempts: int
    repeated: bool
    settled_us: int | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class GroupSums:
    """Sums of a group: its live incidents, on how many hosts (those of an incident of many
    hosts included), and the state that they make: open while one is.
    """

    total: int
    hosts: int
    state: State


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group as a plan needs it: its row, its sums, and the message about it that waits, of
    which there is never more than one.
    """

    group: AlertGroup
    sums: GroupSums
    waiting: AlertDelivery | None


@dataclass(frozen=True, slots=True)
class DueMessage:
    """The message to send to a receiver next.

    `delivery` is None where the last message is only repeated; `incidents` are the ids of some
    members (live ones first, then the latest), `hosts` some of their hosts by name.
    """

    delivery: AlertDelivery | None
    group: AlertGroup
    sums: GroupSums
    incidents: tuple[str, ...]
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupSnapshot:
    """The groups that some changes may join or leave.

    `members` maps incidents to the numbers of their groups; `joined` maps an incident to those
    joined into it, each with its state; `live` counts a group's members that are not resolved. New
    groups are numbered from `next_id` on.
    """

    groups: dict[int, AlertGroup]
    members: dict[str, list[int]]
    joined: dict[str, dict[str, State]]
    live: dict[int, int]
    next_id: int


def reader_of(cls: Callable[..., T]) -> Callable[[Row], T]:
    """A function that makes a value of a row which has a column for each field."""
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]

    def read(row: Row) -> T:
        values: dict[str, Any] = {name: row[name] for name in names}
        return cls(**values)

    return read
