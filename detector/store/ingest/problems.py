"""Problems: all reports and all incidents with one fingerprint, added up as they come,
never counted anew.

In: what one report or one incident adds to its problem before and after a change. Out: the sums of
`problems` and of its hosts, kernels, hardware and days, and whether a problem that was resolved
came back. The work is the same for the first and for the ten-thousandth. Runs inside the
transaction of the journal that owns the connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection, Row
from typing import Any, Literal

from detector.clock import DAY_US
from detector.store.ingest import traces
from detector.store.lifecycle.act_marks import mark_problem
from detector.store.rows import release_number

# What is counted of a problem, by the column that counts it.
CountColumn = Literal["incidents", "reports"]

_COUNTS = "incidents = incidents + :incident, reports = reports + :report"
_EXTREMES = (
    "first_us = min(first_us, coalesce(:at_us, first_us)), "
    "last_us = max(last_us, coalesce(:at_us, last_us))"
)
_STATE = "reports, last_us, incident_us, state, state_us, fixed_in, regressed_fault"
_ADD = {
    "incidents": f"""
INSERT INTO problems (fingerprint, title, kind, function, module, severity, known_issue, first_us,
  last_us, incidents, hosts)
SELECT fingerprint, title, kind, function, module, severity, known_issue, :time, :time, 1, 0
  FROM incidents WHERE id = :id
ON CONFLICT (fingerprint) DO UPDATE SET {_COUNTS}, {_EXTREMES} RETURNING {_STATE}
""",  # noqa: S608
    "reports": f"""
INSERT INTO problems (fingerprint, title, kind, function, module, severity, first_us, last_us,
  incidents, reports, hosts)
SELECT f.fingerprint, r.title, r.kind, f.function, f.module, f.severity, :time, :time, 0, 1, 0
FROM faults f JOIN reports r ON r.match_id = f.id WHERE f.id = :id
ON CONFLICT (fingerprint) DO UPDATE SET {_COUNTS}, {_EXTREMES} RETURNING {_STATE}
""",  # noqa: S608
}
# Table → its key beside the fingerprint.
_PARTS = {"problem_hosts": "host", "problem_kernels": "kernel", "problem_hardware": "hardware"}
_ADD_PART = {
    "problem_hosts": f"""
INSERT INTO problem_hosts (fingerprint, host, incidents, reports, first_us, last_us)
VALUES (:fingerprint, :host, :incident, :report, :time, :time)
ON CONFLICT DO UPDATE SET {_COUNTS}, {_EXTREMES} RETURNING incidents + reports
""",  # noqa: S608
    "problem_kernels": f"""
INSERT INTO problem_kernels (fingerprint, kernel, release, incidents, reports, first_us, last_us)
VALUES (:fingerprint, :kernel, :release, :incident, :report, :time, :time)
ON CONFLICT DO UPDATE SET {_COUNTS}, {_EXTREMES} RETURNING incidents + reports
""",  # noqa: S608
    "problem_hardware": f"""
INSERT INTO problem_hardware (fingerprint, hardware, incidents, reports, first_us, last_us)
VALUES (:fingerprint, :hardware, :incident, :report, :time, :time)
ON CONFLICT DO UPDATE SET {_COUNTS}, {_EXTREMES} RETURNING incidents + reports
""",  # noqa: S608
}
_ADD_DAY = f"""
INSERT INTO problem_days (fingerprint, day_us, incidents, reports)
  VALUES (:fingerprint, :day, :incident, :report)
ON CONFLICT DO UPDATE SET {_COUNTS}
"""  # noqa: S608
# A problem is called as its latest incident is; one without incidents as its latest report.
_LATEST = {
    "incidents": """
UPDATE problems SET (title, kind, function, module, severity, known_issue, incident_us) =
  (SELECT title, kind, function, module, severity, known_issue, :time FROM incidents WHERE id = :id)
WHERE fingerprint = :fingerprint AND (incident_us IS NULL OR incident_us <= :time)
""",
    "reports": """
UPDATE problems SET (title, kind, function, module, severity) =
  (SELECT r.title, r.kind, f.function, f.module, f.severity FROM faults f
    JOIN reports r ON r.match_id = f.id WHERE f.id = :id)
WHERE fingerprint = :fingerprint AND incident_us IS NULL AND last_us <= :time
""",
}
_RETURNED = """
UPDATE problems SET state = 'open', state_us = :now, state_by = 'oopswatch', regressions =
  regressions + 1, regressed_us = :now,
  regressed_fault = :fault
WHERE fingerprint = :fingerprint
"""
# What people said of a problem is kept, even where nothing is left of it.
_NOTHING_LEFT = """
fingerprint = ? AND incidents <= 0 AND reports <= 0 AND state_us IS NULL
  AND NOT EXISTS (SELECT 1 FROM problem_advice a WHERE a.fingerprint = problems.fingerprint)
"""
_EMPTY = (
    (
        f"DELETE FROM problem_frames WHERE fingerprint IN (SELECT fingerprint FROM problems WHERE "  # noqa: S608
        f"{_NOTHING_LEFT})"
    ),
    f"DELETE FROM problems WHERE {_NOTHING_LEFT}",  # noqa: S608
)
# What is live of a problem in the order of time, by an index: its ends are found by a look at each
# end.
_END = """
(SELECT {least}(time) FROM (
  SELECT (SELECT coalesce(started_us, found_us) FROM incidents INDEXED BY incidents_problem
    WHERE joined_into IS NULL AND fingerprint = :fingerprint AND {incidents}
    ORDER BY coalesce(started_us, found_us) {order} LIMIT 1) AS time
  UNION ALL SELECT (SELECT at_us FROM faults INDEXED BY faults_problem
    WHERE fingerprint = :fingerprint AND at_us > 0 AND {faults} ORDER BY at_us {order} LIMIT 1)))
"""


@dataclass(frozen=True, slots=True)
class ProblemPart:
    """The share of one live incident, or one report, in its problem.

    `at_us` is None where no clock told it; `fault` is the match whose report it is.
    """

    counted: CountColumn
    id: str | int
    fingerprint: str
    host: str
    kernel: str | None
    release: int | None
    hardware: str | None
    at_us: int | None
    fault: int


def of_incident(row: Row | None) -> ProblemPart | None:
    """Returns what an incident of its row adds; None for one without a fingerprint, or that
    became part of another.
    """
    if row is None or row["fingerprint"] is None or row["joined_into"] is not None:
        return None
    began = row["started_us"] if row["started_us"] is not None else row["found_us"]
    return ProblemPart(
        "incidents", row["id"], row["fingerprint"], row["host"], row["kernel"], row["release"],
        None,
        began, row["anchor_id"],
    )  # fmt: skip


def move(
    connection: Connection, before: ProblemPart | None, after: ProblemPart | None, now_us: int
) -> str | None:
    """Returns what one adds has changed.

    Where a resolved problem is back, returns the release that was said to hold the fix ("":
    none named).
    """
    returned = None
    if after is not None and before != after:
        state = _add(connection, after, now_us)
        if before is None or before.fingerprint != after.fingerprint:
            returned = _returned(connection, after, state, now_us)
    elif after is not None:
        connection.execute(_LATEST[after.counted], _facts(after, now_us))
    if before is not None and before != after:
        _take(connection, before, now_us)
    return returned


def _add(connection: Connection, problem_part: ProblemPart, now_us: int) -> Row:
    """Adds a part; returns the state of its problem."""
    facts = _facts(problem_part, now_us)
    state: Row = connection.execute(_ADD[problem_part.counted], facts).fetchone()
    if problem_part.counted == "reports" and state["reports"] == 1:
        traces.note(connection, problem_part.fingerprint, problem_part.fault)
    for table, column in _PARTS.items():
        if facts[column] is None:
            continue
        counted = connection.execute(_ADD_PART[table], facts).fetchone()[0]
        if column == "host" and counted == 1:
            connection.execute(
                "UPDATE problems SET hosts = hosts + 1 WHERE fingerprint = ?",
                (problem_part.fingerprint,),
            )
    if problem_part.at_us is not None:
        connection.execute(_ADD_DAY, facts)
    if _may_be_latest(state, problem_part, facts):
        connection.execute(_LATEST[problem_part.counted], facts)
    return state


def _may_be_latest(state: Row, problem_part: ProblemPart, facts: dict[str, Any]) -> bool:
    """Returns whether a problem, of the state after a part was added, may be called by it: a report
    is not the latest where an incident names the problem, or a later report does.
    """
    if problem_part.counted == "incidents":
        return True
    return state["incident_us"] is None and state["last_us"] <= facts["time"]


def _take(connection: Connection, problem_part: ProblemPart, now_us: int) -> None:
    """Takes back what one added; where it was at an end of the time, the end is looked up
    again.
    """
    facts = _facts(problem_part, now_us)
    _shrink(connection, "problems", None, facts)
    for table, column in _PARTS.items():
        if facts[column] is not None:
            _shrink(connection, table, column, facts)
    day = (
        "UPDATE problem_days SET incidents = incidents - :incident, reports = reports - :report "
        "WHERE fingerprint = :fingerprint AND day_us = :day"
    )
    connection.execute(day, facts)
    for table in (*_PARTS, "problem_days"):
        gone = connection.execute(
            (f"DELETE FROM {table} WHERE fingerprint = ? AND incidents <= 0 AND reports <= 0"),  # noqa: S608
            (problem_part.fingerprint,),
        ).rowcount
        if gone and table == "problem_hosts":
            connection.execute(
                "UPDATE problems SET hosts = hosts - ? WHERE fingerprint = ?",
                (gone, problem_part.fingerprint),
            )
    for statement in _EMPTY:
        connection.execute(statement, (problem_part.fingerprint,))


def _shrink(
    connection: Connection, table: str, column: str | None, facts: dict[str, object]
) -> None:
    """Counts one less in a table; incidents tell no hardware, so its ends are those of reports."""
    also = f"{column} = :{column}" if column else "TRUE"
    place = f"fingerprint = :fingerprint AND {also}"
    connection.execute(
        f"UPDATE {table} SET incidents = incidents - :incident, reports = reports - :report "  # noqa: S608
        f"WHERE {place}",
        facts,
    )
    incidents = "FALSE" if column == "hardware" else also
    for end, least, order in (("first_us", "min", "ASC"), ("last_us", "max", "DESC")):
        bound = _END.format(least=least, order=order, incidents=incidents, faults=also)
        connection.execute(
            f"UPDATE {table} SET {end} = coalesce({bound}, {end}) WHERE {place} AND {end} = :time "  # noqa: S608
            "AND incidents + reports > 0",
            facts,
        )


def _returned(
    connection: Connection, problem_part: ProblemPart, row: Row, now_us: int
) -> str | None:
    """Returns whether this is a regression: it began after its problem was resolved, on no
    release older than the one with the fix. The incident of a report that was one is one as
    well.
    """
    if row["state"] == "open" and row["regressed_fault"] == problem_part.fault:
        return (row["fixed_in"] or "") if problem_part.counted == "incidents" else None
    if row["state"] != "resolved":
        return None
    if problem_part.at_us is None or problem_part.at_us <= row["state_us"]:
        return None
    fixed = release_number(row["fixed_in"]) if row["fixed_in"] else None
    if fixed is not None and problem_part.release is not None and problem_part.release < fixed:
        return None
    connection.execute(
        _RETURNED,
        {"now": now_us, "fingerprint": problem_part.fingerprint, "fault": problem_part.fault},
    )
    mark_problem(connection, problem_part.fingerprint, now_us)
    return row["fixed_in"] or ""


def _facts(problem_part: ProblemPart, now_us: int) -> dict[str, object]:
    at_us = problem_part.at_us
    return {
        "id": problem_part.id,
        "fingerprint": problem_part.fingerprint,
        "host": problem_part.host,
        "kernel": problem_part.kernel,
        "release": problem_part.release,
        "hardware": problem_part.hardware,
        "at_us": at_us,
        "incident": int(problem_part.counted == "incidents"),
        "report": int(problem_part.counted == "reports"),
        "time": now_us if at_us is None else at_us,
        "day": None if at_us is None else at_us - at_us % DAY_US,
    }
