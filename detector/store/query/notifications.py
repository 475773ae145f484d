"""Notifications of an incident, sent or not; and the silences that are in force.

Reads only.

In: an open history. Out: frozen rows. Times are µs since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from sqlite3 import Row
from typing import Any

from detector.store.errors import explained
from detector.store.query.history import History

_OF_INCIDENT = """
SELECT coalesce(d.settled_us, n.at_us) AS at_us, n.receiver, coalesce(d.state, 'not sent') AS
  outcome, c.what, d.action, n.reason,
  coalesce(d.attempts, 0) AS attempts, d.detail, coalesce(d.repeated, 0) AS repeated, d.due_us
FROM notifications n JOIN changes c ON c.id = n.change_id LEFT
  JOIN deliveries d ON d.id = n.delivery_id
WHERE n.incident_id IN (SELECT :id UNION SELECT id FROM incidents WHERE joined_into = :id)
  ORDER BY n.id
"""
_LATEST = """
SELECT n.id, n.incident_id, i.host, coalesce(d.settled_us, n.at_us) AS at_us, n.receiver,
  coalesce(d.state, 'not sent') AS outcome, c.what,
  d.action, n.reason, coalesce(d.attempts, 0) AS attempts, d.detail, coalesce(d.repeated, 0) AS
    repeated, d.due_us
FROM notifications n JOIN changes c ON c.id = n.change_id JOIN incidents i ON i.id = n.incident_id
  LEFT JOIN deliveries d ON d.id = n.delivery_id
WHERE (:receiver IS NULL OR n.receiver = :receiver) AND (:outcome IS NULL
  OR coalesce(d.state, 'not sent') = :outcome)
ORDER BY n.id DESC LIMIT :limit
"""
_SILENCES = (
    "SELECT * FROM silences WHERE ends_us > :now AND coalesce(expired_us, ends_us) > :now "
    "ORDER BY ends_us, id"
)


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """A notification of one receiver about one change, or the reason why none was sent.

    `outcome`: "waiting" (until `due_us`), "attempting", "delivered", "refused" (the receiver will
    never take it), "undelivered" (given up), "unchanged" (all of it was said before) or "not sent".
    `what` is the change, `action` the message's word for it, `detail` what the receiver answered;
    `repeated` where the receiver may have it twice. `receiver` is None where no route names one.
    """

    at_us: int
    receiver: str | None
    outcome: str
    what: str
    action: str | None
    reason: str
    attempts: int
    detail: str | None
    repeated: bool
    due_us: int | None


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line of the log of messages: whose incident it is about, and the notification."""

    incident_id: str
    host: str
    notification: NotificationRow


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """A silence: nobody is told of incidents that fit all of `host` (a shell pattern), `rule`
    and `fingerprint` that are given.
    """

    id: int
    host: str | None
    rule: str | None
    fingerprint: str | None
    starts_us: int
    ends_us: int
    author: str
    comment: str


def notifications_of(history: History, incident_id: str) -> list[NotificationRow]:
    """Returns who was told of an incident (by its whole id) and of those joined into it, in
    the order in which it was decided.
    """
    return [_notification(row) for row in _rows(history, _OF_INCIDENT, {"id": incident_id})]


def latest(
    history: History, *, receiver: str | None = None, outcome: str | None = None, limit: int = 50
) -> list[LogRow]:
    """The log of messages sent and not sent, newest first."""
    rows = _rows(history, _LATEST, {"receiver": receiver, "outcome": outcome, "limit": limit})
    return [LogRow(row["incident_id"], row["host"], _notification(row)) for row in rows]


def silences(history: History, now_us: int) -> list[SilenceRow]:
    """Silences that are not over, those that begin later among them."""
    return [read_silence(row) for row in _rows(history, _SILENCES, {"now": now_us})]


def read_silence(row: Row) -> SilenceRow:
    """A row of `silences`."""
    return SilenceRow(**{field.name: row[field.name] for field in fields(SilenceRow)})


def _notification(row: Row) -> NotificationRow:
    facts = {field.name: row[field.name] for field in fields(NotificationRow)}
    return NotificationRow(**(facts | {"repeated": bool(row["repeated"])}))


def _rows(history: History, query: str, parameters: dict[str, Any]) -> list[Row]:
    with explained(history.path):
        return history.db.execute(query, parameters).fetchall()
