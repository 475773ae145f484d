"""Looks up the known bugs of a crash report, for explain, pages, alerts and API alike.

In: a report, and the hand-written issue that it was given. Out: the bugs that it looks like, as
values and as JSON. Hand-written issues come first: what one of them covers is not named again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from detector import crash
from detector.catalogue import Catalogue
from detector.known import Bug, words
from detector.known.index import Index, UnreadableIndexError
from detector.known.match import Named, named
from detector.known.names import KnownBug
from detector.known.releases import ReleaseStanding
from detector.known.trace import trace_of
from detector.model import Block, CrashReport
from detector.release import KernelRelease

T = TypeVar("T")

# Answers that are kept: a fleet's problems are some thousands.
_MOST_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report as the history holds it; `block` reads it.
    The class of its head and its lines as they are stored distinguish it from every other.
    """

    issue: str | None
    cls: str
    lines: str
    block: Callable[[], Block | None]

    def digest(self) -> bytes:
        """The key of the answer."""
        text = "\n".join((self.issue or "", self.cls, self.lines))
        return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


_WATCHERS = frozenset({"dev_watchdog"})
"""Functions whose trace shows only who looked: net/sched/sch_generic.c dev_watchdog() finds that a
device, of whatever driver, did not send."""


class KnownBugs:
    """The index, asked about reports. `index` gives the one in force, which may change at any
    time; neither it nor the catalogue is read before the first report. Threads may share it.
    """

    def __init__(
        self,
        index: Callable[[], Index],
        catalogue: Callable[[], Catalogue],
        on_fault: Callable[[str], None] | None = None,
    ) -> None:
        """`on_fault` is told once of an index of which a part cannot be read: no bug is named by
        that part.
        """
        self._index = index
        self._catalogue = catalogue
        self._on_fault = on_fault or (lambda _text: None)
        self._faulty: str | None = None
        self._known: dict[bytes, tuple[KnownBug, ...]] = {}
        self._version: str | None = None

    def index(self) -> Index:
        """The index in force."""
        return self._index()

    def of(self, report: CrashReport | None, issue: str | None = None) -> tuple[Named, ...]:
        """The bugs that a report looks like, best first, without those that its issue covers.

        Most reports end here after one look: only a guilty function of the index can be named.
        """
        if report is None or report.function is None or report.function in _WATCHERS:
            return ()
        nothing: tuple[Named, ...] = ()
        names = self._read(lambda index: self._named(report, index), nothing)
        covered = self._covered(issue)
        return tuple(item for item in names if not {item.bug.id, item.bug.main} & covered)

    def may_name(self, function: str | None) -> bool:
        """Returns whether a crash in this function may look like a known bug."""
        return function is not None and self._read(
            lambda index: function in index.by_function, default=False
        )

    def functions(self) -> list[str]:
        """The functions in which a crash may look like a known bug."""
        return self._read(lambda index: list(index.by_function), [])

    def mentioning(self, text: str) -> list[Bug]:
        """The bugs with a trace in which a part of an id or of a commit's hash stands."""
        return self._read(lambda index: list(index.mentioning(text)), [])

    def _named(self, report: CrashReport, index: Index) -> tuple[Named, ...]:
        if report.function not in index.by_function:
            return ()
        kernel = KernelRelease.of(report.kernel, report.package)
        crashed = trace_of(report, self._catalogue().generic_functions)
        return named(crashed, kernel, report.arch, index)

    def _read(self, question: Callable[[Index], T], default: T) -> T:
        """The answer of the index in force; `default` where the part that it needs cannot be read,
        which is said once.
        """
        index = self._index()
        try:
            return question(index)
        except UnreadableIndexError as error:
            if self._faulty != index.version:
                self._faulty = index.version
                self._on_fault(f"the index of known bugs, version {index.version}: {error}")
            return default

    def shown(self, report: CrashReport | None, issue: str | None = None) -> tuple[KnownBug, ...]:
        """The bugs that a report looks like, as they are shown."""
        return shown(self.of(report, issue), words.running(report) if report is not None else None)

    def of_block(self, block: Block | None, issue: str | None = None) -> tuple[KnownBug, ...]:
        """The same of a block."""
        return (
            self.shown(crash.read(block, self._catalogue().generic_functions), issue)
            if block is not None
            else ()
        )

    def of_stored(self, reports: Iterable[StoredReport]) -> Iterator[tuple[KnownBug, ...]]:
        """The same of stored reports, in their order; answers are kept until the index changes."""
        version = self._index().version
        if version != self._version or len(self._known) >= _MOST_KEPT:
            self._known, self._version = {}, version
        known = self._known
        for report in reports:
            key = report.digest()
            if key not in known:
                known[key] = self.of_block(report.block(), report.issue)
            yield known[key]

    def _covered(self, issue: str | None) -> frozenset[str]:
        issues = self._catalogue().known_issues if issue is not None else ()
        return frozenset(bug for item in issues if item.id == issue for bug in item.covers)


def shown(names: Iterable[Named], kernel: str | None) -> tuple[KnownBug, ...]:
    """Names as they are shown."""
    release = KernelRelease.parse(kernel or "")
    return tuple(
        KnownBug(
            id=name.bug.id,
            subject=name.bug.subject,
            confidence=name.confidence,
            common=name.common,
            of=name.of,
            alike=name.alike,
            status=name.standing.status,
            fixed_in=name.standing.fix.release if name.standing.fix else None,
            commit=name.standing.fix.commit if name.standing.fix else None,
            fixable=is_fixable(release, name.standing),
            standing=words.release(name.bug, name.standing, kernel),
        )
        for name in names
    )


def is_fixable(kernel: KernelRelease | None, stands: ReleaseStanding) -> bool:
    """Returns whether a later release of the kernel's own series has the fix.
    A mainline release is the next series; of a vendor's build nobody knows.
    """
    fix = KernelRelease.parse(stands.fix.release) if stands.fix else None
    return (
        kernel is not None
        and fix is not None
        and stands.status == "affected"
        and fix.series == kernel.series
    )
