"""Incidents that come to their end by themselves: nothing new for long, or a reboot that
their rule accepts.

In: the time, the settings. Out: incidents resolved, each with its reason, in the log of changes.
Runs inside a transaction of its caller.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from sqlite3 import Connection

from detector.boots import ROUNDING_US
from detector.render.objects import moment
from detector.store.lifecycle import changes

_LIMIT = 500
_QUIET = """
SELECT id, changed_us FROM incidents INDEXED BY incidents_live
WHERE state <> 'resolved' AND changed_us < ? AND joined_into IS NULL
  AND rule NOT IN (SELECT value FROM json_each(?)) LIMIT ?
"""
# A boot that began after the fault's own, told as in `same_boot.same_boot`: by both starts on the
# wall clock, or by the count in one stream.
_REBOOTED = """
SELECT i.id, min(b.epoch_us) AS epoch_us FROM incidents i INDEXED BY incidents_live
  CROSS JOIN matches m ON m.id = i.anchor_id CROSS JOIN boots b ON b.host = i.host
WHERE i.state <> 'resolved' AND i.joined_into IS NULL AND i.rule IN (SELECT value
  FROM json_each(:rules))
  AND (b.boot_id IS NULL OR m.boot_id IS NULL OR b.boot_id <> m.boot_id)
  AND (b.epoch_us > m.epoch_us + CASE WHEN b.boot_id <> m.boot_id THEN 0
         ELSE min(:tolerance, max(:rounding, coalesce(m.kernel_time_us, 0))) END
    OR (b.stream <> '' AND b.stream = m.stream AND b.boot_count > m.boot_count))
GROUP BY i.id LIMIT :limit
"""


def close_quiet(
    connection: Connection, now_us: int, quiet_us: int, spared: Collection[str] = ()
) -> int:
    """Resolves incidents of which nothing new came for so long, except those of the rules in
    `spared`. Returns how many.
    """
    rows = connection.execute(_QUIET, (now_us - quiet_us, _array(spared), _LIMIT)).fetchall()
    for row in rows:
        reason = f"quiet: nothing new since {moment(row['changed_us'])}"
        changes.record(connection, row["id"], now_us, "resolved", reason=reason, state="resolved")
    return len(rows)


def close_rebooted(
    connection: Connection, now_us: int, rules: Collection[str], tolerance_us: int
) -> int:
    """Resolves incidents of these rules whose host has booted since. Returns how many."""
    facts = {
        "rules": _array(rules),
        "tolerance": tolerance_us,
        "rounding": ROUNDING_US,
        "limit": _LIMIT,
    }
    rows = connection.execute(_REBOOTED, facts).fetchall()
    for row in rows:
        at = f" at {moment(row['epoch_us'])}" if row["epoch_us"] is not None else ""
        reason = f"the host was rebooted{at}, which the rule takes for its end"
        changes.record(connection, row["id"], now_us, "resolved", reason=reason, state="resolved")
    return len(rows)


def close_rule(connection: Connection, now_us: int, rule: str, host: str, reason: str) -> int:
    """Resolves the incidents of one rule on one host: what they told of is over. Returns how
    many.
    """
    query = (
        "SELECT id FROM incidents WHERE host = ? AND rule = ? AND state <> 'resolved' AND "
        "joined_into IS NULL"
    )
    rows = connection.execute(query, (host, rule)).fetchall()
    for row in rows:
        changes.record(connection, row["id"], now_us, "resolved", reason=reason, state="resolved")
    return len(rows)


def _array(names: Collection[str]) -> str:
    return json.dumps(sorted(names))
