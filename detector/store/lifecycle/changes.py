"""The log of what became of incidents: every change goes in here, in the transaction that
makes it.

In: an incident, what happened, who did it and why. Out: a row with a rising id, which notifications
and live pages follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection, Row

from detector.store.lifecycle.states import State, What
from detector.store.rows import NAME_LIMIT, clean

# What oopswatch does by itself is done by this actor.
ITSELF = "oopswatch"

_INSERT = (
    "INSERT INTO changes (incident_id, at_us, what, actor, reason, request) VALUES (?, ?, ?, "
    "?, ?, ?) RETURNING *"
)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one incident.

    `actor` is `oopswatch` or a person's name; `reason` is why, or the note.
    """

    id: int
    incident_id: str
    at_us: int
    what: What
    actor: str
    reason: str | None


def record(
    connection: Connection,
    incident_id: str,
    at_us: int,
    what: What,
    *,
    actor: str = ITSELF,
    reason: str | None = None,
    request: str | None = None,
    state: State | None = None,
) -> Change:
    """Writes one change, and the incident's new state where it has one."""
    texts = (
        clean(actor, NAME_LIMIT),
        reason and clean(reason),
        request and clean(request, NAME_LIMIT),
    )
    row = connection.execute(_INSERT, (incident_id, at_us, what, *texts)).fetchone()
    if state is not None:
        connection.execute(
            "UPDATE incidents SET state = ?, changed_us = ? WHERE id = ?",
            (state, at_us, incident_id),
        )
    return read_change(row)


def of_request(connection: Connection, request: str) -> Change | None:
    """The change that a request made already."""
    row = connection.execute(
        "SELECT * FROM changes WHERE request = ?", (clean(request, NAME_LIMIT),)
    ).fetchone()
    return read_change(row) if row else None


def read_change(row: Row) -> Change:
    """A row of `changes`."""
    return Change(
        row["id"], row["incident_id"], row["at_us"], row["what"], row["actor"], row["reason"]
    )
