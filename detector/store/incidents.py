"""The stored incidents, with their evidence and with which incident was joined into which.

In: incidents. Out: incidents and stored matches. Runs inside the transaction of the journal that owns the connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from sqlite3 import Connection, Row
from typing import Any

from detector.correlate import StoredMatch, in_order
from detector.model import CrashReport, Diagnosis, Incident
from detector.store.rows import clean, diagnosis_to_json, read_incident, read_match, release_number

# What was found, and who found it first, stays; what is known of it grows.
_SAVE = """
INSERT INTO incidents (id, rule, severity, host, boot, time_basis, gap_us, started_us, found_us, anchor_id, title, fingerprint,
                       known_issue, diagnosis, kind, function, module, kernel, release, changed_us)
VALUES (:id, :rule, :severity, :host, :boot, :time_basis, :gap_us, :started_us, :found_us, :anchor, :title,
        (SELECT fingerprint FROM reports WHERE match_id = :anchor), :known_issue, :diagnosis,
        :kind, :function, :module, :kernel, :release, :found_us)
ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, boot = excluded.boot, time_basis = excluded.time_basis,
  gap_us = excluded.gap_us, started_us = excluded.started_us, title = excluded.title, fingerprint = excluded.fingerprint,
  known_issue = excluded.known_issue, diagnosis = excluded.diagnosis, kind = excluded.kind, function = excluded.function,
  module = excluded.module, kernel = excluded.kernel, release = excluded.release
"""
# Every joined incident points at the live one itself, never at another joined one.
_JOIN = "UPDATE incidents SET joined_into = :live WHERE (id = :joined OR joined_into = :joined) AND id <> :live"
_EVIDENCE = """
WITH wanted (id) AS (SELECT value FROM json_each(:ids)),
  family (id) AS (SELECT id FROM wanted UNION SELECT i.id FROM incidents i JOIN wanted w ON i.joined_into = w.id)
SELECT m.*, m.id IN (SELECT anchor_id FROM incidents WHERE id IN wanted) AS anchors FROM matches m
WHERE m.id IN (SELECT match_id FROM evidence WHERE incident_id IN family)
ORDER BY anchors DESC, m.kernel_time_us, m.wall_time_us, m.id LIMIT :limit
"""


def save(
    connection: Connection,
    incident: Incident,
    anchor: int,
    evidence: Iterable[int],
    diagnosis: Diagnosis | None,
    report: CrashReport | None,
    found_us: int,
) -> bool:
    """Stores an incident or what more is known of it; evidence is added to, never taken away. True where it is new."""
    row = connection.execute("SELECT coalesce(joined_into, id) FROM incidents WHERE id = ?", (incident.id,)).fetchone()
    facts: dict[str, Any] = {
        name: getattr(incident, name) for name in ("id", "rule", "severity", "host", "boot", "time_basis", "gap_us", "started_us")
    }
    facts |= {name: clean(value) if (value := getattr(report, name, None)) else None for name in ("kind", "function", "module", "kernel")}
    facts |= {
        "found_us": found_us,
        "anchor": anchor,
        "title": clean(report.title) if report and report.title else None,
        "known_issue": diagnosis.known_issue if diagnosis else None,
        "release": release_number(report.kernel) if report and report.kernel else None,
        "diagnosis": diagnosis_to_json(diagnosis) if diagnosis else None,
    }
    connection.execute(_SAVE, facts)
    connection.executemany("INSERT OR IGNORE INTO evidence (incident_id, match_id) VALUES (?, ?)", [(incident.id, one) for one in evidence])
    live = row[0] if row else incident.id
    connection.executemany(_JOIN, [{"live": live, "joined": joined} for joined in incident.joined])
    return row is None


def evidence(connection: Connection, ids: Sequence[str], limit: int) -> list[Row]:
    """The rows of the matches that incidents, and those joined into them, rest on: their anchors first, then by time."""
    return connection.execute(_EVIDENCE, {"ids": json.dumps(list(ids)), "limit": limit}).fetchall()


def anchored(connection: Connection, match_id: int, limit: int) -> list[tuple[Incident, tuple[int, ...]]]:
    """The live incidents that one match anchors, with the ids of their evidence."""
    rows = connection.execute("SELECT * FROM incidents WHERE anchor_id = ? AND joined_into IS NULL ORDER BY id", (match_id,)).fetchall()
    return [(load(connection, row, limit), tuple(one["id"] for one in evidence(connection, [row["id"]], limit))) for row in rows]


def load(connection: Connection, row: Row, limit: int = -1) -> Incident:
    """An incident of its row, with at most `limit` matches of evidence (-1: all) in the order of time."""
    ordered = in_order(StoredMatch(one["id"], read_match(one)) for one in evidence(connection, [row["id"]], limit))
    anchor = read_match(connection.execute("SELECT * FROM matches WHERE id = ?", (row["anchor_id"],)).fetchone())
    joined = connection.execute("SELECT id FROM incidents WHERE joined_into = ? ORDER BY id", (row["id"],))
    return read_incident(row, anchor, tuple(one.match for one in ordered), tuple(one["id"] for one in joined))
