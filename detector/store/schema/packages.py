"""The package of the kernel that a boot ran, which names the release that it is built on."""

from __future__ import annotations

from sqlite_utils import Database

from detector.store.schema import spreads
from detector.store.schema.migrations import MIGRATIONS

# Migrations are entered in the order of import: these come before.
BEFORE = (spreads,)


@MIGRATIONS()
def m010_packages(db: Database) -> None:
    """As banners and reports name it; of boots that are stored already it is not known."""
    db.executescript(_PACKAGES)


_PACKAGES = """
ALTER TABLE boots ADD COLUMN package TEXT;
"""
