"""Reads the history: incidents, noise, totals. Pure SQL over the file, with or without a running service beside it.

In: filters. Out: frozen values. Writes nothing. Times are µs since 1970; `since_us` is included, `until_us` is not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from sqlite3 import Connection, Row
from typing import Any, Literal

from sqlite_utils import Database

from detector.items import Item
from detector.model import Block, Diagnosis, Incident
from detector.store import incidents, reports
from detector.store.connection import connect_reading
from detector.store.errors import StoreError, explained
from detector.store.rows import read_diagnosis

NoiseColumn = Literal["host", "process", "signature", "hour"]

# The anchor's report says what crashed; without a title of its own an incident is called by its anchor's text.
_INCIDENT = """
SELECT i.*, coalesce(i.title, m.text) AS headline, m.kernel_time_us,
  (SELECT count(DISTINCT match_id) FROM evidence
   WHERE incident_id IN (SELECT i.id UNION SELECT id FROM incidents WHERE joined_into = i.id)) AS matches
FROM incidents i JOIN matches m ON m.id = i.anchor_id
"""
_LIST = f"""{_INCIDENT}
WHERE i.joined_into IS NULL
  AND (:host IS NULL OR i.host GLOB :host) AND (:rule IS NULL OR i.rule = :rule)
  AND (:severity IS NULL OR i.severity = :severity) AND (:state IS NULL OR i.state = :state)
  AND (:since IS NULL OR coalesce(i.started_us, i.found_us) >= :since) AND (:until IS NULL OR coalesce(i.started_us, i.found_us) < :until)
ORDER BY coalesce(i.started_us, i.found_us) DESC, i.id LIMIT :limit
"""
_BY_PREFIX = f"{_INCIDENT} WHERE substr(i.id, 1, length(:id)) = :id ORDER BY i.id LIMIT 2"
_NOISE = """
SELECT {columns}, sum(count) AS count, min(first_us) AS first_us, max(last_us) AS last_us,
  min(first_kernel_us) AS first_kernel_us, max(last_kernel_us) AS last_kernel_us FROM noise
WHERE (:host IS NULL OR host GLOB :host)
  AND (:since IS NULL OR coalesce(last_us, hour_us) >= :since) AND (:until IS NULL OR coalesce(first_us, hour_us) < :until)
GROUP BY {columns} ORDER BY count DESC, {columns} LIMIT :top
"""
_TOTALS = """
SELECT (SELECT count(*) FROM hosts) AS hosts, (SELECT count(*) FROM boots) AS boots, (SELECT count(*) FROM matches) AS matches,
  (SELECT count(*) FROM reports) AS reports, (SELECT count(*) FROM reports WHERE open) AS open_reports,
  (SELECT count(*) FROM incidents WHERE joined_into IS NULL) AS incidents,
  (SELECT count(*) FROM incidents WHERE joined_into IS NOT NULL) AS joined,
  (SELECT coalesce(sum(count), 0) FROM noise) AS noise,
  (SELECT min(first_seen_us) FROM hosts) AS first_us, (SELECT max(last_seen_us) FROM hosts) AS last_us
"""


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident of a list. `found_us` is when it was found, `matches` how many it rests on; its anchor's report says what crashed."""

    id: str
    rule: str
    severity: str
    host: str
    boot: str
    time_basis: str
    gap_us: int
    started_us: int | None
    found_us: int
    kernel_time_us: int | None
    title: str
    kind: str | None
    function: str | None
    module: str | None
    kernel: str | None
    fingerprint: str | None
    known_issue: str | None
    state: str
    joined_into: str | None
    matches: int


@dataclass(frozen=True, slots=True)
class IncidentDetail:
    """All that is stored of one incident: the noun with its evidence, its anchor's block, what was read from that, the diagnosis."""

    row: IncidentRow
    incident: Incident
    block: Block | None
    report: Item | None
    diagnosis: Diagnosis | None


@dataclass(frozen=True, slots=True)
class NoiseRow:
    """Crashes of user space, added up over the columns that are None."""

    host: str | None
    process: str | None
    signature: str | None
    hour_us: int | None
    count: int
    first_us: int | None
    last_us: int | None
    first_kernel_us: int | None
    last_kernel_us: int | None


@dataclass(frozen=True, slots=True)
class Totals:
    """How much the history holds; `incidents` without those that were joined into another."""

    hosts: int
    boots: int
    matches: int
    reports: int
    open_reports: int
    incidents: int
    joined: int
    noise: int
    first_us: int | None
    last_us: int | None


def open_history(path: str | Path) -> History:
    """Opens an existing history for reading only. Raises `StoreError` where it is missing, not ours, damaged, or of another version."""
    return History(connect_reading(str(path)), str(path))


class History:
    """The history, open for reading. Every query raises `StoreError` where the file turns out damaged or unreadable."""

    def __init__(self, db: Database, path: str) -> None:
        self.db = db
        self.path = path
        self._connection: Connection = db.conn

    def incidents(
        self,
        *,
        host: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
        rule: str | None = None,
        severity: str | None = None,
        state: str | None = None,
        limit: int = 100,
    ) -> list[IncidentRow]:
        """Live incidents, newest first; `host` is a shell pattern (`db-*`), `limit` -1 means all."""
        wanted = {"host": host, "since": since_us, "until": until_us, "rule": rule, "severity": severity, "state": state, "limit": limit}
        return [_incident_row(row) for row in self._rows(_LIST, wanted)]

    def incident(self, identity: str) -> IncidentDetail | None:
        """One incident, also a joined one, by its id or by a beginning that no other id has; None where there is none."""
        rows = self._rows(_BY_PREFIX, {"id": identity}) if identity else []
        if not rows:
            return None
        if len(rows) > 1 and rows[0]["id"] != identity:
            raise StoreError(f"{self.path}: more than one incident begins with {identity}: give more of its id")
        return self._detail(rows[0])

    def noise(
        self,
        *,
        by: Sequence[NoiseColumn] = ("host", "process", "signature"),
        host: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
        top: int = 100,
    ) -> list[NoiseRow]:
        """Crashes of user space, added up by some columns, the most frequent first; whole hours that touch the time; `top` -1: all."""
        allowed = {"host": "host", "process": "process", "signature": "signature", "hour": "hour_us"}
        columns = [allowed[column] for column in by]
        query = _NOISE.format(columns=", ".join(columns or ["NULL"]))
        rows = self._rows(query, {"host": host, "since": since_us, "until": until_us, "top": top})
        unused: dict[str, Any] = dict.fromkeys(allowed.values())
        return [NoiseRow(**(unused | _named(NoiseRow, row))) for row in rows]

    def totals(self) -> Totals:
        """How much the history holds."""
        return Totals(**_named(Totals, self._rows(_TOTALS, {})[0]))

    def counters(self) -> dict[str, int]:
        """The named counters, such as the records that no format reads."""
        return {row["name"]: row["count"] for row in self._rows("SELECT name, count FROM counters ORDER BY name", {})}

    def close(self) -> None:
        """Closes the connection."""
        self.db.close()

    def _detail(self, row: Row) -> IncidentDetail:
        with explained(self.path):
            incident = incidents.load(self._connection, row)
            block = reports.block_of(self._connection, row["anchor_id"])
            details = self._connection.execute("SELECT details FROM reports WHERE match_id = ?", (row["anchor_id"],)).fetchone()
        report = json.loads(details[0]) if details and details[0] else None
        diagnosis = read_diagnosis(row["diagnosis"]) if row["diagnosis"] else None
        return IncidentDetail(_incident_row(row), incident, block, report, diagnosis)

    def _rows(self, query: str, parameters: dict[str, Any]) -> list[Row]:
        with explained(self.path):
            return self._connection.execute(query, parameters).fetchall()


def _incident_row(row: Row) -> IncidentRow:
    return IncidentRow(**(_named(IncidentRow, row) | {"title": row["headline"]}))


def _named(noun: type[Any], row: Row) -> dict[str, Any]:
    """The columns of a row that a noun has fields for."""
    names = {field.name for field in fields(noun)}
    return {name: row[name] for name in row.keys() if name in names}  # noqa: SIM118 (a Row iterates over values)
