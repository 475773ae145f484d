"""Brings a history's schema up to date; refuses other programs' files and newer versions.

In: a connection. Out: nothing, or a `StoreError` of one line. The migrations are in `schema/`.
`sqlite-utils`, which applies them, takes longer to import than a small file takes to scan.
"""

from __future__ import annotations

import sqlite3
from sqlite3 import Connection

from sqlite_utils import Database

from detector.store import schema
from detector.store.errors import StoreError


def check(db: Connection, path: str) -> None:
    """Refuses a file of another program, and one whose schema is newer than ours."""
    identity = db.execute("PRAGMA application_id").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if identity != schema.APPLICATION_ID and (identity or tables):
        raise StoreError(f"{path}: an SQLite file of another program: name another file")
    applied = {migration.name for migration in schema.MIGRATIONS.applied(_wrapped(db))}
    version = db.execute("PRAGMA user_version").fetchone()[0]
    known = _known()
    if version > len(applied):
        raise sqlite3.DatabaseError(f"schema {version} with {len(applied)} migrations")
    if version > len(known) or not applied <= known:
        raise StoreError(
            f"{path}: written by a newer oopswatch (schema {version}, this one knows "
            f"{len(known)}): upgrade oopswatch"
        )


def is_due(db: Connection) -> bool:
    """Returns whether a history lacks migrations of this version."""
    return bool(schema.MIGRATIONS.pending(_wrapped(db)))


def apply(db: Connection, path: str) -> None:
    """Applies the migrations that a history lacks, in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been quicker: look again, now that the file is held.
        check(db, path)
        db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        schema.MIGRATIONS.apply(_wrapped(db))
        db.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS.applied(_wrapped(db)))}")
        db.execute("COMMIT")
    except BaseException:
        db.rollback()
        raise


def _wrapped(db: Connection) -> Database:
    return Database(db, execute_plugins=False)


def _known() -> frozenset[str]:
    """The names of the migrations of this version: all are pending on an empty database."""
    empty = Database(memory=True, execute_plugins=False)
    try:
        return frozenset(migration.name for migration in schema.MIGRATIONS.pending(empty))
    finally:
        empty.close()
