"""The SQL door: an analyst's query over the history, which can read and nothing else, for a bounded
time and a bounded answer.

In: one SELECT. Out: columns and rows, or a `RefusedQuery` that says why. Four things hold it, each
by itself enough against writing: the file is opened read-only, `query_only` is on, SQLite's
authorizer allows reading and harmless functions alone, and one statement is taken. A progress
handler ends what runs too long; the bounds of SQLite and of the answer end what grows too large.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.store.connection import connect_reading

# sqlite3.h; Python names them all but SQLITE_RECURSIVE.
_ALLOWED = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
# What reaches outside of the query, or makes much of little.
_FUNCTIONS_DENIED = frozenset(
    {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "zeroblob", "randomblob"}
)
# The progress handler is asked after so many instructions of SQLite's machine: about every
# millisecond.
_STEPS = 20_000
_LONGEST_QUERY = 100_000
_LARGEST_VALUE = 1 << 20
_MOST_AT_ONCE = 4
_SORTED_IN_MEMORY_KIB = 16 << 10

Value = str | int | float | None


class RefusedQuery(Exception):  # it is an answer, and so is its name  # noqa: N818
    """The query is wrong, forbidden or too much; the message says which. `busy` where it may be
    asked again.
    """

    def __init__(self, message: str, *, busy: bool = False) -> None:
        super().__init__(message)
        self.busy = busy


@dataclass(frozen=True, slots=True)
class SqlResult:
    """What a query answered. `truncated` says which limit cut it: "rows", "bytes" or nothing."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    truncated: str | None
    seconds: float


class SqlDoor:
    """Runs queries over one file, a few at once, each over a connection of its own."""

    def __init__(self, path: Path, *, seconds: float, rows: int, size: int) -> None:
        self._path = path
        self._seconds = seconds
        self._rows = rows
        self._size = size
        self._free = threading.BoundedSemaphore(_MOST_AT_ONCE)

    def ask(self, query: str) -> SqlResult:
        """The answer to one query. Raises RefusedQuery, or StoreError where the file cannot be
        read.
        """
        if len(query) > _LONGEST_QUERY:
            raise RefusedQuery(f"a query has at most {_LONGEST_QUERY:,} characters")
        if not self._free.acquire(blocking=False):
            raise RefusedQuery(f"{_MOST_AT_ONCE} queries run already: try again", busy=True)
        try:
            with closing(connect_reading(str(self._path))) as db:
                return self._run(db.conn, query)
        finally:
            self._free.release()

    def _run(self, connection: sqlite3.Connection, query: str) -> SqlResult:
        begun = time.monotonic()
        ran_out = False

        def too_long() -> int:
            nonlocal ran_out
            ran_out = time.monotonic() - begun > self._seconds
            return ran_out

        _close(connection)
        connection.set_progress_handler(too_long, _STEPS)
        try:
            cursor = connection.execute(query)
            rows, truncated = self._fetch(cursor)
        except (sqlite3.Error, ValueError, OverflowError, UnicodeError) as error:
            if ran_out:
                raise RefusedQuery(
                    f"the query ran longer than {self._seconds:g} s (serve.sql_seconds)"
                ) from error
            raise RefusedQuery(_said(error)) from error
        if cursor.description is None:
            raise RefusedQuery("only SELECT (also WITH … SELECT, VALUES) is answered")
        columns = tuple(column[0] for column in cursor.description)
        return SqlResult(columns, rows, truncated, time.monotonic() - begun)

    def _fetch(self, cursor: sqlite3.Cursor) -> tuple[tuple[tuple[Value, ...], ...], str | None]:
        rows: list[tuple[Value, ...]] = []
        size = 0
        for row in cursor:
            if len(rows) == self._rows:
                return tuple(rows), "rows"
            values = tuple(_plain(value) for value in row)
            size += sum(len(value) if isinstance(value, str) else 8 for value in values)
            if size > self._size:
                return tuple(rows), "bytes"
            rows.append(values)
        return tuple(rows), None


def _close(connection: sqlite3.Connection) -> None:
    """Shuts all that a query could reach beside the tables."""
    for pragma in (
        "query_only = ON",
        "temp_store = MEMORY",
        f"cache_size = -{_SORTED_IN_MEMORY_KIB}",
        "busy_timeout = 1000",
    ):
        connection.execute(f"PRAGMA {pragma}")
    for limit, value in (
        (sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE),
        (sqlite3.SQLITE_LIMIT_SQL_LENGTH, _LONGEST_QUERY * 4),
        (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
        (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 200),
        (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 50),
        (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
        (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
    ):
        connection.setlimit(limit, value)
    connection.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
    # The search index is opened before the door is shut: its own statements are not a query's.
    connection.execute(
        "SELECT rowid FROM incident_words WHERE incident_words MATCH 'a' LIMIT 1"
    ).fetchall()
    connection.set_authorizer(_authorized)


def _authorized(
    action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None
) -> int:
    if action == sqlite3.SQLITE_FUNCTION and (second or first or "").lower() in _FUNCTIONS_DENIED:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_PRAGMA and first == "data_version" and second is None:
        return sqlite3.SQLITE_OK  # the search index asks it of itself, to notice what others wrote
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _plain(value: Any) -> Value:
    """A value that JSON has: bytes as hexadecimal digits, infinities as their names."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _said(error: Exception) -> str:
    if (
        "not authorized" in str(error)
        or "authorization denied" in str(error)
        or "prohibited" in str(error)
    ):
        return "only reading is allowed: one SELECT over the tables of docs/schema.md"
    return re.sub(r"\s+", " ", str(error))[:300]
