"""The pipeline: source → scan → parse → match → assemble → correlate → store, then offsets.

`Pipeline` is one pipeline with its state; `detector.drive` runs it over a source. What comes in are
batches of chunks; what goes out is in the journal, and is told to those in `Hooks`. Alerts and
pages are made from the journal, not here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from detector.assemble import Assembler
from detector.batch_state import FollowedHosts, HeldPositions, NewCounts
from detector.boots import BOOT, Boots
from detector.catalogue import Catalogue, Rule
from detector.correlate import StoredMatch
from detector.correlator import Correlator
from detector.hooks import Hooks, RaisedIncident, RunTotals, ignore
from detector.isolation import NOWHERE, Isolation, RecordPlace, is_fatal, place_of, reason_of
from detector.keeper import Correlating, PipelineKeeper
from detector.kept_bytes import KeptBytes
from detector.kernel_errors.tally import FOLDED, KernelErrorPolicy, KernelErrorTally
from detector.kernel_matches import KernelMatches, MakeRepeats
from detector.match import Claim, Matcher
from detector.model import Block, Line, Match, Record, Unparsed
from detector.noise import NoiseTally
from detector.noise_path import NoisePath, nothing_taken
from detector.parse import Parser
from detector.repeat_path import RepeatPath
from detector.repeats import RepeatPolicy, Repeats
from detector.review import KNOWN_LINES, Review
from detector.scan import Chunk, Scanner, Searched
from detector.sources import LostPartitionsError
from detector.store import Journal

# Counts of noise that are only told wait until they are so many, or the input ends: most of them
# are of programs that crash again.
TOLD_AT_ONCE = 20_000


class Pipeline:
    """One pipeline: the parts, the open blocks, the streams of boots. One journal transaction a
    batch.

    What is held between batches is bounded, whatever comes: see `Limits`, `NoiseTally`, `Boots`.
    `rules` are those in force, else those that need no setting. `keeps_noise` is False for a
    journal whose counts of noise nobody will read: they are only told. A keeper that is no history
    brings the `correlating` that takes its matches and reports. `errors` says how kernel errors are
    counted; None: they are not. `kept` are searches that were compiled before; `proved` says that
    no expression of the catalogue can run out of its time: plain noise may take the short way.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        journal: PipelineKeeper,
        parser: Parser,
        *,
        matcher: Matcher,
        assembler: Assembler,
        now_us: int,
        rules: Sequence[Rule] | None = None,
        hooks: Hooks | None = None,
        keeps_noise: bool = True,
        correlating: Correlating | None = None,
        boots: type[Boots] = Boots,
        errors: KernelErrorPolicy | None = None,
        kept: KeptBytes | None = None,
        proved: bool = False,
    ) -> None:
        self.catalogue = catalogue
        self.journal = journal
        self.parser = parser
        self.matcher = matcher
        self.assembler = assembler
        self.hooks = hooks or Hooks()
        self.keeps_noise = keeps_noise
        self.totals = RunTotals()
        literals: list[Searched] = [*self.matcher.literals, *self.assembler.searched]
        self.kernel_errors = KernelErrorTally(errors, lambda: Scanner(literals).ends)
        self.scanner = Scanner((*literals, *self.kernel_errors.searched), kept)
        self._boots = boots
        self.boots = boots(journal.stored_streams)
        self.noise = NoiseTally()
        plain = NoisePath(matcher, parser, assembler, self.noise)
        self._short = plain if proved and self.scanner.finds_all else None
        self.review = Review(matcher, catalogue.lists.get(KNOWN_LINES, frozenset[str]()))
        self._counts = NewCounts(self._counted)
        self.followed = FollowedHosts(parser, assembler)
        self._isolation = Isolation(journal)
        in_force = catalogue.rules_in_force() if rules is None else rules
        self.correlator = correlating or self._correlator(in_force)
        self.matches = KernelMatches(
            journal,
            self.correlator,
            self._isolation,
            assembler,
            self._is_new,
            self.hooks.repeats,
            self._repeats(in_force),
        )
        if self._short and self.matches.repeats:
            self._short.repeating = RepeatPath(matcher, parser, self.matches.repeats).takes
        self._noise_from = 0
        self._took_s = 0.0
        self.held_back = HeldPositions(journal)
        self._restore(now_us)

    def _correlator(self, rules: Sequence[Rule]) -> Correlator:
        assert isinstance(self.journal, Journal), "only a history is correlated"
        return Correlator(
            self.catalogue,
            self.journal,
            self._isolation,
            rules=rules,
            on_incident=self._incident,
            on_report=self.hooks.report,
        )

    def _repeats(self, rules: Sequence[Rule]) -> MakeRepeats | None:
        if not isinstance(self.journal, Journal):
            return None
        return partial(Repeats, RepeatPolicy(rules), self.journal.repeats)

    def _is_new(self, stored: StoredMatch) -> None:
        self.totals.matches += 1
        self._isolation.say(self.hooks.match, stored)

    def _restore(self, now_us: int) -> None:
        """Goes back to what the journal holds."""
        self.parser.flush()
        self.assembler.flush()
        tallies = (self.noise, self.kernel_errors, self.review.tally)
        for tally in tallies:
            tally.drain()
        self.correlator.forget()
        self.held_back = HeldPositions(self.journal)
        self.boots = self._boots(self.journal.stored_streams)
        self._parts = (self, self.boots, *tallies, self.assembler, self.held_back, self.followed)
        kept = self.matches.restore()
        self.followed.restore(block.head.host for block in kept)
        self.assembler.restore(kept, now_us)

    def handle(self, batch: Sequence[Chunk], now_us: int) -> dict[str, int]:
        """Takes one batch in and tells of it; returns the positions after it, by source."""
        positions = self.store(batch, now_us)
        self.tell()
        return positions

    def store(
        self, batch: Sequence[Chunk], now_us: int, confirm: Callable[[], None] = ignore
    ) -> dict[str, int]:
        """Takes one batch in, in one transaction; returns the positions after it, by source.

        What there is to say of it waits for `tell`. `confirm` is asked last, and may raise
        LostPartitionsError: then nothing of the batch is stored, and the pipeline is as it was
        before.
        """
        begun = time.perf_counter()
        self.noise.renew(now_us)
        self.kernel_errors.renew(now_us)
        positions = {chunk.source: chunk.end for chunk in batch}

        def work() -> None:
            for chunk in batch:
                self._read_chunk(chunk, now_us)
            late = self._parsed(partial(self.parser.overdue, now_us), NOWHERE)
            self._take(late, True, now_us, None)
            self._settle(lambda: self.assembler.tick(now_us), positions)
            confirm()

        self._attempt(work, now_us)
        self._took_s = time.perf_counter() - begun
        return positions

    def tell(self) -> None:
        """Says what there is to say of the batch that was stored last."""
        self._isolation.tell()
        if not self.keeps_noise and len(self.noise) >= TOLD_AT_ONCE:
            self.hooks.noise(self.noise.drain())
        self.hooks.batch(self.totals, self._took_s)

    def finish(self, now_us: int) -> None:
        """The input has ended: what parser and assembler still hold is taken in."""

        def work() -> None:
            self._take(self._parsed(self.parser.flush, NOWHERE), True, now_us, None)
            if self.matches.repeats:
                self.matches.repeats.finish()
            self._settle(self.assembler.flush, {})

        self._attempt(work, now_us)
        self._isolation.tell()
        if not self.keeps_noise:
            self.hooks.noise(self.noise.drain())

    def _attempt(self, work: Callable[[], None], now_us: int) -> None:
        """Does the work of one batch in one transaction. Where a record makes it raise, once more
        with care, so that it alone is set aside; whatever else raises leaves nothing of the batch,
        and the pipeline as it was before.
        """
        parts, before = (*self._parts, self.parser), replace(self.totals)
        for part in parts:
            part.mark()
        for careful in (False, True):
            self._isolation.begin(careful=careful)
            try:
                with self.journal.transaction():
                    work()
                    self._store_rejected()
                break
            except BaseException as error:
                for part in parts:
                    part.rewind()
                if careful:  # marks were set since it began
                    self._restore(now_us)
                    self.totals = before
                if careful or is_fatal(error) or isinstance(error, LostPartitionsError):
                    raise

    def mark(self) -> None:
        """The pipeline's own state is good as it is now."""
        self._counts.mark()
        self.matches.mark()
        self._marked = replace(self.totals)

    def rewind(self) -> None:
        """Goes back to its state at the last mark."""
        self._counts.rewind()
        self.totals = self._marked
        self.matches.rewind()
        self.correlator.forget()
        self.mark()

    def _read_chunk(self, chunk: Chunk, now_us: int) -> None:
        """All that may matter in a chunk. What raises while records are looked for is the chunk's
        fault: the rest of it is set aside.
        """
        last = -1
        self._noise_from = self.journal.sources.counted(chunk.source)
        read_before = self._noise_from > getattr(chunk, "first", 0)
        short = None if self._isolation.careful or read_before else self._short
        taken = short.through(chunk, self.boots, now_us) if short else nothing_taken
        try:
            selected = self.scanner.select(chunk, self.followed.names, taken)
            within = self.kernel_errors.within(selected, self.followed.names)
            for record, hit in within:
                last = record.number
                self.totals.hits += hit
                if self._isolation.careful:
                    lines = self._parsed(partial(self.parser.feed, record, now_us), record)
                else:
                    lines = self.parser.feed(record, now_us)
                self._take(lines, hit, now_us, record)
        except Exception as error:
            if not self._isolation.careful or is_fatal(error):
                raise
            self._isolation.stage = "scan"
            reason = f"the rest of this chunk was not read: {reason_of(error)}"
            self._isolation.reject(RecordPlace(chunk.source, last + 1, chunk.data), reason)
        if short:
            short.add_to(self.totals)
        self.totals.add_chunk(chunk.count, len(chunk.data))

    def _parsed(
        self, parse: Callable[[], Sequence[Line | Unparsed]], place: RecordPlace | Record
    ) -> Sequence[Line | Unparsed]:
        self._isolation.stage = "parse"
        lines: list[Line | Unparsed] = []
        self._isolation.step(place, lambda: lines.extend(parse()))
        return lines

    def _take(
        self, lines: Sequence[Line | Unparsed], hit: bool, now_us: int, record: Record | None
    ) -> None:
        for line in lines:
            # what the parser held back came out with another's record
            is_candidate = hit or (record is not None and line.number != record.number)
            if isinstance(line, Unparsed):
                self._unread(line, record)
                if hit and record is not None and line.number >= self._noise_from:
                    self.totals.unclaimed += self.review.count_unread(line, record)
            elif self._isolation.careful:
                self._take_apart(line, is_candidate, now_us, record)
            else:
                match = self._match(line, record) if is_candidate else None
                self._isolation.stage = "assemble"
                for block in self.assembler.feed(line, match, now_us):
                    self.matches.report(block)

    def _take_apart(self, line: Line, hit: bool, now_us: int, record: Record | None) -> None:
        """The same, each step for itself. A line that cannot be matched is no line of a report."""
        isolation, place = self._isolation, place_of(line, record)
        match: Match | None = None
        blocks: list[Block] = []

        def matched() -> None:
            nonlocal match
            match = self._match(line, record)
            self._store_counts()

        if hit and not isolation.step(place, matched, self._parts):
            return
        isolation.stage = "assemble"
        isolation.step(
            place,
            lambda: blocks.extend(self.assembler.feed(line, match, now_us)),
            (self.assembler,),
        )
        for block in blocks:
            self.matches.report(block)
        self.correlator.raise_incidents()

    def _unread(self, line: Unparsed, record: Record | None) -> None:
        """A record that no format reads is counted; one that a reader raised on is set aside."""
        if not line.reason.startswith("error-"):
            self.totals.unparsed += 1
            self._isolation.say(self.hooks.unparsed, line)
            return
        self._isolation.stage = "parse"
        place = record or RecordPlace(line.source, line.number, line.sample)
        self._isolation.reject(place, line.reason.removeprefix("error-"))

    def _match(self, line: Line, record: Record | None) -> Match | None:
        """What the line is: noise is counted and ends here, a kernel match is stored and
        correlated.
        """
        self._isolation.stage = "match"
        claim = self.matcher.claim(line)
        if claim is None:
            if line.number >= self._noise_from:
                self._unclaimed(line, record)
            return None
        signature = claim.signature
        if signature.origin == "user":
            return self._noise(line, claim, record)
        boot = self.boots.place(line, banner=signature.cls == BOOT)
        match = self.assembler.match_of(claim, line, boot)
        if match is None:
            return None
        self._isolation.stage = "store"
        if signature.marker:
            if signature.cls == BOOT:
                self.journal.note_boot(match)
            return match
        known = self.matches.add(match, signature, place_of(line, record))
        if known is not None:
            self.boots.settle(line, known)
        return match

    def _unclaimed(self, line: Line, record: Record | None) -> None:
        """Counts a line that no signature claims; an open report's lines are its own."""
        reported = self.assembler.takes(line)
        self.totals.unclaimed += self.review.count(line, reported)
        if not reported and line.number >= self._noise_from:
            self.kernel_errors.count(line, record)

    def _noise(self, line: Line, claim: Claim, record: Record | None) -> Match | None:
        """Counts a fault of user space; only an open block of its host needs the match."""
        if line.number >= self._noise_from:
            self.totals.noise += 1
            self.noise.count_line(line, claim.process, claim.signature.id, record)
        if self.assembler.is_open(line.host):
            return claim.match(line, self.boots.place(line))
        self.boots.follow(line)
        return None

    def _settle(self, due: Callable[[], Sequence[Block]], positions: Mapping[str, int]) -> None:
        """The end of a batch: blocks that are due, incidents, noise counts, open blocks, streams,
        positions.
        """
        blocks: list[Block] = []
        self._isolation.stage = "assemble"
        self._isolation.step(NOWHERE, lambda: blocks.extend(due()), (self.assembler,))
        for block in blocks:
            self.matches.report(block)
        self.correlator.raise_incidents()
        self.totals.folded = self.noise.folded
        self._store_counts()
        self.correlator.raise_outbreaks()
        self.matches.keep_open()
        self._isolation.stage = "store"
        if unclaimed := self.review.tally.drain():
            self.journal.add_unclaimed(unclaimed)
            self._isolation.say(self.hooks.unclaimed, unclaimed)
        counted = self._counts.take()
        self.totals.cut_lines += counted["text_cut"] + counted["rows_cut"]
        for name, count in counted.items():
            self._isolation.step(NOWHERE, partial(self.journal.add_counts, {name: count}))
        self._isolation.say(self.hooks.counts, counted)
        self.held_back.store(positions, self.parser.waiting())
        for signature in self.matcher.take_switched_off():
            strikes = self.matcher.switched_off[signature]
            self._isolation.say(self.hooks.switched_off, signature, strikes)

    def _incident(self, finding: RaisedIncident, new: bool) -> None:
        self.totals.incidents += new
        self.hooks.incident(finding, new)

    def _store_counts(self) -> None:
        """Noise counts and streams, as far as they have come."""
        self._isolation.stage = "store"
        if self.keeps_noise:
            rows = self.noise.drain()
            self.journal.count_noise(rows)
            self.correlator.noise(rows)
            self._isolation.say(self.hooks.noise, rows)
        self.correlator.kernel_errors(self.kernel_errors)
        self.journal.save_streams(self.boots.changed())
        if isinstance(self.journal, Journal):
            self.totals.matches += self.matches.store_counts(self.journal.add_repeats)

    def _store_rejected(self) -> None:
        """What was set aside; only what is new of it is said."""
        for row in self.journal.add_rejected(self._isolation.rejected):
            self.totals.rejected += 1
            self._isolation.say(self.hooks.rejected, row)

    def _counted(self) -> Mapping[str, int]:
        """What parser, assembler and tallies counted from the beginning on."""
        folded = {
            "noise_folded": self.noise.folded,
            "noise_hosts_folded": self.noise.hosts_folded,
            FOLDED: self.kernel_errors.folded,
        }
        return {**self.parser.counts, **self.assembler.counts, **folded}
