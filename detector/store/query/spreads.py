"""The hosts and hours of an incident that many hosts share."""

from __future__ import annotations

from sqlite3 import Connection

from detector.model import Spread

# Hosts that are named; all are counted.
NAMED = 200
_SPREAD = "SELECT field, value, first_us, last_us, hosts FROM spreads WHERE incident_id = ?"
_NAMES = "SELECT host FROM spread_hosts WHERE incident_id = ? ORDER BY host LIMIT ?"


def spread_of(connection: Connection, incident_id: str) -> Spread | None:
    """Returns what is stored of an incident's hosts; None for an incident of one host."""
    row = connection.execute(_SPREAD, (incident_id,)).fetchone()
    if row is None:
        return None
    names = tuple(item["host"] for item in connection.execute(_NAMES, (incident_id, NAMED)))
    return Spread(row["field"], row["value"], row["first_us"], row["last_us"], row["hosts"], names)
