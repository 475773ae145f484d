"""The stored incidents, with their evidence and with which incident was joined into which.

In: incidents. Out: incidents and stored matches; what changed goes into the log of changes and into
the problem's sums. Runs inside the transaction of the journal that owns the connection.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection, Row
from typing import Any

from detector.correlate import StoredMatch, in_order
from detector.model import CrashReport, Diagnosis, Incident
from detector.store.ingest import problems
from detector.store.lifecycle import changes
from detector.store.lifecycle.states import after_evidence
from detector.store.query.spreads import spread_of
from detector.store.rows import clean, diagnosis_to_json, read_incident, read_match, release_number

# What was found, and who found it first, stays; what is known of it grows.
_SAVE = """
INSERT INTO incidents (id, rule, severity, host, boot, time_basis, gap_us, started_us, found_us,
  anchor_id, title, fingerprint,
                       known_issue, diagnosis, kind, function, module, kernel, release, changed_us)
VALUES (:id, :rule, :severity, :host, :boot, :time_basis, :gap_us, :started_us, :found_us, :anchor,
  :title,
        (SELECT fingerprint FROM reports WHERE match_id = :anchor), :known_issue, :diagnosis,
        :kind, :function, :module, :kernel, :release, :found_us)
ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, boot = excluded.boot, time_basis =
  excluded.time_basis,
  gap_us = excluded.gap_us, started_us = excluded.started_us, title = excluded.title, fingerprint =
    excluded.fingerprint,
  known_issue = excluded.known_issue, diagnosis = excluded.diagnosis, kind = excluded.kind,
    function = excluded.function,
  module = excluded.module, kernel = excluded.kernel, release = excluded.release
RETURNING *
"""
# Every joined incident points at the live one itself, never at another joined one.
_JOIN = (
    "UPDATE incidents SET joined_into = :live, changed_us = :now WHERE (id = :joined OR "
    "joined_into = :joined) AND id <> :live"
)
# Of the evidence that is new, each signature once, with its latest time, and whether the incident
# had such evidence before.
_NEW_EVIDENCE = """
WITH new (id) AS (SELECT value FROM json_each(:ids) WHERE NOT EXISTS (
  SELECT 1 FROM evidence WHERE incident_id = :id AND match_id = value))
SELECT m.signature, max(m.wall_time_us) AS latest_us, EXISTS (
  SELECT 1 FROM evidence e JOIN matches o ON o.id = e.match_id WHERE e.incident_id = :id
    AND o.signature = m.signature) AS seen
FROM new JOIN matches m ON m.id = new.id GROUP BY m.signature ORDER BY m.signature
"""
# Which incidents rest on some matches, and what goes on under another: the live one and its rule.
_RESTING = """
SELECT DISTINCT i.id, i.rule, l.id AS live, l.rule AS live_rule
FROM evidence e JOIN incidents i ON i.id = e.incident_id
  JOIN incidents l ON l.id = coalesce(i.joined_into, i.id)
WHERE e.match_id IN (SELECT value FROM json_each(?)) ORDER BY i.id
"""
_SPOKEN = {"title": "title", "fingerprint": "fingerprint", "known_issue": "known issue"}
_EVIDENCE = """
WITH wanted (id) AS (SELECT value FROM json_each(:ids)),
  family (id) AS (SELECT id FROM wanted UNION SELECT i.id FROM incidents i
    JOIN wanted w ON i.joined_into = w.id)
SELECT m.*, m.id IN (SELECT anchor_id FROM incidents WHERE id IN wanted) AS anchors FROM matches m
WHERE m.id IN (SELECT match_id FROM evidence WHERE incident_id IN family)
ORDER BY anchors DESC, m.kernel_time_us, m.wall_time_us, m.id LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class RestingIncident:
    """An incident that rests on a match: its id and rule, and the live incident that it is, or
    that it became part of, with the rule of that.
    """

    id: str
    rule: str
    live: str
    live_rule: str


def save(
    connection: Connection,
    incident: Incident,
    anchor: int,
    evidence: Sequence[int],
    diagnosis: Diagnosis | None,
    report: CrashReport | None,
    now_us: int,
) -> bool:
    """Stores an incident or what more is known of it; evidence is added to, never taken away.

    True where it is new.
    """
    before = connection.execute("SELECT * FROM incidents WHERE id = ?", (incident.id,)).fetchone()
    fresh = connection.execute(
        _NEW_EVIDENCE, {"id": incident.id, "ids": json.dumps(list(evidence))}
    ).fetchall()
    after = connection.execute(
        _SAVE, _facts(incident, anchor, diagnosis, report, now_us)
    ).fetchone()
    if fresh:
        connection.executemany(
            "INSERT OR IGNORE INTO evidence (incident_id, match_id) VALUES (?, ?)",
            [(incident.id, match) for match in evidence],
        )
    returned = problems.move(
        connection, problems.of_incident(before), problems.of_incident(after), now_us
    )
    if returned is not None:
        connection.execute("UPDATE incidents SET regression = 1 WHERE id = ?", (incident.id,))
    _record(connection, before, after, fresh, returned, now_us)
    live = after["joined_into"] or incident.id
    for joined in incident.joined:
        _join(connection, joined, live, now_us)
    return before is None


def _facts(
    incident: Incident,
    anchor: int,
    diagnosis: Diagnosis | None,
    report: CrashReport | None,
    now_us: int,
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        name: getattr(incident, name)
        for name in ("id", "rule", "severity", "host", "boot", "time_basis", "gap_us", "started_us")
    }
    facts |= {
        name: clean(value) if (value := getattr(report, name, None)) else None
        for name in ("kind", "function", "module", "kernel")
    }
    return facts | {
        "found_us": now_us,
        "anchor": anchor,
        "title": clean(report.title) if report and report.title else None,
        "known_issue": diagnosis.known_issue if diagnosis else None,
        "release": release_number(report.kernel, report.package) if report else None,
        "diagnosis": diagnosis_to_json(diagnosis) if diagnosis else None,
    }


def _record(
    connection: Connection,
    before: Row | None,
    after: Row,
    fresh: Sequence[Row],
    returned: str | None,
    now_us: int,
) -> None:
    """Enters what happened into the log of changes: not every further line of a storm, only
    what says something new.
    """
    back = (
        []
        if returned is None
        else [
            "its problem was resolved"
            + (f" (fixed in {returned})" if returned else "")
            + " and is back"
        ]
    )
    if before is None:
        changes.record(connection, after["id"], now_us, "raised", reason="; ".join(back) or None)
        return
    resolved_us = before["changed_us"]
    recurred = any(row["latest_us"] is not None and row["latest_us"] > resolved_us for row in fresh)
    taken = after_evidence(before["state"], recurred=recurred)
    news = [
        f"{word}: {after[column]}"
        for column, word in _SPOKEN.items()
        if after[column] and after[column] != before[column]
    ]
    news += [f"new evidence: {row['signature']}" for row in fresh if not row["seen"]] + back
    if taken.what == "reopened":
        news = news or [f"again: {row['signature']}" for row in fresh]
    if news:
        state = taken.state if taken.state != before["state"] else None
        changes.record(
            connection, after["id"], now_us, taken.what, reason="; ".join(news), state=state
        )
    if fresh or news:
        connection.execute(
            "UPDATE incidents SET changed_us = ? WHERE id = ?", (now_us, after["id"])
        )


def _join(connection: Connection, joined: str, live: str, now_us: int) -> None:
    """One incident becomes part of another, with what was joined into it before."""
    row = connection.execute(
        "SELECT * FROM incidents WHERE id = ? AND id <> ?", (joined, live)
    ).fetchone()
    if row is None:
        return
    connection.execute(_JOIN, {"live": live, "joined": joined, "now": now_us})
    if row["joined_into"] is None:
        problems.move(connection, problems.of_incident(row), None, now_us)
    if row["joined_into"] != live:
        changes.record(connection, joined, now_us, "joined", reason=f"into {live}")


def resting_on(connection: Connection, match_ids: Sequence[int]) -> list[RestingIncident]:
    """The incidents that rest on any of these matches."""
    rows = connection.execute(_RESTING, (json.dumps(list(match_ids)),))
    return [RestingIncident(*row) for row in rows]


def join(connection: Connection, joined: str, live: str, now_us: int) -> None:
    """Makes one incident a part of another, unless it is."""
    row = connection.execute("SELECT joined_into FROM incidents WHERE id = ?", (joined,)).fetchone()
    if row is not None and row["joined_into"] != live:
        _join(connection, joined, live, now_us)


def evidence(connection: Connection, ids: Sequence[str], limit: int) -> list[Row]:
    """The rows of the matches that incidents, and those joined into them, rest on: their
    anchors first, then by time.
    """
    return connection.execute(_EVIDENCE, {"ids": json.dumps(list(ids)), "limit": limit}).fetchall()


def anchored(
    connection: Connection, match_id: int, limit: int
) -> list[tuple[Incident, tuple[int, ...]]]:
    """The live incidents that one match anchors, with the ids of their evidence."""
    rows = connection.execute(
        "SELECT * FROM incidents WHERE anchor_id = ? AND joined_into IS NULL ORDER BY id",
        (match_id,),
    ).fetchall()
    return [
        (
            load(connection, row, limit),
            tuple(match["id"] for match in evidence(connection, [row["id"]], limit)),
        )
        for row in rows
    ]


def load(connection: Connection, row: Row, limit: int = -1) -> Incident:
    """An incident of its row, with at most `limit` matches of evidence (-1: all) in the order
    of time.
    """
    ordered = in_order(
        StoredMatch(match["id"], read_match(match))
        for match in evidence(connection, [row["id"]], limit)
    )
    anchor = read_match(
        connection.execute("SELECT * FROM matches WHERE id = ?", (row["anchor_id"],)).fetchone()
    )
    joined = connection.execute(
        "SELECT id FROM incidents WHERE joined_into = ? ORDER BY id", (row["id"],)
    )
    return read_incident(
        row,
        anchor,
        tuple(item.match for item in ordered),
        tuple(item["id"] for item in joined),
        spread_of(connection, row["id"]),
    )
