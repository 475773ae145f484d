"""Lines that hold the phrase of a kernel fault and that no signature claims, by reason."""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import positions
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (positions,)


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
