"""Known bugs of the history, told when it is read: names of rows, the filters `known` and
`fixable`, and which hosts run a kernel with a bug.

In: a connection, the index behind `KnownBugs`, the problems that are named by it. Out: rows with
names, a filter that needs no index, an `Exposure`. Nothing of it is stored: a newer index names old
crashes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from sqlite3 import Connection
from typing import TYPE_CHECKING, NamedTuple

from detector.known import Bug, standing
from detector.known.names import KnownBug
from detector.known.releases import Status
from detector.release import KernelRelease
from detector.store.ingest.reports import block_of
from detector.store.query.faults import FaultRow
from detector.store.query.filters import Filter, FilterError
from detector.store.query.problem_names import names_of
from detector.store.query.results import ProblemRow

if TYPE_CHECKING:
    # What reads crash reports: most commands over the history do without.
    from detector.known.lookup import KnownBugs
    from detector.store.query.problem_names import ProblemNames

_NONE = "0:0"  # a fingerprint that no problem has
_WORDS = frozenset({"any", "likely"})  # what a filter may say instead of a bug
_SHORTEST_HASH = 8
_STORED_HASH = 12

_LINES = """
SELECT r.match_id, m.class, r.lines FROM reports r JOIN matches m ON m.id = r.match_id
WHERE r.match_id IN (SELECT value FROM json_each(?))
"""
_KERNELS = """
SELECT h.name, b.kernel, b.package FROM hosts h LEFT JOIN boots b ON b.id = (
  SELECT id FROM boots WHERE host = h.name AND kernel IS NOT NULL ORDER BY id DESC LIMIT 1)
ORDER BY h.last_seen_us DESC LIMIT ?
"""
_HOSTS = 20_000


class RunningKernel(NamedTuple):
    """The kernel of a host's latest boot that told one, with its package where that was told."""

    release: str | None
    package: str | None

    def __str__(self) -> str:
        if self.release is None:
            return "release not known"
        return f"{self.release} ({self.package})" if self.package else self.release


@dataclass(frozen=True, slots=True)
class Exposure:
    """The hosts whose kernels stand alike to a bug: status → kernel → hosts, by name.

    `hosts` is how many were looked at, the latest seen first.
    """

    bug: str
    hosts: int
    kernels: dict[Status, dict[RunningKernel, tuple[str, ...]]]

    def count(self, *statuses: Status) -> int:
        """The number of hosts with any of these statuses."""
        return sum(len(hosts) for item in statuses for hosts in self.kernels.get(item, {}).values())


def with_names(
    connection: Connection, rows: Sequence[ProblemRow], known: KnownBugs | None
) -> list[ProblemRow]:
    """The problems with the bugs that their latest reports look like."""
    if known is None:
        return list(rows)
    fingerprints = [row.fingerprint for row in rows if known.may_name(row.function)]
    names = names_of(connection, known, fingerprints)
    return [replace(row, known_bugs=names.get(row.fingerprint, row.known_bugs)) for row in rows]


def with_bugs(
    connection: Connection, rows: Sequence[FaultRow], known: KnownBugs | None
) -> list[FaultRow]:
    """The faults with the bugs that their reports look like; one look for equal crashes."""
    from detector.known.lookup import StoredReport

    if known is None:
        return list(rows)
    # Without a fingerprint a fault is alike to none.
    alike = {row.id: (row.fingerprint or row.id, row.kernel) for row in rows}
    examples = {alike[row.id]: row.id for row in rows if known.may_name(row.function)}
    reports = connection.execute(_LINES, (json.dumps(list(examples.values())),)).fetchall()
    names = known.of_stored(
        StoredReport(
            None, row["class"], row["lines"], partial(block_of, connection, row["match_id"])
        )
        for row in reports
    )
    bugs = {alike[row["match_id"]]: item for row, item in zip(reports, names, strict=True)}
    return [replace(row, known_bugs=bugs.get(alike[row.id], row.known_bugs)) for row in rows]


def narrowed(connection: Connection, criteria: Filter, names: ProblemNames | None) -> Filter:
    """The filter with the problems that have such bugs instead of `known` and `fixable`."""
    if not criteria.known and not criteria.fixable:
        return criteria
    if names is None:
        raise FilterError("known" if criteria.known else "fixable", "no index of bugs is at hand")
    words = {word.lower() for word in criteria.known}
    bugs = _bugs_of(names.known, words)
    every = not words or bool(words & _WORDS)
    functions = None if every else sorted(_guilty_functions(bugs.values()))
    fingerprints = [
        fingerprint
        for fingerprint, items in names.names(connection, functions).items()
        if any(_fits(item, words, bugs, fixable=bool(criteria.fixable)) for item in items)
    ]
    if criteria.problem:
        fingerprints = [item for item in fingerprints if item in criteria.problem]
    return replace(criteria, known=(), fixable=(), problem=tuple(fingerprints) or (_NONE,))


def _bugs_of(known: KnownBugs, words: AbstractSet[str]) -> dict[str, Bug]:
    """The bugs with a trace that these words name, by id."""
    return {
        bug.id: bug
        for word in words - _WORDS
        for bug in known.mentioning(word.removeprefix("cve-")[:_STORED_HASH])
        if is_named(bug, (word,))
    }


def _guilty_functions(bugs: Iterable[Bug]) -> set[str]:
    return {trace.function for bug in bugs for trace in bug.traces if trace.function is not None}


def is_named(bug: Bug, names: Iterable[str]) -> bool:
    """True where one of these words is the bug's id or one of its commits.

    Words are in lower case; a commit may be shortened.
    """
    return any(
        bug.id.lower() == word
        or (
            len(word) >= _SHORTEST_HASH
            and any(word.startswith(has) or has.startswith(word) for has in bug.commits)
        )
        for word in names
    )


def _fits(
    known_bug: KnownBug, words: Collection[str], bugs: Collection[str], *, fixable: bool
) -> bool:
    if fixable and not known_bug.fixable:
        return False
    if not words or "any" in words or ("likely" in words and known_bug.confidence == "likely"):
        return True
    return known_bug.id in bugs


def exposure(connection: Connection, bug: Bug) -> Exposure:
    """The hosts by how the kernel of their latest boot that told one stands to a bug."""
    hosts: defaultdict[RunningKernel, list[str]] = defaultdict(list)
    for name, release, package in connection.execute(_KERNELS, (_HOSTS,)):
        hosts[RunningKernel(release, package)].append(name)
    kernels: defaultdict[Status, dict[RunningKernel, tuple[str, ...]]] = defaultdict(dict)
    for kernel, names in sorted(hosts.items(), key=lambda item: str(item[0])):
        status = standing(KernelRelease.of(kernel.release, kernel.package), bug).status
        kernels[status][kernel] = tuple(sorted(names))
    return Exposure(bug.id, sum(map(len, hosts.values())), dict(kernels))
