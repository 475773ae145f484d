"""The alert store: the cursor over changes, groups, deliveries, and the log of notifications.

In: decisions of `alert/notifier.py`. Out: typed rows. Every write belongs inside `with
store.transaction():`. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from sqlite3 import Connection, Error, Row
from typing import TYPE_CHECKING, TypeVar

from sqlite_utils import Database

from detector.store.alert_rows import (
    AlertDelivery,
    AlertGroup,
    FollowedChange,
    GroupSums,
    reader_of,
)
from detector.store.connection import connect_writing
from detector.store.errors import explained
from detector.store.lifecycle.auto_resolve import close_quiet, close_rebooted
from detector.store.lifecycle.states import State
from detector.store.query.history import History
from detector.store.query.notifications import SilenceRow, silences
from detector.store.rows import clean

if TYPE_CHECKING:
    from detector.known.lookup import KnownBugs

T = TypeVar("T")

_FOLLOWER = "alerts"
_CHANGES = """
SELECT c.id, c.incident_id, c.at_us, c.what, c.actor, c.reason, i.rule, i.host, i.severity,
  i.fingerprint, i.known_issue, i.state,
  i.joined_into, coalesce(r.open, 0) AS printing
FROM changes c JOIN incidents i ON i.id = c.incident_id LEFT
  JOIN reports r ON r.match_id = i.anchor_id
WHERE c.id > (SELECT change_id FROM outbox WHERE name = 'alerts') ORDER BY c.id LIMIT ?
"""
_GROUP_OF = """
SELECT g.* FROM alert_members m JOIN alert_groups g ON g.id = m.group_id
  WHERE m.incident_id = ? AND (?2 IS NULL OR g.receiver = ?2)
"""
_INHERITED = """
SELECT DISTINCT g.* FROM incidents i JOIN alert_members m ON m.incident_id = i.id
  JOIN alert_groups g ON g.id = m.group_id
WHERE i.joined_into = ? AND g.receiver = ? ORDER BY g.id LIMIT 1
"""
_LATEST_GROUP = """
SELECT g.* FROM alert_groups g WHERE receiver = ? AND scope = ? AND last_us >= ? AND EXISTS (
  SELECT 1 FROM alert_members m JOIN incidents i ON i.id = m.incident_id
    WHERE m.group_id = g.id AND i.state <> 'resolved')
ORDER BY last_us DESC, id DESC LIMIT 1
"""
_SUMS = """
SELECT count(*) AS total, max(count(DISTINCT i.host), coalesce(max(s.hosts), 0)) AS hosts,
  coalesce(sum(i.state = 'open'), 0) AS open, coalesce(sum(i.state = 'acknowledged'), 0) AS
    acknowledged
FROM alert_members m JOIN incidents i ON i.id = m.incident_id LEFT
  JOIN spreads s ON s.incident_id = i.id WHERE m.group_id = ?
"""
_NEXT = """
SELECT min(at_us) FROM (
  SELECT min(due_us) AS at_us FROM deliveries WHERE state = 'waiting' AND receiver = ?1
  UNION ALL SELECT min(repeat_us) FROM alert_groups WHERE receiver = ?1 AND repeat_us IS NOT NULL)
"""
_DUE = """
SELECT d.* FROM deliveries d WHERE state = 'waiting' AND receiver = ? AND due_us <= ?
  ORDER BY attempts, due_us, id LIMIT 1
"""
_REPEAT = (
    "SELECT * FROM alert_groups WHERE receiver = ? AND repeat_us IS NOT NULL AND repeat_us <= "
    "? ORDER BY repeat_us LIMIT 1"
)


_change = reader_of(FollowedChange)
_group = reader_of(AlertGroup)
_delivery = reader_of(AlertDelivery)


def open_alert_store(path: str, known: KnownBugs | None = None) -> AlertStore:
    """A writing connection of its own, beside the journal's; `known` names the bugs that crashes
    look like. Raises `StoreError`.
    """
    return AlertStore(connect_writing(path), path, known)


class AlertStore:
    """Reads and writes the alert tables. Not thread-safe."""

    def __init__(self, db: Database, path: str, known: KnownBugs | None = None) -> None:
        self.db = db
        self.path = path
        self._known = known
        self._connection: Connection = db.conn

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; raises `StoreError`."""
        with explained(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(Error):
                    self.db.rollback()
                raise

    def history(self) -> History:
        """The same data for reading."""
        return History(self.db, self.path, self._known)

    def begin(self, now_us: int) -> int:
        """Follows from where an earlier process stopped, else from the end: older changes are sent
        to nobody.

        What was being sent then may have arrived: it is sent again at once, marked as repeated.
        Returns how many such messages there are.
        """
        start = (
            "INSERT INTO outbox (name, change_id) SELECT ?, coalesce(max(id), 0) FROM changes "
            "WHERE TRUE ON CONFLICT (name) DO NOTHING"
        )
        self._connection.execute(start, (_FOLLOWER,))
        again = (
            "UPDATE deliveries SET state = 'waiting', repeated = 1, due_us = ?, detail = ? "
            "WHERE state = 'attempting'"
        )
        return self._connection.execute(
            again, (now_us, "no answer: oopswatch was stopped while it was sent")
        ).rowcount

    def changes(self, limit: int) -> list[FollowedChange]:
        """The next changes, in order."""
        with explained(self.path):
            return [_change(row) for row in self._connection.execute(_CHANGES, (limit,))]

    def move_cursor(self, change_id: int) -> None:
        """Moves the cursor: all changes up to this one are handled."""
        self._connection.execute(
            "UPDATE outbox SET change_id = ? WHERE name = ?", (change_id, _FOLLOWER)
        )

    def silences(self, now_us: int) -> list[SilenceRow]:
        """Silences that are not over."""
        return silences(self.history(), now_us)

    def group(self, group_id: int) -> AlertGroup:
        """The group with this number."""
        query = "SELECT * FROM alert_groups WHERE id = ?"
        return _group(self._connection.execute(query, (group_id,)).fetchone())

    def groups_of(self, incident_id: str, receiver: str | None = None) -> list[AlertGroup]:
        """The groups of an incident: one for each receiver, or the one of a receiver."""
        return [_group(row) for row in self._connection.execute(_GROUP_OF, (incident_id, receiver))]

    def inherited(self, incident_id: str, receiver: str) -> AlertGroup | None:
        """The receiver's group of an incident that was joined into this one."""
        return self._first(_group, _INHERITED, (incident_id, receiver))

    def latest_group(self, receiver: str, scope: str, since_us: int) -> AlertGroup | None:
        """The receiver's latest group of a scope that is not over and got an incident since
        then.
        """
        return self._first(_group, _LATEST_GROUP, (receiver, scope, since_us))

    def open_group(
        self, receiver: str, scope: str, leader: str, team: str | None, at_us: int
    ) -> AlertGroup:
        """Adds a group, which `leader` leads."""
        insert = (
            "INSERT INTO alert_groups (receiver, scope, leader, dedup_key, team, last_us) "
            "VALUES (?, ?, ?, ?, ?, ?) RETURNING *"
        )
        facts = (receiver, scope, leader, f"oopswatch/{leader}", team, at_us)
        return _group(self._connection.execute(insert, facts).fetchone())

    def add_member(self, group_id: int, incident_id: str, at_us: int) -> None:
        """Adds an incident to a group; those that were joined into it leave, and it leads in their
        place.
        """
        connection = self._connection
        connection.execute(
            "INSERT OR IGNORE INTO alert_members (incident_id, group_id) VALUES (?, ?)",
            (incident_id, group_id),
        )
        connection.execute(
            "UPDATE alert_groups SET last_us = max(last_us, ?) WHERE id = ?", (at_us, group_id)
        )
        old = "(SELECT id FROM incidents WHERE joined_into = ?2)"
        connection.execute(
            f"UPDATE alert_groups SET leader = ?2 WHERE id = ?1 AND leader IN {old}",  # noqa: S608
            (group_id, incident_id),
        )
        connection.execute(
            f"DELETE FROM alert_members WHERE group_id = ?1 AND incident_id IN {old}",  # noqa: S608
            (group_id, incident_id),
        )

    def remove_member(self, group_id: int, incident_id: str) -> None:
        """Removes an incident from a group, as it became part of another."""
        self._connection.execute(
            "DELETE FROM alert_members WHERE group_id = ? AND incident_id = ?",
            (group_id, incident_id),
        )

    def sums(self, group_id: int) -> GroupSums:
        """Adds up the members of a group."""
        row = self._connection.execute(_SUMS, (group_id,)).fetchone()
        state: State = (
            "open" if row["open"] else "acknowledged" if row["acknowledged"] else "resolved"
        )
        return GroupSums(row["total"], row["hosts"], state)

    def members(self, group_id: int, limit: int) -> list[str]:
        """The ids of some incidents of a group: those that are not over first, then the latest."""
        query = """
        SELECT i.id FROM alert_members m JOIN incidents i ON i.id = m.incident_id
        WHERE m.group_id = ? ORDER BY i.state = 'resolved', i.found_us DESC, i.id LIMIT ?
        """
        return [row["id"] for row in self._connection.execute(query, (group_id, limit))]

    def hosts(self, group_id: int, limit: int) -> list[str]:
        """Some hosts of a group, by name."""
        query = """
        SELECT i.host FROM alert_members m JOIN incidents i ON i.id = m.incident_id
          WHERE m.group_id = ?1
        UNION SELECT h.host FROM alert_members m JOIN spread_hosts h ON h.incident_id =
          m.incident_id WHERE m.group_id = ?1
        ORDER BY 1 LIMIT ?2
        """
        return [row["host"] for row in self._connection.execute(query, (group_id, limit))]

    def waiting(self, group_id: int) -> AlertDelivery | None:
        """The message about a group that waits, if any: there is never more than one."""
        query = (
            "SELECT * FROM deliveries WHERE group_id = ? AND state = 'waiting' ORDER BY id LIMIT 1"
        )
        return self._first(_delivery, query, (group_id,))

    def plan(self, group_id: int, receiver: str, reason: str, now_us: int, due_us: int) -> int:
        """Adds a message to send; returns its number."""
        insert = (
            "INSERT INTO deliveries (group_id, receiver, reason, created_us, due_us) VALUES "
            "(?, ?, ?, ?, ?) RETURNING id"
        )
        return int(
            self._connection.execute(
                insert, (group_id, receiver, clean(reason), now_us, due_us)
            ).fetchone()[0]
        )

    def reschedule(self, delivery_id: int, reason: str, due_us: int) -> None:
        """Changes when a waiting message is due, and its reason."""
        self._connection.execute(
            "UPDATE deliveries SET reason = ?, due_us = ? WHERE id = ?",
            (clean(reason), due_us, delivery_id),
        )

    def log(
        self,
        change: FollowedChange,
        now_us: int,
        receiver: str | None,
        delivery_id: int | None,
        reason: str,
    ) -> None:
        """Logs which message reports a change to a receiver, or why none does."""
        insert = (
            "INSERT INTO notifications (change_id, incident_id, at_us, receiver, delivery_id, "
            "reason) VALUES (?, ?, ?, ?, ?, ?)"
        )
        self._connection.execute(
            insert,
            (change.id, change.incident_id, now_us, receiver, delivery_id, clean(reason)),
        )

    def due(self, receiver: str, now_us: int) -> AlertDelivery | None:
        """The message to send next: those that were tried least come first, so that one bad message
        holds up no other.
        """
        return self._first(_delivery, _DUE, (receiver, now_us))

    def repeat(self, receiver: str, now_us: int) -> AlertGroup | None:
        """The group whose message is to be sent again unchanged, or the receiver forgets it."""
        return self._first(_group, _REPEAT, (receiver, now_us))

    def next_us(self, receiver: str) -> int | None:
        """When something is due for a receiver, also in the past."""
        with explained(self.path):
            due: int | None = self._connection.execute(_NEXT, (receiver,)).fetchone()[0]
            return due

    def attempt(self, delivery_id: int, action: str) -> None:
        """Marks a message as being sent: one found so after a crash may have arrived."""
        update = (
            "UPDATE deliveries SET state = 'attempting', attempts = attempts + 1, action = ? "
            "WHERE id = ?"
        )
        self._connection.execute(update, (action, delivery_id))

    def settle(
        self,
        delivery_id: int,
        state: str,
        now_us: int,
        detail: str | None,
        action: str | None = None,
    ) -> None:
        """Ends a message: delivered, refused, undelivered or unchanged."""
        update = (
            "UPDATE deliveries SET state = ?, settled_us = ?, detail = ?, action = coalesce(?, "
            "action) WHERE id = ?"
        )
        self._connection.execute(
            update, (state, now_us, detail and clean(detail), action, delivery_id)
        )

    def postpone(self, delivery_id: int, due_us: int, detail: str, *, repeated: bool) -> None:
        """Puts a message off; `repeated` where this attempt may have arrived."""
        update = (
            "UPDATE deliveries SET state = 'waiting', due_us = ?, detail = ?, repeated = "
            "max(repeated, ?) WHERE id = ?"
        )
        self._connection.execute(update, (due_us, clean(detail), repeated, delivery_id))

    def mark_delivered(
        self,
        group_id: int,
        state: State,
        said: str,
        now_us: int,
        repeat_us: int | None,
        fingerprint: str | None,
    ) -> None:
        """Records that a receiver took a message about a group; the first one settles the
        fingerprint that the receiver knows the group by.
        """
        update = """
        UPDATE alert_groups SET told = ?, said = ?, sent_us = ?, repeat_us = ?, messages = messages
          + 1,
          fingerprint = CASE WHEN messages = 0 THEN ? ELSE fingerprint END WHERE id = ?
        """
        self._connection.execute(update, (state, said, now_us, repeat_us, fingerprint, group_id))

    def mark_known(self, group_id: int, state: State, said: str) -> None:
        """Records a state that the receiver cannot express as taken."""
        self._connection.execute(
            "UPDATE alert_groups SET told = ?, said = ? WHERE id = ?", (state, said, group_id)
        )

    def repeat_at(self, group_id: int, repeat_us: int | None) -> None:
        """Sets when the same message is sent again."""
        self._connection.execute(
            "UPDATE alert_groups SET repeat_us = ? WHERE id = ?", (repeat_us, group_id)
        )

    def overdue(self, before_us: int) -> list[AlertDelivery]:
        """Messages that have waited since before then, for any receiver."""
        query = (
            "SELECT * FROM deliveries WHERE state = 'waiting' AND created_us < ? ORDER BY id "
            "LIMIT 1000"
        )
        return [_delivery(row) for row in self._connection.execute(query, (before_us,))]

    def waiting_by_receiver(self) -> dict[str, int]:
        """How many messages wait for each receiver."""
        query = (
            "SELECT receiver, count(*) FROM deliveries WHERE state = 'waiting' GROUP BY receiver"
        )
        return dict(self._connection.execute(query).fetchall())

    def auto_resolve(
        self,
        now_us: int,
        quiet_us: int,
        excepted: Collection[str],
        on_reboot: Sequence[str],
        tolerance_us: int,
    ) -> None:
        """Resolves incidents that were quiet for `quiet_us` (0: never), and those of the rules
        `on_reboot` whose host was rebooted. Raises `StoreError`.
        """
        with self.transaction():
            if quiet_us:
                close_quiet(self._connection, now_us, quiet_us, excepted)
            if on_reboot:
                close_rebooted(self._connection, now_us, on_reboot, tolerance_us)

    def close(self) -> None:
        """Closes the connection."""
        self.db.close()

    def _first(self, read: Callable[[Row], T], query: str, values: tuple[object, ...]) -> T | None:
        row = self._connection.execute(query, values).fetchone()
        return None if row is None else read(row)
