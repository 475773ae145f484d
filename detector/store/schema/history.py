"""The first tables: hosts, boots, matches, reports, incidents with evidence, noise, and
where every source stands.
"""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema.migrations import MIGRATIONS


@MIGRATIONS()
def m001_history(db: Database) -> None:
    """Hosts, boots, matches, reports, incidents with evidence, noise, and where every source
    stands.
    """
    db.executescript(_HISTORY)


# Hosts are noted once a batch, after the matches that name them: hence the deferred references.
_HISTORY = """
CREATE TABLE hosts (
  name TEXT NOT NULL PRIMARY KEY,
  first_seen_us INTEGER,
  last_seen_us INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE boots (
  id INTEGER PRIMARY KEY,
  host TEXT NOT NULL REFERENCES hosts (name) DEFERRABLE INITIALLY DEFERRED,
  boot_id TEXT,
  epoch_us INTEGER,
  stream TEXT NOT NULL,
  boot_count INTEGER NOT NULL,
  first_kernel_us INTEGER,
  last_kernel_us INTEGER,
  kernel TEXT
) STRICT;
CREATE INDEX boots_host ON boots (host, boot_id);

CREATE TABLE matches (
  id INTEGER PRIMARY KEY,
  key INTEGER,
  host TEXT NOT NULL REFERENCES hosts (name) DEFERRABLE INITIALLY DEFERRED,
  kernel_time_us INTEGER,
  wall_time_us INTEGER,
  boot_id TEXT,
  epoch_us INTEGER,
  stream TEXT NOT NULL,
  boot_count INTEGER NOT NULL,
  signature TEXT NOT NULL,
  class TEXT NOT NULL,
  severity TEXT NOT NULL,
  text TEXT NOT NULL,
  fields TEXT NOT NULL,
  caller TEXT,
  source TEXT NOT NULL,
  number INTEGER NOT NULL
) STRICT;
CREATE INDEX matches_key ON matches (key) WHERE key IS NOT NULL;
CREATE INDEX matches_kernel_time ON matches (host, kernel_time_us, wall_time_us);
CREATE INDEX matches_wall_time ON matches (host, wall_time_us);
CREATE INDEX matches_signature ON matches (host, signature, kernel_time_us, wall_time_us);

CREATE TABLE reports (
  match_id INTEGER PRIMARY KEY REFERENCES matches (id),
  open INTEGER NOT NULL CHECK (open IN (0, 1)),
  complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
  lines TEXT NOT NULL,
  kind TEXT,
  title TEXT,
  function TEXT,
  module TEXT,
  kernel TEXT,
  fingerprint TEXT,
  details TEXT
) STRICT;
CREATE INDEX reports_open ON reports (match_id) WHERE open;
CREATE INDEX reports_fingerprint ON reports (fingerprint) WHERE fingerprint IS NOT NULL;

CREATE TABLE incidents (
  id TEXT NOT NULL PRIMARY KEY,
  rule TEXT NOT NULL,
  severity TEXT NOT NULL,
  host TEXT NOT NULL REFERENCES hosts (name) DEFERRABLE INITIALLY DEFERRED,
  boot TEXT NOT NULL,
  time_basis TEXT NOT NULL CHECK (time_basis IN ('kernel', 'wall')),
  gap_us INTEGER NOT NULL,
  started_us INTEGER,
  found_us INTEGER NOT NULL,
  anchor_id INTEGER NOT NULL REFERENCES matches (id),
  title TEXT,
  fingerprint TEXT,
  known_issue TEXT,
  diagnosis TEXT,
  state TEXT NOT NULL DEFAULT 'open',
  joined_into TEXT REFERENCES incidents (id)
) STRICT;
CREATE INDEX incidents_time ON incidents (coalesce(started_us, found_us));
CREATE INDEX incidents_host ON incidents (host);
CREATE INDEX incidents_anchor ON incidents (anchor_id);
CREATE INDEX incidents_fingerprint ON incidents (fingerprint);
CREATE INDEX incidents_joined ON incidents (joined_into) WHERE joined_into IS NOT NULL;

CREATE TABLE evidence (
  incident_id TEXT NOT NULL REFERENCES incidents (id),
  match_id INTEGER NOT NULL REFERENCES matches (id),
  PRIMARY KEY (incident_id, match_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_match ON evidence (match_id);

CREATE TABLE noise (
  host TEXT NOT NULL REFERENCES hosts (name) DEFERRABLE INITIALLY DEFERRED,
  process TEXT NOT NULL,
  signature TEXT NOT NULL,
  hour_us INTEGER NOT NULL,
  count INTEGER NOT NULL,
  first_us INTEGER,
  last_us INTEGER,
  first_kernel_us INTEGER,
  last_kernel_us INTEGER,
  PRIMARY KEY (host, process, signature, hour_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX noise_hour ON noise (hour_us);

CREATE TABLE positions (
  source TEXT NOT NULL PRIMARY KEY,
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE streams (
  name TEXT NOT NULL PRIMARY KEY,
  boot_count INTEGER NOT NULL,
  latest_kernel_us INTEGER NOT NULL,
  fresh INTEGER NOT NULL CHECK (fresh IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
  name TEXT NOT NULL PRIMARY KEY,
  count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""
