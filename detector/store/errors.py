"""Errors of the history's file, each in one line that names the file and what to do.

In: errors of SQLite. Out: `StoreError`. What is a mistake of ours (wrong SQL, a broken constraint)
is passed on as it is.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from detector.errors import UserError
from detector.render.escape import inert

# SQLite's primary result codes (sqlite3.h) that the world outside causes, and what to do about
# each.
_ADVICE = {
    sqlite3.SQLITE_FULL: (
        "the disk is full: free space, then start again; the unfinished batch was rolled back, "
        "nothing stored is lost"
    ),
    sqlite3.SQLITE_IOERR: (
        "reading or writing failed: check the disk, its free space and this process's limits; "
        "what was stored is kept"
    ),
    sqlite3.SQLITE_READONLY: "it cannot be written: give this user write permission on the file "
    "and on its folder, on a disk that is not mounted read-only",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: its folder must exist, on a disk that is not "
    "mounted read-only, and this user must be allowed to use it",
    sqlite3.SQLITE_PERM: "permission denied: give this user permission on the file and on its "
    "folder",
    sqlite3.SQLITE_BUSY: "it was busy for too long: wait and try again",
    sqlite3.SQLITE_LOCKED: "it was busy for too long: wait and try again",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite file: name another file",
    sqlite3.SQLITE_CORRUPT: "it is damaged: restore a backup, or rescue what is left with "
    "`sqlite3 FILE .recover`",
    sqlite3.SQLITE_NOMEM: "there is not enough memory",
    sqlite3.SQLITE_NOLFS: "it has outgrown what this file system allows",
}


# Of SQLite's own words so many characters are shown.
_WORDS = 200


class StoreError(UserError):
    """The history cannot be used; the message is one line: the file, what is wrong, what to do."""


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Turns what SQLite says about the world (disk, permissions, damage, locks) into a
    `StoreError`.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        if not _is_garbled(error):
            raise
        raise StoreError(f"{path}: {_ADVICE[sqlite3.SQLITE_CORRUPT]} ({error.reason})") from error
    except sqlite3.Error as error:
        advice = _ADVICE.get(_code_of(error) & 0xFF)
        if advice is None:
            raise
        holders = lock_holders(path) if advice is _ADVICE[sqlite3.SQLITE_BUSY] else []
        if holders:
            named = " and ".join(map(str, holders))
            advice = f"another process holds it ({named}): stop that one, or wait and try again"
        raise StoreError(f"{path}: {advice} ({_in_one_line(error)})") from error


def is_fault(error: BaseException) -> bool:
    """Returns whether an error is the store's, whatever it was to store: its file, its disk,
    our SQL. What SQLite says of single values (too large, of another type, against a
    constraint) is not.
    """
    return (
        isinstance(error, StoreError | sqlite3.OperationalError)
        or type(error) is sqlite3.DatabaseError
        or _is_garbled(error)
    )


def _code_of(error: sqlite3.Error) -> int:
    """Returns SQLite's code of an error. What has none was raised by Python's module or by us,
    where something in the file is not what was written: text that is no UTF-8 or no JSON. Of
    stored text that is no JSON SQLite itself knows no code either.
    """
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is not None and str(error) != "malformed JSON":
        return code
    plain = isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError
    return sqlite3.SQLITE_CORRUPT if plain else 0


def _in_one_line(error: sqlite3.Error) -> str:
    """Returns what SQLite says: of a damaged schema it quotes whatever stands there."""
    return inert(" ".join(str(error).split()))[:_WORDS]


def _is_garbled(error: BaseException) -> bool:
    """Returns whether SQLite's own words about a damaged schema could not even be decoded."""
    return isinstance(error, UnicodeDecodeError) and error.object.startswith(b"malformed database")


def lock_holders(path: str, locks: Path = Path("/proc/locks")) -> list[int]:
    """Returns the other processes that hold a lock of a history, where the system names them.

    SQLite locks bytes of the file, or of `-shm` in WAL mode. They are read from /proc/locks: to
    open and close a file of the history would give up this process's own locks (POSIX advisory
    locks).
    """
    inodes = set()
    for name in (path, f"{path}-shm"):
        with suppress(OSError):
            inodes.add(str(Path(name).stat().st_ino))
    try:
        lines = locks.read_text().splitlines()
    except OSError:
        return []
    seen = set()
    for line in lines:
        # Fields: number, POSIX, ADVISORY, READ or WRITE, pid, device:inode (fs/locks.c, 6.1)
        parts = [part for part in line.split() if part != "->"]
        if len(parts) > 5 and parts[5].rpartition(":")[2] in inodes and parts[4].isdigit():
            seen.add(int(parts[4]))
    return sorted(seen - {os.getpid(), 0})
