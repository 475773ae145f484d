"""Tables that incidents are searched by: their place in time, the index of words, kernels,
and counts that would be too slow to make anew.
"""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.query import search_index
from detector.store.schema import alerts
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (alerts,)


@MIGRATIONS()
def m004_search(db: Database) -> None:
    """Places, words, kernels, and counts by day, by state and of noise by program; fills them
    from what is there.
    """
    db.executescript(_SEARCH)
    search_index.index_all(db.conn)


# `trusted_schema` is off: triggers use nothing but plain SQL. A place is the start in µs, 11 bits
# further left: see `search_index.index`.
_SEARCH = """
ALTER TABLE incidents ADD COLUMN place INTEGER;
CREATE INDEX incidents_place
  ON incidents (place, severity, state, rule, host, fingerprint, function, module, kernel, release, known_issue) WHERE place IS NOT NULL;
DROP INDEX incidents_host;
CREATE INDEX incidents_host ON incidents (host, place);

CREATE VIRTUAL TABLE incident_words USING fts5 (words, detail = none, columnsize = 0, tokenize = "ascii tokenchars '_'");

CREATE TABLE vocabulary (
  word TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE kernels (
  kernel TEXT NOT NULL PRIMARY KEY,
  release INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX kernels_release ON kernels (release);

CREATE TABLE incident_counts (
  severity TEXT NOT NULL,
  state TEXT NOT NULL,
  incidents INTEGER NOT NULL,
  PRIMARY KEY (severity, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE incident_days (
  day_us INTEGER NOT NULL,
  severity TEXT NOT NULL,
  incidents INTEGER NOT NULL,
  PRIMARY KEY (day_us, severity)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER incidents_placed AFTER UPDATE OF place, severity, state ON incidents
WHEN (old.place, old.severity, old.state) IS NOT (new.place, new.severity, new.state) BEGIN
  UPDATE incident_counts SET incidents = incidents - 1 WHERE old.place IS NOT NULL AND (severity, state) = (old.severity, old.state);
  UPDATE incident_days SET incidents = incidents - 1
    WHERE old.place IS NOT NULL AND (day_us, severity) = ((old.place >> 11) / 86400000000 * 86400000000, old.severity);
  INSERT INTO incident_counts SELECT new.severity, new.state, 1 WHERE new.place IS NOT NULL
    ON CONFLICT DO UPDATE SET incidents = incidents + 1;
  INSERT INTO incident_days SELECT (new.place >> 11) / 86400000000 * 86400000000, new.severity, 1 WHERE new.place IS NOT NULL
    ON CONFLICT DO UPDATE SET incidents = incidents + 1;
END;
CREATE TRIGGER incidents_removed AFTER DELETE ON incidents WHEN old.place IS NOT NULL BEGIN
  UPDATE incident_counts SET incidents = incidents - 1 WHERE (severity, state) = (old.severity, old.state);
  UPDATE incident_days SET incidents = incidents - 1
    WHERE (day_us, severity) = ((old.place >> 11) / 86400000000 * 86400000000, old.severity);
END;

CREATE TABLE noise_programs (
  process TEXT NOT NULL,
  signature TEXT NOT NULL,
  hour_us INTEGER NOT NULL,
  count INTEGER NOT NULL,
  first_us INTEGER,
  last_us INTEGER,
  PRIMARY KEY (hour_us, process, signature)
) STRICT, WITHOUT ROWID;
INSERT INTO noise_programs
  SELECT process, signature, hour_us, sum(count), min(first_us), max(last_us) FROM noise GROUP BY hour_us, process, signature;
CREATE INDEX noise_process ON noise (process, hour_us);

CREATE TABLE signature_hours (
  signature TEXT NOT NULL,
  hour_us INTEGER NOT NULL,
  matches INTEGER NOT NULL,
  PRIMARY KEY (signature, hour_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX signature_hours_hour ON signature_hours (hour_us);
INSERT INTO signature_hours
  SELECT signature, coalesce(wall_time_us, 0) / 3600000000 * 3600000000, count(*) FROM matches WHERE TRUE GROUP BY 1, 2;

CREATE TABLE sizes (
  name TEXT NOT NULL PRIMARY KEY,
  rows INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO sizes SELECT 'hosts', count(*) FROM hosts;
INSERT INTO sizes SELECT 'reports', count(*) FROM reports;
INSERT INTO sizes SELECT 'joined', count(*) FROM incidents WHERE joined_into IS NOT NULL;
INSERT INTO sizes SELECT 'noise', coalesce(sum(count), 0) FROM noise;
INSERT INTO sizes VALUES ('removed matches', 0);
CREATE TRIGGER hosts_added AFTER INSERT ON hosts BEGIN UPDATE sizes SET rows = rows + 1 WHERE name = 'hosts'; END;
CREATE TRIGGER reports_added AFTER INSERT ON reports BEGIN UPDATE sizes SET rows = rows + 1 WHERE name = 'reports'; END;
CREATE TRIGGER reports_removed AFTER DELETE ON reports BEGIN UPDATE sizes SET rows = rows - 1 WHERE name = 'reports'; END;
CREATE TRIGGER incidents_joined_into AFTER UPDATE OF joined_into ON incidents WHEN old.joined_into IS NULL AND new.joined_into IS NOT NULL
  BEGIN UPDATE sizes SET rows = rows + 1 WHERE name = 'joined'; END;
CREATE TRIGGER joined_removed AFTER DELETE ON incidents WHEN old.joined_into IS NOT NULL
  BEGIN UPDATE sizes SET rows = rows - 1 WHERE name = 'joined'; END;
CREATE INDEX notifications_change ON notifications (change_id);
CREATE INDEX deliveries_group ON deliveries (group_id);
CREATE INDEX alert_groups_leader ON alert_groups (leader);
CREATE INDEX problems_first ON problems (first_us);
CREATE INDEX problems_regressed ON problems (regressed_us) WHERE regressed_us IS NOT NULL;
"""
