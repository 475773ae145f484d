"""Runs one query of the SQL door in a process of its own; needs the standard library alone.

Reads a request as JSON on standard input: `uri`, `query`, `seconds`, `rows`, `size` (bytes). Writes
`{"columns", "rows", "truncated"}` or `{"refused"}` as JSON on standard output. `sql_door.py` starts
it, and kills it when its time is over: a progress handler is not asked inside one function call.
"""

from __future__ import annotations

import json
import re
import resource
import sqlite3
import sys
import time
from contextlib import suppress
from typing import Any

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
_LONGEST_STATEMENT = 400_000
_LARGEST_VALUE = 1 << 20
_SORTED_IN_MEMORY_KIB = 16 << 10
# Of address space: the interpreter, SQLite's caches and the largest answer have room in it.
_MEMORY = 1 << 30

Value = str | int | float | None


class _OutOfTimeError(Exception):
    """The query ran longer than it may."""


def main() -> None:
    """Answers the request on standard input."""
    request = json.load(sys.stdin)
    seconds = float(request["seconds"])
    # Where a service manager forbids the call, the parent's clock and SQLite's limits are left.
    with suppress(OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 2, int(seconds) + 3))
    try:
        answer = _answer(request, seconds)
    except _OutOfTimeError:
        answer = {"refused": f"the query ran longer than {seconds:g} s (serve.sql_seconds)"}
    except MemoryError:
        answer = {"refused": f"the query needs more than {_MEMORY >> 20} MiB of memory"}
    except (sqlite3.Error, ValueError, OverflowError) as error:
        answer = {"refused": _reason(error)}
    # Escaped to ASCII: a lone surrogate of the query cannot break the answer.
    json.dump(answer, sys.stdout)


def _answer(request: dict[str, Any], seconds: float) -> dict[str, Any]:
    connection = sqlite3.connect(request["uri"], uri=True, isolation_level=None)
    restrict(connection)
    due = time.monotonic() + seconds
    late = False

    def too_long() -> int:
        nonlocal late
        late = time.monotonic() > due
        return late

    connection.set_progress_handler(too_long, _STEPS)
    try:
        cursor = connection.execute(request["query"])
        rows, truncated = _fetch(cursor, request["rows"], request["size"])
    except sqlite3.Error as error:
        if late:
            raise _OutOfTimeError from error
        raise
    if cursor.description is None:
        raise ValueError("only SELECT (also WITH … SELECT, VALUES) is answered")
    return {
        "columns": [item[0] for item in cursor.description],
        "rows": rows,
        "truncated": truncated,
    }


def _fetch(cursor: sqlite3.Cursor, most: int, size: int) -> tuple[list[list[Value]], str | None]:
    """The rows up to both limits, and which limit cut them."""
    rows: list[list[Value]] = []
    for row in cursor:
        if len(rows) == most:
            return rows, "rows"
        values = [_plain(value) for value in row]
        size -= sum(len(value) if isinstance(value, str) else 8 for value in values)
        if size < 0:
            return rows, "bytes"
        rows.append(values)
    return rows, None


def restrict(connection: sqlite3.Connection) -> None:
    """Denies everything that a query could reach beside the tables."""
    for pragma in (
        "query_only = ON",
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "temp_store = MEMORY",
        f"cache_size = -{_SORTED_IN_MEMORY_KIB}",
        "busy_timeout = 1000",
    ):
        connection.execute(f"PRAGMA {pragma}")
    for limit, value in (
        (sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE),
        (sqlite3.SQLITE_LIMIT_SQL_LENGTH, _LONGEST_STATEMENT),
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


def _reason(error: Exception) -> str:
    text = str(error)
    if any(item in text for item in ("not authorized", "authorization denied", "prohibited")):
        return "only reading is allowed: one SELECT over the tables of docs/schema.md"
    return re.sub(r"\s+", " ", text)[:300]


if __name__ == "__main__":
    main()
