"""Every kernel fault by what it is searched by, problems over all reports, and the fleet's
kernels.

What an older history holds is brought in later, in steps: see `ingest/backfill.py`.
"""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import boots
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (boots,)


@MIGRATIONS()
def m008_faults(db: Database) -> None:
    """Faults, reports in the sums of problems, kernels of hosts, crashes by day."""
    db.executescript(_FAULTS)


_FAULTS = """
CREATE TABLE faults (
  id INTEGER PRIMARY KEY REFERENCES matches (id),
  at_us INTEGER NOT NULL,
  host TEXT NOT NULL,
  signature TEXT NOT NULL,
  class TEXT NOT NULL,
  severity TEXT NOT NULL,
  reported INTEGER NOT NULL CHECK (reported IN (0, 1)),
  function TEXT,
  module TEXT,
  kernel TEXT,
  hardware TEXT,
  fingerprint TEXT
) STRICT;
CREATE INDEX faults_time ON faults (at_us);
CREATE INDEX faults_host ON faults (host, at_us);
CREATE INDEX faults_signature ON faults (signature, at_us);
CREATE INDEX faults_function ON faults (function, at_us) WHERE function IS NOT NULL;
CREATE INDEX faults_module ON faults (module, at_us) WHERE module IS NOT NULL;
CREATE INDEX faults_kernel ON faults (kernel, at_us) WHERE kernel IS NOT NULL;
CREATE INDEX faults_problem ON faults (fingerprint, at_us, host, kernel, hardware) WHERE fingerprint IS NOT NULL;
CREATE INDEX faults_alike ON faults (at_us) WHERE fingerprint IS NOT NULL;

ALTER TABLE problems ADD COLUMN reports INTEGER NOT NULL DEFAULT 0;
ALTER TABLE problems ADD COLUMN incident_us INTEGER;
ALTER TABLE problems ADD COLUMN regressed_fault INTEGER;
UPDATE problems SET incident_us = last_us WHERE incidents > 0;
ALTER TABLE problem_hosts ADD COLUMN reports INTEGER NOT NULL DEFAULT 0;
ALTER TABLE problem_kernels ADD COLUMN reports INTEGER NOT NULL DEFAULT 0;
ALTER TABLE problem_days ADD COLUMN reports INTEGER NOT NULL DEFAULT 0;
CREATE TABLE problem_hardware (
  fingerprint TEXT NOT NULL REFERENCES problems (fingerprint),
  hardware TEXT NOT NULL,
  incidents INTEGER NOT NULL,
  reports INTEGER NOT NULL,
  first_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  PRIMARY KEY (fingerprint, hardware)
) STRICT, WITHOUT ROWID;

ALTER TABLE problems ADD COLUMN trace TEXT NOT NULL DEFAULT '[]';
CREATE TABLE problem_frames (
  function TEXT NOT NULL,
  fingerprint TEXT NOT NULL REFERENCES problems (fingerprint),
  PRIMARY KEY (function, fingerprint)
) STRICT, WITHOUT ROWID;
CREATE INDEX problem_frames_problem ON problem_frames (fingerprint);
CREATE TABLE problem_advice (
  fingerprint TEXT NOT NULL REFERENCES problems (fingerprint),
  about TEXT NOT NULL CHECK (about IN ('cause', 'workaround', 'ticket')),
  text TEXT NOT NULL,
  author TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  PRIMARY KEY (fingerprint, about)
) STRICT, WITHOUT ROWID;

ALTER TABLE hosts ADD COLUMN hardware TEXT;
ALTER TABLE hosts ADD COLUMN hardware_us INTEGER;
CREATE INDEX hosts_hardware ON hosts (hardware, last_seen_us) WHERE hardware IS NOT NULL;
CREATE TABLE host_kernels (
  host TEXT NOT NULL REFERENCES hosts (name) DEFERRABLE INITIALLY DEFERRED,
  from_us INTEGER NOT NULL,
  kernel TEXT NOT NULL,
  PRIMARY KEY (host, from_us)
) STRICT, WITHOUT ROWID;
CREATE TABLE fleet_days (
  about TEXT NOT NULL CHECK (about IN ('kernel', 'hardware')),
  value TEXT NOT NULL,
  day_us INTEGER NOT NULL,
  hosts INTEGER NOT NULL,
  crashes INTEGER NOT NULL,
  PRIMARY KEY (about, value, day_us)
) STRICT, WITHOUT ROWID;

CREATE TABLE backfills (
  name TEXT NOT NULL PRIMARY KEY,
  place TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO backfills SELECT 'faults', id FROM (SELECT id FROM matches ORDER BY id DESC LIMIT 1);
INSERT INTO backfills SELECT 'kernels', '' WHERE EXISTS (SELECT 1 FROM boots);
"""
