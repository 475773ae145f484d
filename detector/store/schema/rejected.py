"""Records that were set aside because a stage raised on them."""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import search
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (search,)


@MIGRATIONS()
def m005_rejected(db: Database) -> None:
    """Adds set-aside records: place, error and first bytes."""
    db.executescript(_REJECTED)


_REJECTED = """
CREATE TABLE rejected (
  id INTEGER PRIMARY KEY,
  at_us INTEGER NOT NULL,
  source TEXT NOT NULL,
  number INTEGER NOT NULL,
  stage TEXT NOT NULL,
  reason TEXT NOT NULL,
  size INTEGER NOT NULL,
  sample BLOB NOT NULL,
  UNIQUE (source, number, stage)
) STRICT;
"""
