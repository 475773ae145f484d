"""The sentence: source → scan → parse → match → assemble → correlate → store, then the offsets.

`Pipeline` is one pipeline with its state; `run` drives it over a source. What comes in are batches of
chunks; what goes out is in the journal, and is told to those in `Hooks`. Alerts and pages are made
from the journal, not here.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from detector import crash
from detector.assemble import Assembler
from detector.boots import BOOT, Boots
from detector.catalogue import Catalogue
from detector.correlate import (
    EVIDENCE_LIMIT,
    StoredMatch,
    assemble_incident,
    concerns,
    in_order,
    kin,
    reach_us,
)
from detector.explain import explain, with_instruction
from detector.families import Families, Family
from detector.hooks import Finding, Hooks, RunTotals, ignore
from detector.match import Claim, Matcher
from detector.model import Block, CrashReport, Incident, Line, Match, Record, Unparsed
from detector.noise import NoiseCount, NoiseTally
from detector.parse import Parser
from detector.scan import MANY_NAMES, Chunk, Scanner
from detector.sources import LostPartitionsError, Source
from detector.store import Journal

# The list of functions that are never the guilty one: allocation, locking, printk …
GENERIC = "generic-functions"
NOBODY: Container[str] = frozenset()
# Counts of noise that are only told wait until they are so many, or the input ends: most of them
# are of programs that crash again.
TOLD_AT_ONCE = 20_000


class _Remembered:
    """A list of names whose regexes are asked once for each name."""

    def __init__(self, names: Container[str]) -> None:
        self._holds = lru_cache(maxsize=8_192)(names.__contains__)

    def __contains__(self, name: object) -> bool:
        return self._holds(name)


class Pipeline:
    """One pipeline: the parts, the open blocks, the streams of boots. One journal transaction a
    batch.

    What is held between batches is bounded, whatever comes: see `Limits`, `NoiseTally`, `Boots`.
    `keeps_noise` is False for a journal whose counts of noise nobody will read: they are only told.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        journal: Journal,
        parser: Parser,
        *,
        matcher: Matcher,
        assembler: Assembler,
        now_us: int,
        told: Hooks | None = None,
        keeps_noise: bool = True,
    ) -> None:
        self.catalogue = catalogue
        self.journal = journal
        self.parser = parser
        self.matcher = matcher
        self.assembler = assembler
        self.told = told or Hooks()
        self.keeps_noise = keeps_noise
        self.totals = RunTotals()
        self.scanner = Scanner(self.matcher.literals)
        self.boots = Boots(journal.stream)
        self.noise = NoiseTally()
        self._families = Families()
        self._skip: Container[str] = _Remembered(catalogue.lists.get(GENERIC, NOBODY))
        self._counts: Counter[str] = Counter()
        self._heads: dict[tuple[str, int, str], int] = {}
        self._copies: set[int | None] = set()
        self._restored: set[str] = set()
        self._spelled = (frozenset[str](), -1, frozenset[str]())
        self._kept = 0
        self._noise_from = 0
        self.restore(now_us)

    def restore(self, now_us: int) -> None:
        """Goes back to what the journal holds: at the start, and after a batch that is dropped."""
        self.parser.flush()
        self.assembler.flush()
        self.noise.drain()
        self._families.take()
        self.boots = Boots(self.journal.stream)
        kept = self.journal.open_blocks()
        self._heads = {_head(block.head): match_id for match_id, block in kept}
        self._copies.clear()
        self._restored = {block.head.host for _, block in kept}
        self._kept = self.assembler.turn
        self.assembler.restore((block for _, block in kept), now_us)

    def handle(
        self, batch: Sequence[Chunk], now_us: int, confirm: Callable[[], None] = ignore
    ) -> dict[str, int]:
        """Takes one batch in, in one transaction; returns the positions after it, by source.

        `confirm` is asked last, and may raise LostPartitionsError: then nothing of the batch is
        stored, and the pipeline is as it was before.
        """
        begun = time.perf_counter()
        before = replace(self.totals)
        positions = {chunk.source: chunk.end for chunk in batch}
        try:
            self._store(batch, now_us, positions, confirm)
        except LostPartitionsError:
            self.totals = before
            self.restore(now_us)
            raise
        self.told.batch(self.totals, time.perf_counter() - begun)
        return positions

    def _store(
        self,
        batch: Sequence[Chunk],
        now_us: int,
        positions: dict[str, int],
        confirm: Callable[[], None],
    ) -> None:
        self.noise.renew(now_us)
        with self.journal.transaction():
            for chunk in batch:
                self._noise_from = self.journal.sources.counted(chunk.source)
                for record, hit in self.scanner.select(chunk, self._following):
                    self.totals.hits += hit
                    self._take(self.parser.feed(record, now_us), hit, now_us, record)
                self.totals.records += chunk.count
                self.totals.bytes += len(chunk.data)
            self._settle(self.assembler.tick(now_us), positions)
            confirm()

    def finish(self, now_us: int) -> None:
        """The input has ended: what parser and assembler still hold is taken in."""
        with self.journal.transaction():
            self._take(self.parser.flush(), True, now_us, None)
            self._settle(self.assembler.flush(), {}, last=True)

    def _following(self) -> frozenset[str] | None:
        """The hosts with open blocks; None, for every record, where they are too many, or all that
        comes is of one host.
        """
        assembler = self.assembler
        if not assembler.following:
            return assembler.hosts
        if self.parser.overrides or assembler.open_hosts > MANY_NAMES:
            return None
        if self._restored:  # nobody knows yet how the records of a stored block spell its host
            self._restored &= assembler.hosts
            return None if self._restored else assembler.hosts
        spellings = self.parser.spellings
        if self._spelled[:2] != (assembler.hosts, spellings.version):
            names = spellings.of(assembler.hosts)
            self._spelled = assembler.hosts, spellings.version, names
        return self._spelled[2]

    def _take(
        self, lines: Sequence[Line | Unparsed], hit: bool, now_us: int, record: Record | None
    ) -> None:
        for line in lines:
            if isinstance(line, Unparsed):
                self.totals.unparsed += 1
                self.told.unparsed(line)
                continue
            match = self._match(line, record) if hit else None
            for block in self.assembler.feed(line, match, now_us):
                self._report(block)

    def _match(self, line: Line, record: Record | None) -> Match | None:
        """What the line is: noise is counted and ends here, a kernel match is stored and
        correlated.
        """
        claim = self.matcher.claim(line)
        if claim is None:
            return None
        signature = claim.signature
        if signature.origin == "user":
            return self._noise(line, claim, record)
        boot = self.boots.place(line, banner=signature.cls == BOOT)
        match = claim.match(line, boot)
        if signature.marker:
            self.journal.note_boot(match)
            return match
        stored, new = self.journal.add_match(match)
        self._heads[_head(match)] = stored.id
        if not new:
            self._copies.add(stored.id)
        if new:
            self.totals.matches += 1
            self.told.match(stored)
        else:
            self.boots.settle(line, stored.match.boot)
        if new or stored.refined:  # an incident's identity has the exact time of its fault
            self._correlate(stored)
        return match

    def _noise(self, line: Line, claim: Claim, record: Record | None) -> Match | None:
        """Counts a fault of user space; only an open block of its host needs the match."""
        if line.number >= self._noise_from:
            self._count_noise(line, claim, record)
        if self.assembler.is_open(line.host):
            return claim.match(line, self.boots.place(line))
        self.boots.follow(line)
        return None

    def _count_noise(self, line: Line, claim: Claim, record: Record | None) -> None:
        self.totals.noise += 1
        wall_us = line.wall_time_us
        if wall_us is None and record is not None:
            wall_us = record.arrival_us
        self.noise.count(
            line.source,
            line.host,
            claim.process,
            claim.signature.id,
            wall_us,
            line.kernel_time_us,
        )

    def _correlate(self, stored: StoredMatch) -> None:
        for rule in self.catalogue.rules:
            if not concerns(rule, stored.match):
                continue
            near = self.journal.neighbours(stored, reach_us(rule))
            boots = self.journal.boot_evidence([stored.match, *(other.match for other in near)])
            family = kin(rule, stored, near, boots)
            if family:
                self._families.add(rule, family)

    def _raise(self, family: Family) -> None:
        """Raises the incident that a batch's kin make, or says more of those that it belongs to."""
        known = family.incidents
        older = self.journal.evidence(sorted(known), EVIDENCE_LIMIT) if known else []
        for limit in (
            EVIDENCE_LIMIT,
            None,
        ):  # of a storm the earliest will do, unless they hold no pair
            evidence = {one.id: one for one in (*older, *in_order(family.members.values())[:limit])}
            matches = tuple(evidence.values())
            boots = self.journal.boot_evidence([one.match for one in matches])
            incident = assemble_incident(family.rule, matches, known, boots)
            if incident is not None:
                self._save(incident, tuple(evidence.keys() | family.members.keys()))
                return

    def _save(self, incident: Incident, evidence: Sequence[int]) -> None:
        """Stores an incident with all that can be said of it now, and tells of it."""
        block = self.journal.block_of(incident.anchor)
        report = self._read(block) if block else None
        diagnosis = explain(report, incident.evidence, self.catalogue)
        new = self.journal.save_incident(incident, evidence, diagnosis, report)
        self.totals.incidents += new
        fingerprint = crash.fingerprint(report, self._skip) if report else None
        self.told.incident(Finding(incident, report, fingerprint, diagnosis), new)

    def _read(self, block: Block) -> CrashReport:
        return with_instruction(crash.read(block, self._skip))

    def _report(self, block: Block) -> None:
        """A block is whole, or as whole as it gets: read it, and say more of the incidents that it
        anchors.
        """
        if block.head.origin == "user":
            return
        match_id = self._heads.pop(_head(block.head), None)
        alone = match_id in self._copies and len(block.lines) == 1
        self._copies.discard(match_id)
        if (
            match_id is None or alone
        ):  # a copy of one line, such as a syslogd wall, says nothing that its report did not say
            return
        report = self._read(block)
        self.journal.add_report(match_id, block, report, crash.fingerprint(report, self._skip))
        self.told.report(match_id, report)
        for incident, evidence in self.journal.anchored(match_id):
            self._save(incident, evidence)

    def _settle(
        self, blocks: Sequence[Block], positions: dict[str, int], *, last: bool = False
    ) -> None:
        """The end of a batch: blocks that are due, incidents, noise counts, open blocks, streams,
        positions.
        """
        for block in blocks:
            self._report(block)
        for family in self._families.take():
            self._raise(family)
        self.totals.folded = self.noise.folded
        if self.keeps_noise or last or len(self.noise) >= TOLD_AT_ONCE:
            self._count(self.noise.drain())
        self._keep_open()
        self.journal.save_streams(self.boots.changed())
        counted = self._counted()
        self.journal.add_counts(counted)
        self.told.counts(counted)
        self.journal.set_positions(positions)
        for signature in self.matcher.take_switched_off():
            self.told.switched_off(signature, self.matcher.switched_off[signature])

    def _count(self, rows: Sequence[NoiseCount]) -> None:
        self.told.noise(rows)
        if self.keeps_noise:
            self.journal.count_noise(rows)

    def _keep_open(self) -> None:
        """Stores the blocks that are still open, and forgets the heads of all others."""
        heads = (_head(head) for head in self.assembler.heads())
        opened = {head: self._heads[head] for head in heads if head in self._heads}
        moved = self.assembler.open_blocks(since=self._kept)
        changed = [
            (opened[_head(block.head)], block) for block in moved if _head(block.head) in opened
        ]
        self._heads = opened
        self._kept = self.assembler.turn
        self._copies.intersection_update(opened.values())
        self.journal.save_open_blocks(changed, opened.values())

    def _counted(self) -> Mapping[str, int]:
        """What parser and assembler counted since the last batch: losses, disagreements, bounds
        that acted.
        """
        now = Counter(
            {**self.parser.counts, **self.assembler.counts, "noise_folded": self.noise.folded}
        )
        new = now - self._counts
        self._counts = now
        return new


def run(source: Source, watch: Pipeline, clock: Callable[[], int]) -> None:
    """Drives the pipeline until the source ends. For each batch, always in this order:

    1. store: matches, reports, incidents, noise counts, open blocks and positions, in one
       transaction, whose last step asks the source whether the batch is still its own; if not,
       nothing is stored, and the source drops the batch;
    2. offsets: the source is told what is stored. A kill between the two repeats nothing, since the
       store's positions win.
    """
    for batch in source.batches():
        try:
            positions = watch.handle(batch, clock(), source.confirm if batch else ignore)
        except LostPartitionsError as lost:
            source.drop(lost)
            continue
        source.commit(positions)


def _head(match: Match) -> tuple[str, int, str]:
    return match.source, match.number, match.text
