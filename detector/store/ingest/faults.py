"""The table of faults: each stored match once, with what it is searched by; and what its
report adds to its problem and to the days of the fleet.

In: ids of matches that are new or changed. Out: their rows, made anew from matches and reports:
doing it again changes nothing. A fault that the kernel panicked after is critical, whatever it
began as. Runs inside the transaction of the journal that owns the connection.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from sqlite3 import Connection, Row

from detector.store.ingest import fleet, problems
from detector.store.ingest.problems import ProblemPart
from detector.store.rows import NAME_LIMIT, clean, release_number

# Lines of oopswatch's own (the input is silent, a burst of noise) are no faults of a kernel.
_SOURCE = """
SELECT m.id, coalesce(max(m.wall_time_us, 0), 0) AS at_us, m.host, m.signature, m.class,
  CASE WHEN coalesce(r.details ->> '$.panic', '') = '' THEN m.severity
    ELSE 'critical' END AS severity, r.match_id IS NOT NULL AS reported,
  r.function, r.module, r.kernel, r.details ->> '$.hardware' AS hardware, r.fingerprint
FROM matches m LEFT JOIN reports r ON r.match_id = m.id WHERE m.id IN (SELECT value
  FROM json_each(?))
  AND m.signature NOT GLOB 'oopswatch.*'
"""
_STORED = "SELECT * FROM faults WHERE id IN (SELECT value FROM json_each(?)) AND reported"
_INSERT = "INSERT OR REPLACE INTO faults VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def refresh(connection: Connection, ids: Collection[int], now_us: int) -> None:
    """Makes the rows of some matches anew, and moves what their reports add."""
    ids_json = json.dumps(sorted(ids))
    before = {row["id"]: row for row in connection.execute(_STORED, (ids_json,))}
    rows = [_known_facts(row) for row in connection.execute(_SOURCE, (ids_json,))]
    connection.executemany(_INSERT, rows)
    after = {row["id"]: row for row in connection.execute(_STORED, (ids_json,))}
    for identity, row in after.items():
        old = before.get(identity)
        if old is None or tuple(old) != tuple(row):
            problems.move(connection, part(old), part(row), now_us)
            fleet.move_crash(connection, old, row)
            if row["hardware"] is not None:
                fleet.tell_hardware(connection, row["host"], row["hardware"], row["at_us"])


def part(row: Row | None) -> ProblemPart | None:
    """Returns what the report of a fault adds to its problem; None for one without a
    fingerprint.
    """
    if row is None or row["fingerprint"] is None:
        return None
    kernel = row["kernel"]
    return ProblemPart(
        "reports",
        row["id"],
        row["fingerprint"],
        row["host"],
        kernel,
        release_number(kernel) if kernel else None,
        row["hardware"],
        row["at_us"] or None,
        row["id"],
    )


def _known_facts(row: Row) -> tuple[object, ...]:
    """The row as it is stored: hardware by its model alone."""
    values = dict(row)
    if values["hardware"] is not None:
        values["hardware"] = clean(fleet.model_of(values["hardware"]), NAME_LIMIT)
    return tuple(values.values())
