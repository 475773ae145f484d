"""Tables of spreads: hosts of a value by the hour, and incidents of many hosts."""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import faults
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (faults,)


@MIGRATIONS()
def m009_spreads(db: Database) -> None:
    """Hosts by value and hour; the span of each incident of many hosts, and its hosts."""
    db.executescript(_SPREADS)


_SPREADS = """
CREATE TABLE value_hours (
  field TEXT NOT NULL CHECK (field IN ('fingerprint', 'process')),
  value TEXT NOT NULL,
  hour_us INTEGER NOT NULL,
  host TEXT NOT NULL,
  match_id INTEGER,
  PRIMARY KEY (field, value, hour_us, host)
) STRICT, WITHOUT ROWID;
CREATE INDEX value_hours_hour ON value_hours (hour_us);
CREATE INDEX value_hours_match ON value_hours (match_id) WHERE match_id IS NOT NULL;

CREATE TABLE spreads (
  incident_id TEXT NOT NULL PRIMARY KEY REFERENCES incidents (id) DEFERRABLE INITIALLY DEFERRED,
  rule TEXT NOT NULL,
  field TEXT NOT NULL,
  value TEXT NOT NULL,
  first_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  hosts INTEGER NOT NULL,
  told INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spreads_value ON spreads (rule, value, last_us);

CREATE TABLE spread_hosts (
  incident_id TEXT NOT NULL REFERENCES incidents (id) DEFERRABLE INITIALLY DEFERRED,
  host TEXT NOT NULL,
  PRIMARY KEY (incident_id, host)
) STRICT, WITHOUT ROWID;
"""
