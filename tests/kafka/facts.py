"""What a history says, table by table, so that two of them can be held against each other."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tests.kafka.service import ask

# Times at which something was found are left out, and hours: old ones are folded into days.
QUERIES = {
    "incidents": (
        "SELECT i.id, i.rule, i.host, i.time_basis, i.gap_us, i.started_us, i.title, i.fingerprint,"
        " count(e.match_id) FROM incidents i JOIN evidence e ON e.incident_id = i.id"
        " WHERE i.joined_into IS NULL GROUP BY 1"
    ),
    "matches": "SELECT source, number, host, signature, kernel_time_us, text FROM matches",
    "reports": (
        "SELECT m.source, m.number, r.complete, r.kind, r.title, r.function, r.lines"
        " FROM reports r JOIN matches m ON m.id = r.match_id"
    ),
    "noise": "SELECT host, process, signature, sum(count) FROM noise GROUP BY 1, 2, 3",
    "kernel errors": (
        "SELECT e.template, e.level, e.count, e.hosts, e.first_us, e.last_us, h.host, h.count"
        " FROM kernel_errors e JOIN kernel_error_hosts h ON h.error_id = e.id"
    ),
    "rejected": "SELECT source, number, stage FROM rejected",
    "counters": "SELECT name, count FROM counters",
}


SHOWN = 3


def differences(found: Path, expected: Path) -> dict[str, tuple[int, int]]:
    """How many rows of each table are missing, and how many are there once too often; tables
    that agree are left out. The first of such rows are printed.
    """
    differing = {}
    for name, query in QUERIES.items():
        one, other = Counter(ask(found, query)), Counter(ask(expected, query))
        missing, doubled = other - one, one - other
        if missing or doubled:
            differing[name] = missing.total(), doubled.total()
            for what, rows in (("missing", missing), ("too many", doubled)):
                for row in sorted(rows, key=repr)[:SHOWN]:
                    print(f"{name}, {what}: {str(row)[:600]}")
    return differing


def frames(store: Path) -> list[tuple[str, str, int]]:
    """By report, its host, its title, and how many frames were read."""
    query = (
        "SELECT m.host, r.title, r.details FROM reports r JOIN matches m ON m.id = r.match_id "
        "ORDER BY m.host, m.kernel_time_us"
    )
    return [
        (host, title, len(json.loads(details or "{}").get("frames", ())))
        for host, title, details in ask(store, query)
    ]


def faults_of(store: Path) -> list[str]:
    """What SQLite's own check says of a file: nothing where it is whole."""
    rows = [str(row[0]) for row in ask(store, "PRAGMA integrity_check")]
    return [row for row in rows if row != "ok"]
