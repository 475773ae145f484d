"""Tables of where reading stands: boots and line streams, positions, lines not understood."""

from __future__ import annotations

import secrets

from sqlite_utils import Database

from detector.store.schema import search
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (search,)


@MIGRATIONS()
def m005_boots(db: Database) -> None:
    """Banners by host and wall time; streams know the boot before; a match may be of a boot
    before the count of its stream.
    """
    db.executescript(_BOOTS)


_BOOTS = """
ALTER TABLE matches ADD COLUMN boot_before INTEGER NOT NULL DEFAULT 0 CHECK (boot_before IN (0, 1));
CREATE INDEX matches_boot ON matches (boot_id, kernel_time_us) WHERE boot_id IS NOT NULL;

ALTER TABLE streams ADD COLUMN begun INTEGER NOT NULL DEFAULT 0 CHECK (begun IN (0, 1));
ALTER TABLE streams ADD COLUMN boot_id TEXT;
ALTER TABLE streams ADD COLUMN began_us INTEGER;
ALTER TABLE streams ADD COLUMN epoch_us INTEGER;
ALTER TABLE streams ADD COLUMN earlier_epoch_us INTEGER;

CREATE TABLE banners (
  host TEXT NOT NULL REFERENCES hosts (name) DEFERRABLE INITIALLY DEFERRED,
  wall_us INTEGER NOT NULL,
  boot_id TEXT,
  PRIMARY KEY (host, wall_us)
) STRICT, WITHOUT ROWID;
"""


@MIGRATIONS()
def m006_positions(db: Database) -> None:
    """Topic ids of positions, up to where noise is counted, and an identity of the history."""
    db.executescript(_POSITIONS)
    db.execute("INSERT INTO about (name, value) VALUES ('history', ?)", (secrets.token_hex(8),))


_POSITIONS = """
ALTER TABLE positions ADD COLUMN topic_id TEXT;
ALTER TABLE positions ADD COLUMN counted INTEGER;
ALTER TABLE positions ADD COLUMN set_us INTEGER;

CREATE TABLE about (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


@MIGRATIONS()
def m007_unclaimed(db: Database) -> None:
    """A count and the newest sample for each reason."""
    db.executescript(_UNCLAIMED)


_UNCLAIMED = """
CREATE TABLE unclaimed (
  reason TEXT PRIMARY KEY,
  count INTEGER NOT NULL,
  signature TEXT NOT NULL,
  source TEXT NOT NULL,
  number INTEGER NOT NULL,
  host TEXT NOT NULL,
  sample TEXT NOT NULL
) STRICT;
"""
