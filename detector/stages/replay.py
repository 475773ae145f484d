"""Runs today's patterns and rules over old logs, and compares the outcome with the history.

In: batches of logs, or what a history holds; settings and catalogue. Out: a temporary history, and
the changes from the history to it: new, gone, changed. The history is only read, and nobody is
notified. Of logs, only what was read can be gone: a fault of another source is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from detector.app import build
from detector.app.rule_trial import NEWS_AT_ONCE, trial_batch
from detector.boots import line_of
from detector.catalogue import Catalogue
from detector.correlator import Correlator
from detector.hooks import ignore
from detector.isolation import Isolation
from detector.match import Matcher
from detector.model import Match
from detector.scan import Chunk
from detector.settings import Settings
from detector.stages.archive import Archive
from detector.stages.detector import Detector
from detector.store import History, Journal
from detector.store.errors import explained
from detector.store.query import rule_trial
from detector.store.query.replay import ReplayedFault, ReplayedIncident, ReplaySide

# Faults that are stored again in one transaction.
_BATCH = 500
_INCIDENT_FIELDS = (
    "rule", "severity", "title", "function", "fingerprint", "known_issue", "joined_into",
)  # fmt: skip
_FAULT_FIELDS = ("title", "function", "fingerprint")


@dataclass(frozen=True, slots=True)
class ReplayChange:
    """The outcome for one incident or fault: `fields` holds what changed, before and after.

    `name` is the incident's rule, or the fault's signature; `at_us` is µs since 1970, None where no
    line has a wall clock.
    """

    kind: Literal["incident", "fault"]
    change: Literal["new", "gone", "changed", "same"]
    id: str
    host: str
    at_us: int | None
    name: str
    title: str
    fields: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)


@dataclass(slots=True)
class ReplayedInput:
    """The input of a replay: a temporary history of what it gave, and what was read.

    `ranges` are the first and last record of each source, None for the whole history.
    """

    journal: Journal
    since_us: int = 0
    records: int = 0
    ranges: dict[str, tuple[int, int]] | None = None

    def read(self, chunk: Chunk, first: int) -> None:
        """Notes that the records of a chunk were read."""
        assert self.ranges is not None
        begin, _ = self.ranges.get(chunk.source, (first, first))
        self.ranges[chunk.source] = (begin, chunk.end - 1)
        self.records += chunk.count

    def covers(self, match: Match) -> bool:
        """Returns whether the record of a match was read."""
        if self.ranges is None:
            return True
        first, last = self.ranges.get(match.source, (0, -1))
        return first <= match.number <= last


def replay_logs(
    batches: Iterable[Sequence[Chunk]],
    settings: Settings,
    catalogue: Catalogue,
    given: ReplayedInput,
    now_us: Callable[[], int],
    host: str | None = None,
) -> None:
    """Feeds logs through both stages into the temporary history; `host` is that of every line."""
    given.ranges = {}
    detector = Detector(settings, catalogue=catalogue, host=host)
    archive = Archive(given.journal, settings, catalogue=catalogue)
    for batch in batches:
        for chunk in batch:
            if chunk.count:
                given.read(chunk, chunk.record_at(0)[0].number if chunk.data else chunk.end)
        archive.take(detector.feed(batch, now_us()))
    archive.take(detector.finish(now_us()))


def replay_stored(
    history: History, settings: Settings, catalogue: Catalogue, given: ReplayedInput
) -> None:
    """Matches and reads again what a history holds, into the temporary history."""
    with explained(history.path):
        _StoredFaults(given.journal, settings, catalogue).feed(history, given)


class _StoredFaults:
    """Stores the faults of a history again, as today's patterns claim and read them."""

    def __init__(self, journal: Journal, settings: Settings, catalogue: Catalogue) -> None:
        self._journal = journal
        self._matcher = Matcher(catalogue)
        self._isolation = Isolation(journal)
        self._correlator = Correlator(
            catalogue,
            journal,
            self._isolation,
            rules=build.rules_in_force(settings, catalogue),
            on_incident=ignore,
            on_report=ignore,
        )

    def feed(self, history: History, given: ReplayedInput) -> None:
        """Takes banners, faults, noise and new kernel errors, a transaction a page."""
        connection = history.db
        with self._journal.transaction():
            for banner in rule_trial.banners(connection, given.since_us):
                self._journal.note_boot(banner)
        side = ReplaySide(connection, 0)
        for page in _pages(side.faults(given.since_us)):
            with self._batch():
                for fault in page:
                    self._take(fault)
            given.records += len(page)
        for rows in rule_trial.noise(connection, given.since_us):
            with self._batch():
                self._correlator.noise(rows)
        for counts in rule_trial.kernel_errors(connection, given.since_us):
            with self._batch():
                self._correlator.count_kernel_errors(counts, NEWS_AT_ONCE)

    def _batch(self) -> AbstractContextManager[None]:
        return trial_batch(self._journal, self._isolation, self._correlator)

    def _take(self, fault: ReplayedFault) -> None:
        old = fault.match
        claim = self._matcher.claim(line_of(old))
        if claim is None or claim.signature.origin != "kernel":
            return
        match = claim.match(line_of(old), old.boot, alone=old.cls == claim.signature.alone)
        match = replace(match, caller=old.caller)
        stored, new = self._journal.add_match(match)
        if new or stored.refined:
            self._correlator.add(stored)
        if fault.block is not None and claim.signature.opens:
            self._correlator.report(stored.id, replace(fault.block, head=match))


def _pages(faults: Iterator[ReplayedFault]) -> Iterator[list[ReplayedFault]]:
    page: list[ReplayedFault] = []
    for fault in faults:
        page.append(fault)
        if len(page) == _BATCH:
            yield page
            page = []
    yield page


def changes(
    history: History, given: ReplayedInput, settings: Settings, catalogue: Catalogue
) -> Iterator[ReplayChange]:
    """Yields each incident, then each fault, that was replayed or is gone.

    Of logs, rules that count hosts are left out: they rest on the whole fleet.
    """
    tolerance_us = build.tolerance_us(settings)
    before = ReplaySide(history.db, tolerance_us)
    after = ReplaySide(given.journal.db, tolerance_us)
    counting = {rule.id for rule in catalogue.rules if rule.counts_hosts}
    left_out = counting if given.ranges is not None else frozenset[str]()
    titles = {rule.id: rule.title for rule in catalogue.rules}
    with explained(history.path):
        for change in _incidents(before, after, given, left_out):
            title = change.title or titles.get(change.name, change.name)
            yield replace(change, title=title)
        yield from _faults(before, after, given)


def _incidents(
    before: ReplaySide, after: ReplaySide, given: ReplayedInput, left_out: Iterable[str]
) -> Iterator[ReplayChange]:
    for new in after.incidents(0):
        if new.rule not in left_out:
            yield _incident(before.incident(new.id), new)
    for old in before.incidents(given.since_us):
        if old.rule in left_out:
            continue
        if (known := after.incident(old.id)) is not None:
            if known.joined_into is not None:
                yield _incident(old, known)
            continue
        evidence = before.evidence(old.id)
        if all(given.covers(match) or after.fault(match) for match in evidence):
            yield _incident(old, None)


def _faults(before: ReplaySide, after: ReplaySide, given: ReplayedInput) -> Iterator[ReplayChange]:
    for new in after.faults(0):
        old = before.fault(new.match)
        if old is not None or not before.counts(new.match):
            yield _fault(old, new)
    for old in before.faults(given.since_us):
        if given.covers(old.match) and after.fault(old.match) is None:
            yield _fault(old, None)


def _incident(old: ReplayedIncident | None, new: ReplayedIncident | None) -> ReplayChange:
    row = new or old
    assert row is not None
    fields = _differences(old, new, _INCIDENT_FIELDS)
    return ReplayChange(
        "incident", _change(old, new, fields), row.id, row.host, row.started_us, row.rule,
        row.title or "", fields,
    )  # fmt: skip


def _fault(old: ReplayedFault | None, new: ReplayedFault | None) -> ReplayChange:
    row = new or old
    assert row is not None
    match = row.match
    fields = _differences(old, new, _FAULT_FIELDS)
    if old is not None and new is not None:
        fields |= _differences(old.match, new.match, ("signature", "cls", "severity"))
    identity = f"{match.source}:{match.number}"
    return ReplayChange(
        "fault", _change(old, new, fields), identity, match.host, match.wall_time_us,
        match.signature, row.title or match.text, fields,
    )  # fmt: skip


def _change(
    old: object, new: object, fields: dict[str, Any]
) -> Literal["new", "gone", "changed", "same"]:
    if old is None:
        return "new"
    if new is None:
        return "gone"
    return "changed" if fields else "same"


def _differences(
    old: object, new: object, names: Iterable[str]
) -> dict[str, tuple[str | None, str | None]]:
    """The fields that differ where there are both."""
    if old is None or new is None:
        return {}
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in names}
    return {name: (was, is_now) for name, (was, is_now) in pairs.items() if was != is_now}
