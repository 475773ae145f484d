"""Tables of the incident life cycle: their changes, and the problems that they belong to."""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema.migrations import MIGRATIONS


@MIGRATIONS()
def m002_life_cycle(db: Database) -> None:
    """Adds what incidents are searched by, every change of one with its actor, and problems
    with their hosts, kernels and days.
    """
    db.executescript(_LIFE_CYCLE)


# `changes` is the log that notifications and live pages follow by its ids, which rise: the latest
# row is never deleted.
_LIFE_CYCLE = """
ALTER TABLE incidents ADD COLUMN kind TEXT;
ALTER TABLE incidents ADD COLUMN function TEXT;
ALTER TABLE incidents ADD COLUMN module TEXT;
ALTER TABLE incidents ADD COLUMN kernel TEXT;
ALTER TABLE incidents ADD COLUMN release INTEGER;
ALTER TABLE incidents ADD COLUMN regression INTEGER NOT NULL DEFAULT 0 CHECK (regression IN (0, 1));
ALTER TABLE incidents ADD COLUMN changed_us INTEGER;
UPDATE incidents SET changed_us = found_us,
  (kind, function, module, kernel) = (SELECT kind, function, module, kernel FROM reports WHERE match_id = anchor_id);

CREATE TABLE changes (
  id INTEGER PRIMARY KEY,
  incident_id TEXT NOT NULL REFERENCES incidents (id),
  at_us INTEGER NOT NULL,
  what TEXT NOT NULL CHECK (what IN ('raised', 'updated', 'joined', 'acknowledged', 'resolved', 'reopened', 'noted')),
  actor TEXT NOT NULL,
  reason TEXT,
  request TEXT
) STRICT;
CREATE INDEX changes_incident ON changes (incident_id);
CREATE UNIQUE INDEX changes_request ON changes (request) WHERE request IS NOT NULL;
INSERT INTO changes (incident_id, at_us, what, actor)
  SELECT id, found_us, 'raised', 'oopswatch' FROM incidents WHERE joined_into IS NULL ORDER BY found_us, id;

CREATE TABLE problems (
  fingerprint TEXT NOT NULL PRIMARY KEY,
  title TEXT,
  kind TEXT,
  function TEXT,
  module TEXT,
  severity TEXT NOT NULL,
  known_issue TEXT,
  first_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  incidents INTEGER NOT NULL,
  hosts INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'resolved')),
  state_us INTEGER,
  state_by TEXT,
  fixed_in TEXT,
  regressions INTEGER NOT NULL DEFAULT 0,
  regressed_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX problems_last ON problems (last_us);

CREATE TABLE problem_hosts (
  fingerprint TEXT NOT NULL REFERENCES problems (fingerprint),
  host TEXT NOT NULL,
  incidents INTEGER NOT NULL,
  first_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  PRIMARY KEY (fingerprint, host)
) STRICT, WITHOUT ROWID;
CREATE INDEX problem_hosts_host ON problem_hosts (host);

CREATE TABLE problem_kernels (
  fingerprint TEXT NOT NULL REFERENCES problems (fingerprint),
  kernel TEXT NOT NULL,
  release INTEGER,
  incidents INTEGER NOT NULL,
  first_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  PRIMARY KEY (fingerprint, kernel)
) STRICT, WITHOUT ROWID;

CREATE TABLE problem_days (
  fingerprint TEXT NOT NULL REFERENCES problems (fingerprint),
  day_us INTEGER NOT NULL,
  incidents INTEGER NOT NULL,
  PRIMARY KEY (fingerprint, day_us)
) STRICT, WITHOUT ROWID;
"""
