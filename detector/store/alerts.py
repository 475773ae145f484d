"""The alert store: cursor over changes, groups, deliveries, and the log of notifications.

In: writes that a plan of `detector/alert` decided. Out: snapshots as typed rows. `apply` belongs
inside `with store.transaction():`. Decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from sqlite3 import Connection, Error, Row
from typing import TYPE_CHECKING, TypeVar

from detector.store.alert_rows import (
    AlertDelivery,
    AlertGroup,
    DueMessage,
    FollowedChange,
    GroupSnapshot,
    GroupState,
    GroupSums,
    reader_of,
)
from detector.store.alert_writes import AlertWrite, execute
from detector.store.connection import connect_writing
from detector.store.errors import explained
from detector.store.lifecycle.auto_resolve import close_quiet, close_rebooted
from detector.store.lifecycle.states import State
from detector.store.query.history import History
from detector.store.query.notifications import SilenceRow, silences
from detector.store.turns import begin_writing

if TYPE_CHECKING:
    from detector.store.query.problem_names import ProblemNames

T = TypeVar("T")

# How many incidents and hosts of a group a message may name.
INCIDENTS_NAMED = 11
HOSTS_NAMED = 200

_CHANGES = """
SELECT c.id, c.incident_id, c.at_us, c.what, c.actor, c.reason, i.rule, i.host, i.severity,
  i.fingerprint, i.known_issue, i.state,
  i.joined_into, coalesce(r.open, 0) AS printing
FROM changes c JOIN incidents i ON i.id = c.incident_id LEFT
  JOIN reports r ON r.match_id = i.anchor_id
WHERE c.id > (SELECT change_id FROM outbox WHERE name = 'alerts') ORDER BY c.id LIMIT ?
"""
_JOINED = """
SELECT id, joined_into, state FROM incidents
  WHERE joined_into IN (SELECT value FROM json_each(?)) ORDER BY id
"""
_MEMBERS = """
SELECT incident_id, group_id FROM alert_members
  WHERE incident_id IN (SELECT value FROM json_each(?)) ORDER BY group_id
"""
_GROUP = "SELECT *, told AS sent_state, said AS sent_digest FROM alert_groups"
_GROUPS = f"{_GROUP} WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608
_OF_SCOPES = f"""
{_GROUP} WHERE receiver IN (SELECT value FROM json_each(?))
  AND scope IN (SELECT value FROM json_each(?)) AND last_us >= ?
"""  # noqa: S608
_LIVE = """
SELECT m.group_id, count(*) AS live FROM alert_members m JOIN incidents i ON i.id = m.incident_id
  WHERE m.group_id IN (SELECT value FROM json_each(?)) AND i.state <> 'resolved'
  GROUP BY m.group_id
"""
_SUMS = """
SELECT count(*) AS total, max(count(DISTINCT i.host), coalesce(max(s.hosts), 0)) AS hosts,
  coalesce(sum(i.state = 'open'), 0) AS open, coalesce(sum(i.state = 'acknowledged'), 0) AS
    acknowledged
FROM alert_members m JOIN incidents i ON i.id = m.incident_id LEFT
  JOIN spreads s ON s.incident_id = i.id WHERE m.group_id = ?
"""
_WAITING = "SELECT * FROM deliveries WHERE group_id = ? AND state = 'waiting' ORDER BY id LIMIT 1"
_NEXT = """
SELECT min(at_us) FROM (
  SELECT min(due_us) AS at_us FROM deliveries WHERE state = 'waiting' AND receiver = ?1
  UNION ALL SELECT min(repeat_us) FROM alert_groups WHERE receiver = ?1 AND repeat_us IS NOT NULL)
"""
# Those that were tried least come first, so that one bad message holds up no other.
_DUE = """
SELECT d.* FROM deliveries d WHERE state = 'waiting' AND receiver = ? AND due_us <= ?
  ORDER BY attempts, due_us, id LIMIT 1
"""
_REPEAT = (
    f"{_GROUP} WHERE receiver = ? AND repeat_us IS NOT NULL AND repeat_us <= ? "
    "ORDER BY repeat_us LIMIT 1"
)
_INCIDENTS = """
SELECT i.id FROM alert_members m JOIN incidents i ON i.id = m.incident_id
WHERE m.group_id = ? ORDER BY i.state = 'resolved', i.found_us DESC, i.id LIMIT ?
"""
_HOSTS = """
SELECT i.host FROM alert_members m JOIN incidents i ON i.id = m.incident_id
  WHERE m.group_id = ?1
UNION SELECT h.host FROM alert_members m JOIN spread_hosts h ON h.incident_id =
  m.incident_id WHERE m.group_id = ?1
ORDER BY 1 LIMIT ?2
"""

_change = reader_of(FollowedChange)
_group = reader_of(AlertGroup)
_delivery = reader_of(AlertDelivery)


def open_alert_store(path: str, names: ProblemNames | None = None) -> AlertStore:
    """Opens a writing connection of its own, beside the journal's; `names` tells the bugs that
    crashes look like. Raises `StoreError`.
    """
    return AlertStore(connect_writing(path), path, names)


class AlertStore:
    """Reads and writes the alert tables. Not thread-safe."""

    def __init__(self, db: Connection, path: str, names: ProblemNames | None = None) -> None:
        self.db = db
        self.path = path
        self._names = names
        self._connection = db

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; raises `StoreError`."""
        with explained(self.path):
            begin_writing(self._connection, self.path)
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(Error):
                    self.db.rollback()
                raise

    def history(self) -> History:
        """Returns the same data for reading."""
        return History(self.db, self.path, self._names)

    def begin(self, now_us: int) -> int:
        """Follows from where an earlier process stopped, else from the end: older changes are sent
        to nobody.

        What was being sent then may have arrived: it is sent again at once, marked as repeated.
        Returns how many such messages there are.
        """
        start = (
            "INSERT INTO outbox (name, change_id) SELECT 'alerts', coalesce(max(id), 0) "
            "FROM changes WHERE TRUE ON CONFLICT (name) DO NOTHING"
        )
        self._connection.execute(start)
        again = (
            "UPDATE deliveries SET state = 'waiting', repeated = 1, due_us = ?, detail = ? "
            "WHERE state = 'attempting'"
        )
        return self._connection.execute(
            again, (now_us, "no answer: oopswatch was stopped while it was sent")
        ).rowcount

    def changes(self, limit: int) -> list[FollowedChange]:
        """Returns the next changes, in order."""
        with explained(self.path):
            return [_change(row) for row in self._connection.execute(_CHANGES, (limit,))]

    def silences(self, now_us: int) -> list[SilenceRow]:
        """Returns the silences that are not over."""
        return silences(self.history(), now_us)

    def group_snapshot(
        self,
        incidents: Collection[str],
        receivers: Collection[str],
        scopes: Collection[str],
        since_us: int,
    ) -> GroupSnapshot:
        """Returns the groups that changes of these incidents may join or leave: their own, those of
        incidents joined into them, and those of the scopes that got an incident since then.
        """
        joined: dict[str, dict[str, State]] = {}
        for row in self._all(_JOINED, incidents):
            joined.setdefault(row["joined_into"], {})[row["id"]] = row["state"]
        parts = {part for states in joined.values() for part in states}
        members: dict[str, list[int]] = {}
        for row in self._all(_MEMBERS, {*incidents, *parts}):
            members.setdefault(row["incident_id"], []).append(row["group_id"])
        numbers = {number for groups in members.values() for number in groups}
        rows = [*self._all(_GROUPS, numbers), *self._all(_OF_SCOPES, receivers, scopes, since_us)]
        groups = {row["id"]: _group(row) for row in rows}
        live = {row["group_id"]: row["live"] for row in self._all(_LIVE, groups)}
        highest = self._connection.execute("SELECT max(id) FROM alert_groups").fetchone()[0]
        return GroupSnapshot(groups, members, joined, live, (highest or 0) + 1)

    def states(self, group_ids: Iterable[int]) -> dict[int, GroupState]:
        """Returns groups with their sums and the message that waits, by number."""
        return {
            number: GroupState(
                self._group(number),
                self._sums(number),
                self._first(_delivery, _WAITING, (number,)),
            )
            for number in group_ids
        }

    def due(self, receiver: str, now_us: int) -> DueMessage | None:
        """Returns the message to send to a receiver next: one that waits, else one that is sent
        again unchanged, or the receiver forgets it.
        """
        delivery = self._first(_delivery, _DUE, (receiver, now_us))
        group = (
            self._group(delivery.group_id)
            if delivery
            else self._first(_group, _REPEAT, (receiver, now_us))
        )
        if group is None:
            return None
        incidents = self._connection.execute(_INCIDENTS, (group.id, INCIDENTS_NAMED)).fetchall()
        hosts = self._connection.execute(_HOSTS, (group.id, HOSTS_NAMED)).fetchall()
        return DueMessage(
            delivery,
            group,
            self._sums(group.id),
            tuple(row["id"] for row in incidents),
            tuple(row["host"] for row in hosts),
        )

    def next_us(self, receiver: str) -> int | None:
        """Returns when something is due for a receiver, also in the past."""
        with explained(self.path):
            due: int | None = self._connection.execute(_NEXT, (receiver,)).fetchone()[0]
            return due

    def overdue(self, before_us: int) -> list[AlertDelivery]:
        """Returns messages that have waited since before then, for any receiver."""
        query = (
            "SELECT * FROM deliveries WHERE state = 'waiting' AND created_us < ? ORDER BY id "
            "LIMIT 1000"
        )
        return [_delivery(row) for row in self._connection.execute(query, (before_us,))]

    def waiting_by_receiver(self) -> dict[str, int]:
        """Counts the messages that wait, by receiver."""
        query = (
            "SELECT receiver, count(*) FROM deliveries WHERE state = 'waiting' GROUP BY receiver"
        )
        return dict(self._connection.execute(query).fetchall())

    def apply(self, writes: Iterable[AlertWrite]) -> None:
        """Executes the writes that a plan decided, in their order."""
        execute(self._connection, writes)

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

    def _group(self, group_id: int) -> AlertGroup:
        row = self._connection.execute(f"{_GROUP} WHERE id = ?", (group_id,))
        return _group(row.fetchone())

    def _sums(self, group_id: int) -> GroupSums:
        row = self._connection.execute(_SUMS, (group_id,)).fetchone()
        state: State = (
            "open" if row["open"] else "acknowledged" if row["acknowledged"] else "resolved"
        )
        return GroupSums(row["total"], row["hosts"], state)

    def _first(self, read: Callable[[Row], T], query: str, values: tuple[object, ...]) -> T | None:
        row = self._connection.execute(query, values).fetchone()
        return None if row is None else read(row)

    def _all(self, query: str, *values: Collection[str] | Collection[int] | int) -> list[Row]:
        """Returns the rows of a query; a collection is passed as a JSON list."""
        parameters = [
            value if isinstance(value, int) else json.dumps(sorted(value)) for value in values
        ]
        return self._connection.execute(query, parameters).fetchall()
