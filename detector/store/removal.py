"""Removes rows that are too old, some at a time, with all that refers to them.

In: a connection inside a transaction, the time before which rows are too old, how many to look at.
Out: how many were removed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from sqlite3 import Connection, Row

from detector.store.query import search_index

# (connection, cut, the id to go on from, rows) → how many were removed, and the id to go on from;
# None at the end.
Walk = Callable[[Connection, int, int, int], tuple[int, int | None]]

_OLD_INCIDENTS = (
    "SELECT id, place FROM incidents INDEXED BY incidents_place WHERE place < ? ORDER BY place "
    "LIMIT ?"
)
_FAMILY = "SELECT id FROM incidents WHERE joined_into IN (SELECT value FROM json_each(?))"
_LED = "SELECT id FROM alert_groups WHERE leader IN (SELECT value FROM json_each(:ids))"
# The latest change stays, so that its id is never given twice: it goes over to no incident that is
# gone, so its incident stays as well, and the one that this became part of.
_HELD = "SELECT incident_id FROM changes ORDER BY id DESC LIMIT 1"
_HELD_IN = "SELECT joined_into FROM incidents WHERE id = ?"
_OF_INCIDENTS = (
    "DELETE FROM notifications WHERE incident_id IN (SELECT value FROM json_each(:ids))",
    (
        "DELETE FROM notifications WHERE change_id IN (SELECT id FROM changes WHERE "
        "incident_id IN (SELECT value FROM json_each(:ids)))"
    ),
    "DELETE FROM alert_members WHERE incident_id IN (SELECT value FROM json_each(:ids))",
    "DELETE FROM changes WHERE incident_id IN (SELECT value FROM json_each(:ids))",
    "DELETE FROM evidence WHERE incident_id IN (SELECT value FROM json_each(:ids))",
    "DELETE FROM spread_hosts WHERE incident_id IN (SELECT value FROM json_each(:ids))",
    "DELETE FROM spreads WHERE incident_id IN (SELECT value FROM json_each(:ids))",
    (
        "DELETE FROM incidents WHERE id IN (SELECT value FROM json_each(:ids)) AND joined_into "
        "IS NOT NULL"
    ),
    "DELETE FROM incidents WHERE id IN (SELECT value FROM json_each(:ids))",
)
_NEW_LEADER = """
UPDATE alert_groups SET leader = (SELECT min(incident_id) FROM alert_members
  WHERE group_id = :group)
WHERE id = :group AND EXISTS (SELECT 1 FROM alert_members WHERE group_id = :group)
"""
_OF_GROUP = (
    (
        "UPDATE notifications SET delivery_id = NULL WHERE delivery_id IN (SELECT id FROM "
        "deliveries WHERE group_id = :group)"
    ),
    "DELETE FROM deliveries WHERE group_id = :group",
    "DELETE FROM alert_groups WHERE id = :group",
)
# What alerts have not seen yet is not old, whatever its time.
_OLD_CHANGES = """
SELECT id FROM changes WHERE id < (SELECT max(id) FROM changes)
  AND id <= coalesce((SELECT min(change_id) FROM outbox), 1 << 62)
ORDER BY id LIMIT ?
"""
_OLD_SIGHTINGS = """
DELETE FROM value_hours WHERE (field, value, hour_us, host) IN (
  SELECT field, value, hour_us, host FROM value_hours INDEXED BY value_hours_hour
    WHERE hour_us < :cut ORDER BY hour_us LIMIT :rows)
"""
_OLD_PROGRAM_DAYS = """
DELETE FROM program_days WHERE (day_us, process) IN (
  SELECT day_us, process FROM program_days WHERE day_us < :cut ORDER BY day_us LIMIT :rows)
"""
_OLD_MATCHES = """
SELECT m.id, m.wall_time_us < :cut AND NOT EXISTS (SELECT 1 FROM evidence e WHERE e.match_id = m.id)
  AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.anchor_id = m.id)
    AND NOT coalesce(r.open, 0) AND m.id < (SELECT max(id) FROM matches),
  m.wall_time_us < :cut
FROM {tables} WHERE {id} > :start ORDER BY {id} LIMIT :rows
"""
_MATCHES = _OLD_MATCHES.format(
    tables="matches m LEFT JOIN reports r ON r.match_id = m.id", id="m.id"
)
_REPORTS = _OLD_MATCHES.format(
    tables="reports r JOIN matches m ON m.id = r.match_id", id="r.match_id"
)

_OLD_HOST_DAYS = """
DELETE FROM kernel_error_host_days WHERE (error_id, day_us, host) IN (
  SELECT error_id, day_us, host FROM kernel_error_host_days
    INDEXED BY kernel_error_host_days_day WHERE day_us < :cut LIMIT :rows)
"""
_OLD_ERROR_DAYS = """
DELETE FROM kernel_error_days WHERE (error_id, day_us) IN (
  SELECT error_id, day_us FROM kernel_error_days INDEXED BY kernel_error_days_day
  WHERE day_us < :cut LIMIT :rows)
"""
_OLD_ERRORS = """
SELECT id FROM kernel_errors INDEXED BY kernel_errors_last WHERE last_us < :cut
  ORDER BY last_us LIMIT max(1, :rows / 50)
"""
_LONE_ERRORS = """
SELECT id FROM kernel_errors INDEXED BY kernel_errors_last WHERE hosts <= 1
  ORDER BY last_us LIMIT :rows
"""
_OF_ERRORS = (
    ("kernel_error_host_days", "error_id"),
    ("kernel_error_days", "error_id"),
    ("kernel_error_hosts", "error_id"),
    ("kernel_errors", "id"),
)


def incidents(connection: Connection, cut_us: int, rows: int) -> int:
    """Removes the oldest incidents, with links to evidence, changes and notifications."""
    held = {row[0] for row in connection.execute(_HELD)}
    held |= {row[0] for item in tuple(held) for row in connection.execute(_HELD_IN, (item,))}
    rows_old = connection.execute(
        _OLD_INCIDENTS, (search_index.place_of(cut_us), max(1, rows // 10) + 2)
    ).fetchall()
    gone = [row for row in rows_old if row["id"] not in held][: max(1, rows // 10)]
    live = json.dumps([row["id"] for row in gone])
    joined = [row[0] for row in connection.execute(_FAMILY, (live,)) if row[0] not in held]
    ids = json.dumps([*json.loads(live), *joined])
    led = [row[0] for row in connection.execute(_LED, {"ids": ids})]
    for statement in _OF_INCIDENTS[:3]:
        connection.execute(statement, {"ids": ids})
    for group in led:
        if not connection.execute(_NEW_LEADER, {"group": group}).rowcount:
            for statement in _OF_GROUP:
                connection.execute(statement, {"group": group})
    connection.executemany(
        "DELETE FROM incident_words WHERE rowid = ?", [(row["place"],) for row in gone]
    )
    for statement in _OF_INCIDENTS[3:]:
        connection.execute(statement, {"ids": ids})
    return len(gone)


def changes(connection: Connection, cut_us: int, rows: int) -> int:
    """Removes the oldest changes, with their notifications.

    Never the latest change, nor those that alerts have not seen.
    """
    ids = json.dumps([row[0] for row in connection.execute(_OLD_CHANGES, (rows,))])
    old = "SELECT id FROM changes WHERE id IN (SELECT value FROM json_each(:ids)) AND at_us < :cut"
    connection.execute(
        f"DELETE FROM notifications WHERE change_id IN ({old})",  # noqa: S608
        {"ids": ids, "cut": cut_us},
    )
    return connection.execute(
        f"DELETE FROM changes WHERE id IN ({old})",  # noqa: S608
        {"ids": ids, "cut": cut_us},
    ).rowcount


def waiting_acts(connection: Connection, cut_us: int, rows: int) -> int:
    """Removes old acts whose incident or problem never came."""
    return connection.execute(
        "DELETE FROM waiting_acts WHERE name IN (SELECT name FROM waiting_acts WHERE at_us < ? "
        "LIMIT ?)",
        (cut_us, rows),
    ).rowcount


def matches(connection: Connection, cut_us: int, start: int, rows: int) -> tuple[int, int | None]:
    """Old matches that no incident rests on, with their reports; the latest stays, since counts
    follow from its id.
    """
    rows_old = connection.execute(
        _MATCHES, {"cut": cut_us, "start": start, "rows": rows}
    ).fetchall()
    ids = [(row[0],) for row in rows_old if row[1]]
    for table, column in (
        ("value_hours", "match_id"),
        ("reports", "match_id"),
        ("faults", "id"),
        ("matches", "id"),
    ):
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", ids)  # noqa: S608
    connection.execute(
        "UPDATE sizes SET rows = rows + ? WHERE name = 'removed matches'", (len(ids),)
    )
    return len(ids), rows_old[-1][0] if any(row[2] for row in rows_old) else None


def value_hours(connection: Connection, cut_us: int, rows: int) -> int:
    """Hosts by value and hour; what incidents spread to is kept with them."""
    return connection.execute(_OLD_SIGHTINGS, {"cut": cut_us, "rows": rows}).rowcount


def program_days(connection: Connection, cut_us: int, rows: int) -> int:
    """Numbers of hosts by program and day."""
    return connection.execute(_OLD_PROGRAM_DAYS, {"cut": cut_us, "rows": rows}).rowcount


def kernel_error_host_days(connection: Connection, cut_us: int, rows: int) -> int:
    """Counts of kernel errors by host and day; those by day alone are kept longer."""
    return connection.execute(_OLD_HOST_DAYS, {"cut": cut_us, "rows": rows}).rowcount


def kernel_error_days(connection: Connection, cut_us: int, rows: int) -> int:
    """Counts of kernel errors by day."""
    return connection.execute(_OLD_ERROR_DAYS, {"cut": cut_us, "rows": rows}).rowcount


def kernel_errors(connection: Connection, cut_us: int, rows: int) -> int:
    """Templates that were not seen for so long, with their hosts."""
    old_errors = connection.execute(_OLD_ERRORS, {"cut": cut_us, "rows": rows}).fetchall()
    _remove_errors(connection, old_errors)
    return len(old_errors)


def lone_kernel_errors(connection: Connection, rows: int) -> int:
    """Removes templates that one host alone has printed: those that were not seen for longest."""
    lone = connection.execute(_LONE_ERRORS, {"rows": rows}).fetchall()
    _remove_errors(connection, lone)
    return len(lone)


def _remove_errors(connection: Connection, errors: Sequence[Row]) -> None:
    ids = {"ids": json.dumps([row["id"] for row in errors])}
    for table, column in _OF_ERRORS:
        connection.execute(
            f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(:ids))",  # noqa: S608
            ids,
        )


def reports(connection: Connection, cut_us: int, start: int, rows: int) -> tuple[int, int | None]:
    """Removes old reports of faults that no incident rests on.

    The fault stays, with its line and what it is searched by.
    """
    rows_old = connection.execute(
        _REPORTS, {"cut": cut_us, "start": start, "rows": rows}
    ).fetchall()
    ids = [(row[0],) for row in rows_old if row[1]]
    connection.executemany("DELETE FROM reports WHERE match_id = ?", ids)
    return len(ids), rows_old[-1][0] if any(row[2] for row in rows_old) else None
