"""What can go wrong with the history's file, in one line that names the file and what to do.

In: errors of SQLite. Out: `StoreError`. What is a mistake of ours (wrong SQL, a broken constraint)
is passed on as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from detector.errors import UserError

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
    sqlite3.SQLITE_READONLY: "it cannot be written: give this user write permission on the file and on its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: its folder must exist, and this user must be allowed to use it",
    sqlite3.SQLITE_PERM: "permission denied: give this user permission on the file and on its folder",
    sqlite3.SQLITE_BUSY: "another process holds it: stop the other one, or wait and try again",
    sqlite3.SQLITE_LOCKED: "another process holds it: stop the other one, or wait and try again",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite file: name another file",
    sqlite3.SQLITE_CORRUPT: "it is damaged: restore a backup, or rescue what is left with `sqlite3 FILE .recover`",
    sqlite3.SQLITE_NOMEM: "there is not enough memory",
    sqlite3.SQLITE_NOLFS: "it has outgrown what this file system allows",
}


class StoreError(UserError):
    """The history cannot be used; the message is one line: the file, what is wrong, what to do."""


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Turns what SQLite says about the world (disk, permissions, damage, locks) into a
    `StoreError`.
    """
    try:
        yield
    except sqlite3.Error as error:
        advice = _ADVICE.get(getattr(error, "sqlite_errorcode", _code_of(error)) & 0xFF)
        if advice is None:
            raise
        raise StoreError(f"{path}: {advice} ({error})") from error


def is_fault(error: BaseException) -> bool:
    """Whether an error is the store's, whatever it was to store: its file, its disk, our SQL. What
    SQLite says of single values (too large, of another type, against a constraint) is not.
    """
    return isinstance(error, StoreError | sqlite3.OperationalError) or (
        type(error) is sqlite3.DatabaseError
    )


def _code_of(error: sqlite3.Error) -> int:
    """What Python's own module raises has no code: text in the file that is no UTF-8 is damage."""
    return sqlite3.SQLITE_CORRUPT if isinstance(error, sqlite3.OperationalError) else 0
