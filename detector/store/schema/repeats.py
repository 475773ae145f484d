"""Lines that repeat: counted under the whole line before them, and how far each has come."""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import banner_times
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (banner_times,)


@MIGRATIONS()
def m013_repeats(db: Database) -> None:
    """Of what is stored already each line is whole."""
    db.executescript(_REPEATS)


_REPEATS = """
CREATE TABLE repeats (
  match_id INTEGER NOT NULL REFERENCES matches (id) ON DELETE CASCADE,
  source TEXT NOT NULL,
  hour_us INTEGER NOT NULL,
  count INTEGER NOT NULL,
  first_us INTEGER,
  last_us INTEGER,
  first_kernel_us INTEGER,
  last_kernel_us INTEGER,
  PRIMARY KEY (match_id, source, hour_us)
) STRICT, WITHOUT ROWID;
CREATE TABLE repeating (
  label TEXT NOT NULL,
  source TEXT NOT NULL,
  host TEXT NOT NULL,
  signature TEXT NOT NULL,
  shape BLOB NOT NULL,
  match_id INTEGER NOT NULL REFERENCES matches (id) ON DELETE CASCADE,
  whole INTEGER NOT NULL,
  whole_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  boot TEXT NOT NULL,
  line TEXT,
  PRIMARY KEY (label, source, host, signature, shape)
) STRICT, WITHOUT ROWID;
CREATE INDEX repeating_match ON repeating (match_id);
"""
