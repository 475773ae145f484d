"""The wall time of banners whose boot's beginning nothing else tells."""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import spreads
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (spreads,)


@MIGRATIONS()
def m012_banner_times(db: Database) -> None:
    """A banner is printed within a second of the boot; of boots stored already it is not known."""
    db.execute("ALTER TABLE boots ADD COLUMN banner_us INTEGER")
