"""Known bugs of the history, told when it is read: names of problems, the filters `known` and
`fixable`, and which hosts run a kernel with a bug.

In: a connection, the index behind `KnownBugs`. Out: rows with names, a filter that needs no index,
an `Exposure`. Nothing of it is stored: a newer index names old crashes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from sqlite3 import Connection, Row
from typing import TYPE_CHECKING

from detector.known import Bug, standing
from detector.known.names import KnownBug
from detector.known.releases import Status
from detector.release import KernelRelease
from detector.store.ingest.reports import block_of
from detector.store.query.faults import FaultRow
from detector.store.query.filters import Filter, FilterError
from detector.store.query.results import ProblemRow

if TYPE_CHECKING:
    # What reads crash reports: most commands over the history do without.
    from detector.known.index import Index
    from detector.known.lookup import KnownBugs

LOOKED_AT = 1_000
"""Problems that a filter by known bugs looks at: the latest whose guilty function the index has."""
# As many as the search index takes in one expression.
_AMONG = 400
_NONE = "0:0"  # a fingerprint that no problem has
_SHORTEST_HASH = 8

_WITH_LATEST = """
SELECT p.fingerprint, p.known_issue, r.match_id, m.class, r.lines FROM ({}) p
JOIN reports r ON r.match_id = (SELECT max(match_id) FROM reports WHERE fingerprint = p.fingerprint)
JOIN matches m ON m.id = r.match_id
ORDER BY p.last_us DESC
"""
_CANDIDATES = _WITH_LATEST.format(
    "SELECT * FROM problems WHERE function IN (SELECT value FROM json_each(?)) "
    "ORDER BY last_us DESC LIMIT ?"
)
_LISTED = _WITH_LATEST.format(
    "SELECT * FROM problems WHERE fingerprint IN (SELECT value FROM json_each(?))"
)
_KERNELS = """
SELECT h.name, (SELECT kernel FROM boots b WHERE b.host = h.name AND kernel IS NOT NULL
  ORDER BY id DESC LIMIT 1) AS kernel
FROM hosts h ORDER BY h.last_seen_us DESC LIMIT ?
"""
_HOSTS = 20_000


@dataclass(frozen=True, slots=True)
class Exposure:
    """The hosts whose kernels stand alike to a bug: status → kernel → hosts, by name. `hosts` is
    how many were looked at, the latest seen first.
    """

    bug: str
    hosts: int
    kernels: dict[Status, dict[str, tuple[str, ...]]]

    def count(self, *statuses: Status) -> int:
        """How many hosts stand so."""
        return sum(len(hosts) for item in statuses for hosts in self.kernels.get(item, {}).values())


def with_names(
    connection: Connection, rows: Sequence[ProblemRow], known: KnownBugs | None
) -> list[ProblemRow]:
    """The problems with the bugs that their latest reports look like."""
    if known is None:
        return list(rows)
    functions = known.index().by_function if any(row.function for row in rows) else {}
    names_given = json.dumps([row.fingerprint for row in rows if row.function in functions])
    names = dict(_names(connection, connection.execute(_LISTED, (names_given,)), known))
    return [replace(row, known_bugs=names.get(row.fingerprint, row.known_bugs)) for row in rows]


def with_bugs(
    connection: Connection, rows: Sequence[FaultRow], known: KnownBugs | None
) -> list[FaultRow]:
    """The faults with the bugs that their reports look like; one look for equal crashes."""
    if known is None:
        return list(rows)
    functions = known.index().by_function if any(row.function for row in rows) else {}
    seen: dict[tuple[str | None, str | None], tuple[KnownBug, ...]] = {}
    reasons = []
    for row in rows:
        alike = row.fingerprint, row.kernel
        if row.function in functions and (row.fingerprint is None or alike not in seen):
            seen[alike] = known.of_block(block_of(connection, row.id))
        reasons.append(replace(row, known_bugs=seen[alike]) if row.function in functions else row)
    return reasons


def narrowed(connection: Connection, criteria: Filter, known: KnownBugs | None) -> Filter:
    """The filter with the problems that have such bugs instead of `known` and `fixable`."""
    if not criteria.known and not criteria.fixable:
        return criteria
    if known is None:
        raise FilterError("known" if criteria.known else "fixable", "no index of bugs is at hand")
    names_given = {name.lower() for name in criteria.known}
    functions = _functions(known, names_given)
    index = known.index()
    rows = connection.execute(_CANDIDATES, (json.dumps(functions), LOOKED_AT))
    fingerprints = [
        fingerprint
        for fingerprint, names in _names(connection, rows, known)
        if any(_fits(item, names_given, index, fixable=bool(criteria.fixable)) for item in names)
    ]
    if criteria.problem:
        fingerprints = [item for item in fingerprints if item in criteria.problem]
    return replace(criteria, known=(), fixable=(), problem=tuple(fingerprints[:_AMONG]) or (_NONE,))


def _functions(known: KnownBugs, names: set[str]) -> list[str]:
    """The functions that a crash with one of these bugs is guilty in."""
    index = known.index()
    if not names or names & {"any", "likely"}:
        return list(index.by_function)
    return sorted(
        {
            trace.function
            for bug in index.bugs.values()
            if is_named(bug, names)
            for trace in bug.traces
            if trace.function is not None
        }
    )


def is_named(bug: Bug, names: Iterable[str]) -> bool:
    """Whether one of these words, in lower case, is the bug's id or one of its commits, shortened
    or whole.
    """
    return any(
        bug.id.lower() == word
        or (
            len(word) >= _SHORTEST_HASH
            and any(word.startswith(has) or has.startswith(word) for has in bug.commits)
        )
        for word in names
    )


def _fits(known_bug: KnownBug, names: set[str], index: Index, *, fixable: bool) -> bool:
    if fixable and not known_bug.fixable:
        return False
    if not names or "any" in names or ("likely" in names and known_bug.confidence == "likely"):
        return True
    return known_bug.id in index.bugs and is_named(index.bugs[known_bug.id], names)


def _names(
    connection: Connection, rows: Iterable[Row], known: KnownBugs
) -> Iterator[tuple[str, tuple[KnownBug, ...]]]:
    """The fingerprint of each row, and what its latest report looks like."""
    from detector.known.lookup import StoredReport

    latest = list(rows)
    reports = (
        StoredReport(
            row["known_issue"],
            row["class"],
            row["lines"],
            partial(block_of, connection, row["match_id"]),
        )
        for row in latest
    )
    names = known.of_stored(reports)
    return zip((row["fingerprint"] for row in latest), names, strict=True)


def exposure(connection: Connection, bug: Bug) -> Exposure:
    """The hosts by how the kernel of their latest boot that told one stands to a bug."""
    hosts: defaultdict[str, list[str]] = defaultdict(list)
    for name, kernel in connection.execute(_KERNELS, (_HOSTS,)):
        hosts[kernel or ""].append(name)
    kernels: defaultdict[Status, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for kernel, names in sorted(hosts.items()):
        status = standing(KernelRelease.parse(kernel), bug).status
        kernels[status][kernel] = tuple(sorted(names))
    return Exposure(bug.id, sum(map(len, hosts.values())), dict(kernels))
