"""Names the known bugs of all problems, in bounded steps.

The latest problems come first; new ones are taken as they come.

In: a connection, `KnownBugs`. Out: the problems that look like known bugs, and how far naming has
come. Nothing is stored: the names are those of the index in force, and another index begins anew.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from sqlite3 import Connection
from typing import TYPE_CHECKING

from detector.known.names import KnownBug
from detector.store.ingest.reports import block_of

if TYPE_CHECKING:
    # What reads crash reports: most commands over the history do without.
    from detector.known.lookup import KnownBugs

_REPORTS = """
SELECT p.fingerprint, p.known_issue, r.match_id, m.class, r.lines FROM problems p
JOIN reports r ON r.match_id = (SELECT max(match_id) FROM reports WHERE fingerprint = p.fingerprint)
JOIN matches m ON m.id = r.match_id
WHERE p.fingerprint IN (SELECT value FROM json_each(?))
"""
_WITH_FUNCTIONS = (
    "SELECT fingerprint FROM problems WHERE function IN (SELECT value FROM json_each(?)) "
    "ORDER BY last_us DESC"
)
_NEWEST = "SELECT coalesce(max(match_id), 0) FROM reports"
_ADDED = "SELECT match_id FROM reports WHERE match_id > ? ORDER BY match_id LIMIT ?"
_STILL_OPEN = "SELECT match_id FROM reports WHERE open"
_CLOSED = """
SELECT match_id, fingerprint, function FROM reports
WHERE match_id IN (SELECT value FROM json_each(?)) AND NOT open
"""
_ADDED_AT_ONCE = 1_000
_FIRST = 16  # problems that the first answer names itself: some 20 ms
_STEP = 4  # problems of a step beside pages


@dataclass(frozen=True, slots=True)
class NamingProgress:
    """The progress of naming: `named` of `of` problems whose function the index has."""

    named: int
    of: int

    @property
    def is_whole(self) -> bool:
        """True once every problem has been looked at."""
        return self.named >= self.of

    @property
    def percent(self) -> int:
        """The share that has been looked at; 100 only where all has."""
        return 100 if self.is_whole else min(99, 100 * self.named // self.of)


class ProblemNames:
    """The known bugs that each problem looks like.

    Threads may share it, each with its own connection.
    """

    def __init__(self, known: KnownBugs) -> None:
        self.known = known
        self._on_due: Callable[[], None] | None = None
        self._lock = threading.RLock()
        self._version: str | None = None
        self._newest = 0
        self._open: set[int] = set()
        self._due: deque[str] = deque()
        self._names: dict[str, tuple[KnownBug, ...]] = {}

    def hand_over(self, on_due: Callable[[], None]) -> None:
        """From now on the first answer names a few problems and every other none: what is left is
        named by whoever is called. Before, every answer is whole.
        """
        self._on_due = on_due

    def naming(self) -> NamingProgress:
        """The progress so far."""
        with self._lock:
            return NamingProgress(len(self._names), len(self._names.keys() | set(self._due)))

    def names(
        self, connection: Connection, functions: Sequence[str] | None = None
    ) -> Mapping[str, tuple[KnownBug, ...]]:
        """The names of problems by fingerprint, as far as they are known: of all that are guilty in
        these functions, else of the latest.
        """
        with self._lock:
            if functions is not None:
                self._begin(connection)
                due = set(self._due)
                guilty = self._guilty(connection, functions)
                self._name(
                    connection,
                    [problem for problem in guilty if problem in due or problem not in self._names],
                )
            elif self._on_due is None:
                self.step(connection, None)
            else:
                self._begin(connection)
                self.step(connection, 0 if self._names else _FIRST)
            if self._due and self._on_due is not None:
                self._on_due()
            return dict(self._names)

    def step(self, connection: Connection, most: int | None = _STEP) -> int:
        """Names the next problems, so many at most; how many are left."""
        with self._lock:
            self._begin(connection)
            taken: list[str] = []
            while self._due and (most is None or len(taken) < most):
                taken.append(self._due.popleft())
            self._name(connection, taken)
            return len(self._due)

    def again(self, connection: Connection) -> None:
        """Looks at every problem once more, step by step: a report may have been read anew. The
        names stay until then.
        """
        with self._lock:
            self._due.extend(self._guilty(connection))

    def _begin(self, connection: Connection) -> None:
        """Begins anew for another index or another history; else takes what was added."""
        (newest,) = connection.execute(_NEWEST).fetchone()
        version = self.known.index().version
        if version != self._version or newest < self._newest:
            self._version, self._newest = version, newest
            self._names = {}
            self._due = deque(self._guilty(connection))
            self._open = {row[0] for row in connection.execute(_STILL_OPEN)}
        elif newest > self._newest or self._open:
            self._add(connection)

    def _add(self, connection: Connection) -> None:
        """Takes the reports that were added, once they have ended."""
        rows = connection.execute(_ADDED, (self._newest, _ADDED_AT_ONCE))
        added = [row["match_id"] for row in rows]
        self._newest = max(added, default=self._newest)
        self._open.update(added)
        closed = connection.execute(_CLOSED, (json.dumps(sorted(self._open)),)).fetchall()
        self._open -= {row["match_id"] for row in closed}
        self._due.extendleft(
            row["fingerprint"]
            for row in closed
            if row["fingerprint"] is not None and self.known.may_name(row["function"])
        )

    def _guilty(self, connection: Connection, functions: Sequence[str] | None = None) -> list[str]:
        """The problems that are guilty in these functions, else in any of the index, the latest
        first.
        """
        among = self.known.functions() if functions is None else list(functions)
        return [row[0] for row in connection.execute(_WITH_FUNCTIONS, (json.dumps(among),))]

    def _name(self, connection: Connection, fingerprints: Sequence[str]) -> None:
        """Names these problems. One that has no report any more has no name."""
        self._names |= dict.fromkeys(fingerprints, ())
        self._names |= names_of(connection, self.known, fingerprints)


def names_of(
    connection: Connection, known: KnownBugs, fingerprints: Sequence[str]
) -> dict[str, tuple[KnownBug, ...]]:
    """The known bugs that the latest report of each problem looks like, by fingerprint."""
    from detector.known.lookup import StoredReport

    rows = connection.execute(_REPORTS, (json.dumps(list(fingerprints)),)).fetchall()
    reports = (
        StoredReport(
            row["known_issue"],
            row["class"],
            row["lines"],
            partial(block_of, connection, row["match_id"]),
        )
        for row in rows
    )
    names = known.of_stored(reports)
    return dict(zip((row["fingerprint"] for row in rows), names, strict=True))
