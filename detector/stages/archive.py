"""Findings → incidents in one history: the second stage.

In: findings, whatever stage 1 they came from, and where their topics stand. Out: matches, reports,
incidents, noise and counts in the history, one transaction for each call, and the incidents that it
raised or changed. In which boot a line was printed is decided here, by the stream of its host in
its source; what belongs together in `correlate`. What raises on a finding is set aside, the rest
goes on.

A host's lines may lie in several partitions of a topic (no keys, or several partitioners): then a
boot banner in one says nothing to a count of boots in another one, so the count is left out, and
banners and clocks part boots. What was seen of a host is asked of the history where it is not held.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from detector.app import build
from detector.assemble.report_lines import rests_on_others
from detector.batch_state import HeldPositions
from detector.boots import Boots, UnplacedBoots, line_of
from detector.catalogue import Catalogue
from detector.clock import SECOND_US
from detector.correlator import Correlator
from detector.crash.reading import lines_of
from detector.diagnose import BlockReading
from detector.findings import (
    CountersFinding,
    Finding,
    KernelErrorFinding,
    LineFinding,
    MatchFinding,
    NoiseFinding,
    RejectedFinding,
    ReportFinding,
    UnclaimedFinding,
)
from detector.hooks import Hooks, RaisedIncident, RunTotals, ignore
from detector.isolation import NOWHERE, Isolation, RecordPlace, is_fatal, place_of
from detector.kernel_errors.tally import KernelErrorCount
from detector.model import Block, Line, Match, Rejected
from detector.noise import NoiseCount
from detector.settings import Settings
from detector.sources import LostPartitionsError
from detector.stages.spread_reports import SpreadReports
from detector.store import Journal
from detector.store.lifecycle import acts
from detector.store.lifecycle.shared_acts import SharedAct
from detector.unclaimed import UnclaimedCount

# Hosts that are held in memory.
HOSTS = 50_000


class SpreadHosts:
    """Hosts by their source; `seen` gives the sources that the history knows of a host."""

    def __init__(self, seen: Callable[[str], Iterable[str]], limit: int = HOSTS) -> None:
        self._seen = seen
        self._limit = limit
        self._sources: OrderedDict[str, set[str]] = OrderedDict()

    def note(self, host: str, source: str) -> bool:
        """A line of a host came from a source; says whether other partitions of its topic hold
        lines of it too.
        """
        sources = self._sources.get(host)
        if sources is None:
            sources = self._sources[host] = set(self._seen(host))
            if len(self._sources) > self._limit:
                self._sources.popitem(last=False)
        sources.add(source)
        topic, slash, partition = source.rpartition("/")
        if len(sources) < 2 or not slash or not partition.isdigit():
            return False
        return any(other != source and other.rpartition("/")[0] == topic for other in sources)


# Later than all that waits.
FOREVER_US = 1 << 62
# The heads of reports whose matches were stored lately: their reports follow within seconds.
HEADS = 20_000
Head = tuple[str, int, str]
Sum = TypeVar("Sum", NoiseCount, KernelErrorCount, UnclaimedCount)


class Archive:
    """The second stage over one history, which it alone writes.

    `hooks` hears of what happens, as the pipeline of `run` tells it, once `tell` is called.
    """

    def __init__(
        self,
        journal: Journal,
        settings: Settings | None = None,
        *,
        catalogue: Catalogue | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        settings = settings or Settings()
        self.journal = journal
        self.hooks = hooks or Hooks()
        self.totals = RunTotals()
        self.boots = Boots(journal.stored_streams)
        self._spread = SpreadHosts(journal.sources_of)
        self._isolation = Isolation(journal)
        catalogue = catalogue or build.catalogue_of(settings)
        self._correlator = Correlator(
            catalogue,
            journal,
            self._isolation,
            rules=build.rules_in_force(settings, catalogue),
            on_incident=self._incident,
            on_report=self.hooks.report,
        )
        self._errors = build.kernel_error_policy(settings)
        self._heads: OrderedDict[Head, tuple[int, bool]] = OrderedDict()
        self._new_heads: dict[Head, tuple[int, bool]] = {}
        self._raised: list[RaisedIncident] = []
        self._settings, self._catalogue = settings, catalogue
        self._matcher = build.matcher_of(settings, catalogue)
        self._held = HeldPositions(journal)
        bounds = settings.assemble
        self._lines = SpreadReports(bounds.deadline_s * SECOND_US, bounds.max_age_s * SECOND_US)

    @property
    def is_waiting(self) -> bool:
        """Returns whether lines of reports wait for the rest of their reports."""
        return self._lines.is_waiting

    def take(self, findings: Iterable[Finding]) -> list[RaisedIncident]:
        """Stores findings, in one transaction; returns the incidents that they raised or changed,
        each as it is now.
        """
        self.store([(finding, NOWHERE) for finding in findings], {})
        self.tell()
        return list({raised.incident.id: raised for raised in self._raised}.values())

    def store(
        self,
        findings: Sequence[tuple[Finding | SharedAct, RecordPlace]],
        positions: Mapping[str, int],
        confirm: Callable[[], None] = ignore,
        now_us: int | None = None,
    ) -> None:
        """Stores findings and acts of people, each with the record that it came in, and the
        positions after them, in one transaction. `confirm` is asked last, and may raise
        LostPartitionsError: then nothing is stored. Lines of reports wait for those that come
        within `assemble.deadline_s` of them by `now_us` (µs); without it, for none.
        """
        before = replace(self.totals)
        parts = self.boots, self._lines, self._held
        for part in parts:
            part.mark()
        for careful in (False, True):
            self._isolation.begin(careful=careful)
            self._raised, self._new_heads = [], {}
            try:
                with self.journal.transaction():
                    self._work(findings, now_us)
                    self._isolation.stage = "store"
                    self._held.store(positions, self._lines.waiting())
                    confirm()
                    self._store_rejected()
                break
            except BaseException as error:
                for part in parts:
                    part.rewind()
                self._correlator.forget()
                self.totals = replace(before)
                if careful or is_fatal(error) or isinstance(error, LostPartitionsError):
                    raise
        self.boots.mark()
        self._heads |= self._new_heads
        while len(self._heads) > HEADS:
            self._heads.popitem(last=False)

    def tell(self) -> None:
        """Says what there is to say of what was stored last."""
        self._isolation.tell()

    def _work(
        self, findings: Sequence[tuple[Finding | SharedAct, RecordPlace]], now_us: int | None
    ) -> None:
        noise: list[tuple[NoiseCount, RecordPlace]] = []
        errors: list[tuple[KernelErrorCount, RecordPlace]] = []
        unclaimed: list[tuple[UnclaimedCount, RecordPlace]] = []
        for finding, place in findings:
            if isinstance(finding, NoiseFinding):
                noise.append((finding.count, place))
            elif isinstance(finding, KernelErrorFinding):
                errors.append((finding.count, place))
            elif isinstance(finding, UnclaimedFinding):
                unclaimed.append((finding.count, place))
            elif isinstance(finding, LineFinding):
                self._lines.add(finding.line, place, now_us or 0)
            else:
                self._isolation.stage = "store"
                self._isolation.step(place, partial(self._take, finding), (self.boots,))
        for lines in self._lines.take_due(FOREVER_US if now_us is None else now_us):
            self._isolation.stage = "assemble"
            self._isolation.step(place_of(lines[0]), partial(self._assemble, lines), (self.boots,))
        self._correlator.raise_incidents()
        self._count(
            self._each(noise, self.journal.count_noise),
            self._each(unclaimed, self.journal.add_unclaimed),
        )
        if self._errors is not None:
            self._each(errors, partial(self._correlator.count_kernel_errors, policy=self._errors))
        self._correlator.raise_outbreaks()
        self._isolation.stage = "store"
        acts.apply_waiting(self.journal.db)
        self.journal.save_streams(self.boots.changed())

    def _take(self, finding: Finding | SharedAct) -> None:
        if isinstance(finding, MatchFinding):
            self._match(finding)
        elif isinstance(finding, ReportFinding):
            self._report(finding)
        elif isinstance(finding, CountersFinding):
            self._counters(finding)
        elif isinstance(finding, RejectedFinding):
            self.reject(finding.rejected)
        elif isinstance(finding, SharedAct):
            acts.apply(self.journal.db, finding)
        if self._isolation.careful:
            self._correlator.raise_incidents()
            self.journal.save_streams(self.boots.changed())

    def reject(self, row: Rejected) -> None:
        """Sets a record aside."""
        self._isolation.stage = row.stage
        place = RecordPlace(row.source, row.number, row.value, row.key)
        self._isolation.reject(place, row.reason)

    def _match(self, finding: MatchFinding) -> None:
        line = line_of(finding.match)
        boot = self.boots.place(line, banner=finding.banner)
        if self._spread.note(line.host, line.source):
            boot = replace(finding.match.boot, stream="", count=0)
        match = replace(finding.match, boot=boot)
        if finding.banner:
            self.journal.note_boot(match)
            return
        stored, new = self.journal.add_match(match)
        self._new_heads[_head(match)] = (stored.id, new)
        if new:
            self.totals.matches += 1
            self._isolation.say(self.hooks.match, stored)
        else:
            self.boots.settle(line, stored.match.boot)
        if new or stored.refined:
            self._isolation.stage = "correlate"
            self._correlator.add(stored)

    def _assemble(self, lines: Sequence[Line]) -> None:
        """Assembles what a host printed, all of it, and stores the reports."""
        assembler = build.assembler_of(self._settings, self._catalogue)
        blocks: list[Block] = []
        for line in lines:
            claim = self._matcher.claim(line)
            match = None
            if claim is not None and claim.signature.origin == "kernel":
                match = assembler.match_of(claim, line, UnplacedBoots().place(line))
                if match is not None and rests_on_others(claim) and not claim.signature.marker:
                    self._match(MatchFinding(match))
            blocks += assembler.feed(line, match, 0)
        for block in (*blocks, *assembler.flush()):
            self._report(ReportFinding(block))

    def _report(self, finding: ReportFinding) -> None:
        """A block is read and stored with its head; a copy of one line, such as a syslogd wall,
        says nothing that its report did not say.
        """
        block = finding.block
        head = _head(block.head)
        known = self._new_heads.get(head) or self._heads.get(head)
        match_id, new = known or self._stored_head(block.head)
        if match_id is not None and (new or len(block.lines) > 1):
            self._correlator.report(match_id, block, _reading(finding))

    def _stored_head(self, head: Match) -> tuple[int | None, bool]:
        stored = self.journal.find(head)
        return (stored.id, True) if stored else (None, False)

    def _counters(self, finding: CountersFinding) -> None:
        self.totals.records += finding.records
        self.totals.bytes += finding.bytes
        counts = finding.counts
        self.totals.cut_lines += counts.get("text_cut", 0) + counts.get("rows_cut", 0)
        self.journal.add_counts(counts)
        self._isolation.say(self.hooks.counts, counts)

    def _each(
        self, sums: Sequence[tuple[Sum, RecordPlace]], store: Callable[[Sequence[Sum]], None]
    ) -> list[Sum]:
        """Stores sums, with care one by one; returns those that are stored."""
        self._isolation.stage = "store"
        if not self._isolation.careful:
            rows = [row for row, _ in sums]
            if rows:
                store(rows)
            return rows
        return [row for row, place in sums if self._isolation.step(place, partial(store, [row]))]

    def _count(self, noise: list[NoiseCount], unclaimed: list[UnclaimedCount]) -> None:
        """Says what sums were stored."""
        if noise:
            self._correlator.noise(noise)
            self.totals.noise += sum(row.count for row in noise)
            self._isolation.say(self.hooks.noise, noise)
        if unclaimed:
            self.totals.unclaimed += sum(row.count for row in unclaimed)
            self._isolation.say(self.hooks.unclaimed, unclaimed)

    def _store_rejected(self) -> None:
        for row in self.journal.add_rejected(self._isolation.rejected):
            self.totals.rejected += 1
            self._isolation.say(self.hooks.rejected, row)

    def _incident(self, raised: RaisedIncident, new: bool) -> None:
        self.totals.incidents += new
        self._raised.append(raised)
        self.hooks.incident(raised, new)


def _reading(finding: ReportFinding) -> BlockReading | None:
    """What the first stage read of a report."""
    if finding.report is None:
        return None
    report = replace(finding.report, lines=tuple(lines_of(finding.block)))
    return BlockReading(report, finding.fingerprint)


def _head(match: Match) -> Head:
    return match.source, match.number, match.text
