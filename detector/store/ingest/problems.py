"""Problems: all incidents with one fingerprint, added up as they come, never counted anew.

In: what one incident adds to its problem before and after a change. Out: the sums of `problems` and
of its hosts, kernels and days, and whether a problem that was resolved came back. The work is the
same for the first incident and for the ten-thousandth. Runs inside the transaction of the journal
that owns the connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection, Row

from detector.clock import DAY_US
from detector.store.rows import release_number

_ADD = """
INSERT INTO problems (fingerprint, title, kind, function, module, severity, known_issue, first_us, last_us, incidents, hosts)
SELECT fingerprint, title, kind, function, module, severity, known_issue, :began, :began, 1, 0 FROM incidents WHERE id = :id
ON CONFLICT (fingerprint) DO UPDATE SET incidents = incidents + 1,
  first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us)
"""
_ADD_HOST = """
INSERT INTO problem_hosts (fingerprint, host, incidents, first_us, last_us) VALUES (:fingerprint, :host, 1, :began, :began)
ON CONFLICT (fingerprint, host) DO UPDATE SET incidents = incidents + 1,
  first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us) RETURNING incidents
"""
_ADD_KERNEL = """
INSERT INTO problem_kernels (fingerprint, kernel, release, incidents, first_us, last_us)
VALUES (:fingerprint, :kernel, :release, 1, :began, :began)
ON CONFLICT (fingerprint, kernel) DO UPDATE SET incidents = incidents + 1,
  first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us)
"""
_ADD_DAY = """
INSERT INTO problem_days (fingerprint, day_us, incidents) VALUES (:fingerprint, :day, 1)
ON CONFLICT (fingerprint, day_us) DO UPDATE SET incidents = incidents + 1
"""
_LATEST = """
UPDATE problems SET (title, kind, function, module, severity, known_issue) =
  (SELECT title, kind, function, module, severity, known_issue FROM incidents WHERE id = :id)
WHERE fingerprint = :fingerprint AND last_us <= :began
"""
_RETURNED = """
UPDATE problems SET state = 'open', state_us = :now, state_by = 'oopswatch', regressions = regressions + 1, regressed_us = :now
WHERE fingerprint = :fingerprint
"""
# The live incidents of a problem in the order of time, by an index: its ends are found by a look at
# each end.
_END = """
(SELECT coalesce(started_us, found_us) FROM incidents INDEXED BY incidents_problem
 WHERE joined_into IS NULL AND fingerprint = :fingerprint AND {also} ORDER BY coalesce(started_us, found_us) {order} LIMIT 1)
"""
_GONE = ("problem_hosts", "problem_kernels", "problem_days")


@dataclass(frozen=True, slots=True)
class IncidentShare:
    """What one live incident adds to its problem."""

    id: str
    fingerprint: str
    host: str
    kernel: str | None
    release: int | None
    began_us: int


def share(row: Row | None) -> IncidentShare | None:
    """What an incident of its row adds; None for one without a fingerprint, or that became part of
    another.
    """
    if row is None or row["fingerprint"] is None or row["joined_into"] is not None:
        return None
    began = row["started_us"] if row["started_us"] is not None else row["found_us"]
    return IncidentShare(
        row["id"], row["fingerprint"], row["host"], row["kernel"], row["release"], began
    )


def move(
    connection: Connection, before: IncidentShare | None, after: IncidentShare | None, now_us: int
) -> str | None:
    """An incident's share changed. Where a resolved problem is back, returns the release that was
    said to hold the fix ("": none named).
    """
    returned = None
    if after is not None and before != after:
        _add(connection, after)
        if before is None or before.fingerprint != after.fingerprint:
            returned = _returned(connection, after, now_us)
    elif after is not None:
        _tell_latest(connection, after)
    if before is not None and before != after:
        _take(connection, before)
    return returned


def _add(connection: Connection, one: IncidentShare) -> None:
    facts = _facts(one)
    connection.execute(_ADD, facts)
    if connection.execute(_ADD_HOST, facts).fetchone()[0] == 1:
        connection.execute(
            "UPDATE problems SET hosts = hosts + 1 WHERE fingerprint = ?", (one.fingerprint,)
        )
    if one.kernel is not None:
        connection.execute(_ADD_KERNEL, facts)
    connection.execute(_ADD_DAY, facts)
    _tell_latest(connection, one)


def _tell_latest(connection: Connection, one: IncidentShare) -> None:
    """A problem is called as its latest incident is."""
    connection.execute(
        _LATEST, {"id": one.id, "fingerprint": one.fingerprint, "began": one.began_us}
    )


def _take(connection: Connection, one: IncidentShare) -> None:
    """Takes a share back; where it was at an end of the time, the end is looked up again."""
    facts = _facts(one)
    _shrink(connection, "problems", "fingerprint = :fingerprint", "TRUE", facts)
    _shrink(
        connection,
        "problem_hosts",
        "fingerprint = :fingerprint AND host = :host",
        "host = :host",
        facts,
    )
    _shrink(
        connection,
        "problem_kernels",
        "fingerprint = :fingerprint AND kernel = :kernel",
        "kernel = :kernel",
        facts,
    )
    connection.execute(
        (
            "UPDATE problem_days SET incidents = incidents - 1 WHERE fingerprint = "
            ":fingerprint AND day_us = :day"
        ),
        facts,
    )
    for table in _GONE:
        gone = connection.execute(
            f"DELETE FROM {table} WHERE fingerprint = ? AND incidents = 0",  # noqa: S608
            (one.fingerprint,),
        ).rowcount
        if gone and table == "problem_hosts":
            connection.execute(
                "UPDATE problems SET hosts = hosts - ? WHERE fingerprint = ?",
                (gone, one.fingerprint),
            )
    # What people said of a problem is kept, even where no incident is left of it.
    empty = "DELETE FROM problems WHERE fingerprint = ? AND incidents = 0 AND state_us IS NULL"
    connection.execute(empty, (one.fingerprint,))


def _shrink(
    connection: Connection, table: str, place: str, also: str, facts: dict[str, object]
) -> None:
    connection.execute(f"UPDATE {table} SET incidents = incidents - 1 WHERE {place}", facts)  # noqa: S608
    for column, order in (("first_us", "ASC"), ("last_us", "DESC")):
        end = _END.format(also=also, order=order)
        connection.execute(
            (
                f"UPDATE {table} SET {column} = coalesce({end}, {column}) WHERE {place} AND "  # noqa: S608
                f"{column} = :began AND incidents > 0"
            ),
            facts,
        )


def _returned(connection: Connection, one: IncidentShare, now_us: int) -> str | None:
    """Whether the incident is a regression: it began after its problem was resolved, on no release
    older than the one with the fix.
    """
    query = "SELECT state_us, fixed_in FROM problems WHERE fingerprint = ? AND state = 'resolved'"
    row = connection.execute(query, (one.fingerprint,)).fetchone()
    if row is None or one.began_us <= row["state_us"]:
        return None
    fixed = release_number(row["fixed_in"]) if row["fixed_in"] else None
    if fixed is not None and one.release is not None and one.release < fixed:
        return None
    connection.execute(_RETURNED, {"now": now_us, "fingerprint": one.fingerprint})
    return row["fixed_in"] or ""


def _facts(one: IncidentShare) -> dict[str, object]:
    return {
        "id": one.id,
        "fingerprint": one.fingerprint,
        "host": one.host,
        "kernel": one.kernel,
        "release": one.release,
        "began": one.began_us,
        "day": one.began_us - one.began_us % DAY_US,
    }
