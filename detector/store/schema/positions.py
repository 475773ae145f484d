"""Tables of positions: each source's, its topic, and the identity of the history."""

from __future__ import annotations

import secrets

from sqlite_utils import Database

from detector.store.schema import boots
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (boots,)


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
