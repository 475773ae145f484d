"""The SQL door: runs an analyst's query over the history, for a bounded time and a bounded
answer.

Each query runs in a process of its own (`sql_child.py`), which opens the file read-only, allows
reading alone, and has limits of time, memory and size; it is killed when its time is over.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from detector.serve import sql_child
from detector.serve.sql_child import Value
from detector.store.connection import reading_uri

_LONGEST_QUERY = 100_000
_MOST_AT_ONCE = 4
# Beyond the query's own time: starting the process, and writing the answer.
_MARGIN_S = 2.0


class RefusedQuery(Exception):  # it is an answer, and so is its name  # noqa: N818
    """The query is wrong, forbidden or too much; the message says which. `busy` where it may be
    asked again.
    """

    def __init__(self, message: str, *, busy: bool = False) -> None:
        super().__init__(message)
        self.busy = busy


@dataclass(frozen=True, slots=True)
class SqlResult:
    """Result of a query. `truncated` says which limit cut it: "rows", "bytes" or nothing."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    truncated: str | None
    seconds: float


class SqlDoor:
    """Runs queries over one file, a few at once, each in a process of its own."""

    def __init__(self, path: Path, *, seconds: float, rows: int, size: int) -> None:
        self._path = path
        self._seconds = seconds
        self._rows = rows
        self._size = size
        self._free = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._running: set[subprocess.Popen[str]] = set()

    def ask(self, query: str) -> SqlResult:
        """Returns the answer to one query. Raises RefusedQuery, or StoreError where the file cannot
        be read.
        """
        if len(query) > _LONGEST_QUERY:
            raise RefusedQuery(f"a query has at most {_LONGEST_QUERY:,} characters")
        if not self._free.acquire(blocking=False):
            raise RefusedQuery(f"{_MOST_AT_ONCE} queries run already: try again", busy=True)
        try:
            return self._run(query)
        finally:
            self._free.release()

    def close(self) -> None:
        """Ends the queries that run, so that nobody waits for them."""
        for process in tuple(self._running):
            process.kill()

    def _run(self, query: str) -> SqlResult:
        begun = time.monotonic()
        request = {
            "uri": reading_uri(str(self._path)),
            "query": query,
            "seconds": self._seconds,
            "rows": self._rows,
            "size": self._size,
        }
        # Isolated, and without `site`: it starts within 30 ms and sees nothing of the environment.
        process = subprocess.Popen(  # our own interpreter and file  # noqa: S603
            [sys.executable, "-I", "-S", sql_child.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={},
        )
        self._running.add(process)
        try:
            output, _ = process.communicate(json.dumps(request), self._seconds + _MARGIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            output = ""
        finally:
            self._running.discard(process)
        if not output:
            raise RefusedQuery(f"the query ran longer than {self._seconds:g} s (serve.sql_seconds)")
        answer = json.loads(output)
        if "refused" in answer:
            raise RefusedQuery(answer["refused"])
        return SqlResult(
            tuple(answer["columns"]),
            tuple(map(tuple, answer["rows"])),
            answer["truncated"],
            time.monotonic() - begun,
        )
