"""Opens the history's file for writing or for reading, and refuses what is not ours.

In: a path. Out: a connection to a file whose schema is ours and current, or a `StoreError` of one
line. The tables are in `schema/`; here are only pragmas.

Durability: write-ahead log, one transaction a batch, `synchronous=FULL`: a batch that is committed
survives kill -9 and a power cut, so the offsets that a source commits to Kafka afterwards never run
ahead of what is on the disk. A batch costs one fsync.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from sqlite3 import Connection

from detector.kept_bytes import KeptBytes
from detector.store.blank_image import fill, keep
from detector.store.errors import StoreError, explained
from detector.store.turns import MEMORY

_BUSY_MS = 10_000
# The write-ahead log shrinks back to this after a great batch.
_LOG_BYTES = 64 << 20
# The recent past of a fleet, where neighbours are looked for, stays in memory.
_CACHE_KIB = 64 << 10


def connect_writing(path: str, images: KeptBytes | None = None) -> Connection:
    """Opens or creates a history, and brings an older one up to date, in one transaction.

    `images` is where the image of a blank history is kept, for one in memory.
    """
    with explained(path):
        # No transactions of the driver's own: `Journal.transaction` begins and ends each.
        db = _database(sqlite3.connect(path, isolation_level=None, cached_statements=256))
        try:
            if path != MEMORY or images is None or not fill(db, images):
                _prepare(db, path)
                if path == MEMORY and images is not None:
                    keep(db, images)
        except BaseException:
            db.close()
            raise
    return db


def connect_reading(path: str) -> Connection:
    """Opens a history that exists, for reading only, also beside a running service and from a
    read-only disk.
    """
    if path == MEMORY or not Path(path).is_file():
        raise StoreError(
            f"{path}: there is no such history: name the file that `oopswatch run` writes"
        )
    if _is_empty(path):
        raise StoreError(
            f"{path}: the file is empty, no history yet: start `oopswatch run`, or "
            "`oopswatch scan --store`, which makes it one"
        )
    with explained(path):
        db = _database(_open_reading(path)[0])
        try:
            from detector.store import upgrade

            upgrade.check(db, path)
            if upgrade.is_due(db):
                raise StoreError(
                    f"{path}: written by an older oopswatch: start `oopswatch run` on it "
                    "once, which brings it up to date"
                )
        except BaseException:
            db.close()
            raise
    return db


def _is_empty(path: str) -> bool:
    """Returns whether a file holds nothing, and nothing of it stands in its log."""
    log = Path(f"{path}-wal")
    return not Path(path).stat().st_size and not (log.exists() and log.stat().st_size)


def reading_uri(path: str) -> str:
    """Returns the SQLite URI under which another process reads a history; raises StoreError as
    `connect_reading` does.
    """
    connect_reading(path).close()
    with explained(path):
        connection, uri = _open_reading(path)
        connection.close()
    return uri


def file_of(path: str) -> tuple[int, int] | None:
    """Returns what tells a file from another of the same name; None for one in memory, or
    where there is none.
    """
    try:
        status = None if path == MEMORY else Path(path).stat()
    except OSError:
        return None
    return None if status is None else (status.st_dev, status.st_ino)


def demand_file(path: str, file: tuple[int, int] | None) -> None:
    """Raises `StoreError` where the file that was opened is no longer the one of this name:
    what is written to it is gone with it.
    """
    if file is not None and file_of(path) != file:
        raise StoreError(
            f"{path}: the file was removed or replaced while it was in use: nothing more is "
            f"written; "
            "put it back, or start again with what is there"
        )


def _open_reading(path: str) -> tuple[sqlite3.Connection, str]:
    """A file in a folder that cannot be written needs `immutable`, since SQLite cannot place
    the log's index beside it.
    """
    file = Path(path).absolute().as_uri()
    uri = f"{file}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        log = Path(f"{path}-wal")
        closed = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
        if not closed or (log.exists() and log.stat().st_size):
            raise
        uri = f"{file}?mode=ro&immutable=1"
        return sqlite3.connect(uri, uri=True, isolation_level=None), uri
    except BaseException:
        connection.close()
        raise
    return connection, uri


def _database(connection: sqlite3.Connection) -> Connection:
    """`trusted_schema` and `cell_size_check`: a file may come from anywhere."""
    connection.row_factory = sqlite3.Row
    for pragma in (
        f"busy_timeout = {_BUSY_MS}",
        "foreign_keys = ON",
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "recursive_triggers = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _prepare(db: Connection, path: str) -> None:
    """Nothing is written before the file is known to be ours or empty."""
    from detector.store import upgrade

    upgrade.check(db, path)
    if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        # Before the first table, or never: so that retention gives pages back to the disk.
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        f"journal_size_limit = {_LOG_BYTES}",
        f"cache_size = -{_CACHE_KIB}",
    ):
        db.execute(f"PRAGMA {pragma}")
    if upgrade.is_due(db):
        upgrade.apply(db, path)
