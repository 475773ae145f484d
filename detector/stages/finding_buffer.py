"""Keeps what a pipeline finds as findings, until they are taken.

It stands in the place of a history where there is none.

In: matches, reports, noise and counts, one transaction a batch. Out: findings. Matches below what
was `sent` of a source, and noise below what was `counted` of it, are left out: after a restart,
records are read again from the head of the oldest open report. Counts are summed by key until they
are taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from detector.boots import BOOT, LineStream
from detector.correlate import StoredMatch
from detector.diagnose import Diagnoser
from detector.findings import (
    SAMPLE_BYTES,
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
from detector.kernel_errors.tally import FOLDED, KEYS, KernelErrorCount, KernelErrorTally
from detector.model import Block, Line, Match, Rejected
from detector.noise import NoiseCount
from detector.store.rows import NAME_LIMIT, clean, clean_line, clean_match
from detector.unclaimed import UnclaimedCount, folded


@dataclass(slots=True)
class SourceBounds:
    """The progress of one source: findings below `sent` are sent, noise below `counted` is.

    `read` is the next position to read, `held` the first record of a message that waits for its
    rest.
    """

    read: int = 0
    sent: int = 0
    counted: int = 0
    held: int | None = None


@dataclass(slots=True)
class _Staged:
    """What the batch at hand has brought so far."""

    findings: list[Finding] = field(default_factory=list)
    noise: list[NoiseCount] = field(default_factory=list)
    errors: list[KernelErrorCount] = field(default_factory=list)
    unclaimed: list[UnclaimedCount] = field(default_factory=list)
    counts: list[Mapping[str, int]] = field(default_factory=list)

    def lengths(self) -> list[int]:
        """How much there is."""
        return [len(part) for part in self._parts()]

    def cut(self, lengths: list[int]) -> None:
        """Goes back to what there was."""
        for part, length in zip(self._parts(), lengths, strict=True):
            del part[length:]

    def _parts(self) -> tuple[list[Any], ...]:
        return self.findings, self.noise, self.errors, self.unclaimed, self.counts


class FindingBuffer:
    """The findings since the last `take`, and the sums since the last `take_counts`.

    `replaying` says that the records at hand were counted before. It is keeper and correlating of a
    pipeline: `sources` is itself.
    """

    def __init__(self, diagnoser: Diagnoser) -> None:
        self._diagnoser = diagnoser
        self.bounds: dict[str, SourceBounds] = {}
        self.replaying = False
        self.records = self.bytes = 0
        self._ids = 0
        self._place: tuple[str, int] = ("", -1)
        self._ordinal = 0
        self._staged = _Staged()
        self._findings: list[Finding] = []
        self._noise: dict[tuple[str, str, str, int], NoiseCount] = {}
        self._errors: dict[tuple[str, str, int], KernelErrorCount] = {}
        self._unclaimed: dict[str, UnclaimedCount] = {}
        self._counts: Counter[str] = Counter()

    @property
    def sources(self) -> FindingBuffer:
        """The positions of sources, which the buffer holds itself."""
        return self

    @property
    def keys(self) -> int:
        """The number of sums of noise and of kernel errors that wait."""
        return len(self._noise) + len(self._errors)

    def of(self, source: str) -> SourceBounds:
        """The bounds of a source."""
        return self.bounds.setdefault(source, SourceBounds())

    def take(self) -> list[Finding]:
        """The findings since the last call, in the order they were made."""
        findings, self._findings = self._findings, []
        return findings

    def take_counts(self) -> list[Finding]:
        """The sums since the last call: noise and kernel errors by key, what was not understood,
        and counters with what was read.
        """
        sums: list[Finding] = [NoiseFinding(row) for row in self._noise.values()]
        sums += [KernelErrorFinding(row) for row in self._errors.values()]
        sums += [UnclaimedFinding(row) for row in self._unclaimed.values()]
        if self.records or self._counts:
            sums.append(CountersFinding(dict(self._counts), self.records, self.bytes))
        self._noise, self._errors, self._unclaimed, self._counts = {}, {}, {}, Counter()
        self.records = self.bytes = 0
        return sums

    # A keeper of a pipeline: one transaction a batch.

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A batch: all of it is kept, or nothing."""
        self._staged = _Staged()
        yield
        staged, self._staged = self._staged, _Staged()
        self._findings += staged.findings
        for row in staged.noise:
            self._add_noise(row)
        for error in staged.errors:
            self._add_error(error)
        self._unclaimed = folded(self._unclaimed, staged.unclaimed)
        for counts in staged.counts:
            self._counts.update(counts)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A step of a batch: what raises leaves nothing behind."""
        lengths = self._staged.lengths()
        try:
            yield
        except BaseException:
            self._staged.cut(lengths)
            raise

    def flush(self) -> None:
        """Nothing waits."""

    def counted(self, source: str) -> int:
        """Noise below this is counted."""
        return self.of(source).counted

    def catch_up(self, ends: Mapping[str, int]) -> None:
        """Nothing of these sources is held back any more."""
        for source in ends:
            self.of(source).held = None

    def set_positions(self, ends: Mapping[str, int], held: Mapping[str, int] | None = None) -> None:
        """Notes how far sources are read."""
        for source, end in ends.items():
            bounds = self.of(source)
            bounds.read, bounds.held = end, (held or {}).get(source)

    def stored_streams(self, names: Sequence[str]) -> Mapping[str, LineStream]:
        """None: boots are told apart where findings are stored."""
        del names
        return {}

    def save_streams(self, moved: Mapping[str, LineStream]) -> None:
        """See `stored_streams`."""

    def open_blocks(self) -> list[tuple[int, Block]]:
        """Open reports are read again, not kept."""
        return []

    def save_open_blocks(
        self, blocks: Iterable[tuple[int, Block]], still: Iterable[int] | None = ()
    ) -> None:
        """See `open_blocks`."""

    def note_boot(self, match: Match) -> None:
        """A banner."""
        self._add_match_finding(match, banner=True)

    def add_match(self, match: Match) -> tuple[StoredMatch, bool]:
        """A kernel match; whether it repeats another one is decided where findings are stored."""
        self._ids += 1
        self._add_match_finding(match, banner=match.cls == BOOT)
        return StoredMatch(self._ids, match), True

    def _add_match_finding(self, match: Match, *, banner: bool) -> None:
        if match.number >= self.of(match.source).sent:
            finding = MatchFinding(
                clean_match(match), banner, self._next(match.source, match.number)
            )
            self._staged.findings.append(finding)

    def count_noise(self, rows: Iterable[NoiseCount]) -> None:
        """Counts of user-space crashes."""
        self._staged.noise += rows

    def add_unclaimed(self, rows: Sequence[UnclaimedCount]) -> None:
        """Lines that were not understood."""
        self._staged.unclaimed += [_clean_unclaimed(row) for row in rows]

    def add_counts(self, counts: Mapping[str, int]) -> None:
        """Counters of parser and assembler."""
        if not self.replaying:
            self._staged.counts.append(counts)

    def add_rejected(self, rows: Sequence[Rejected]) -> list[Rejected]:
        """Records that a stage raised on."""
        new = [row for row in rows if row.number >= self.of(row.source).sent]
        self._staged.findings += [RejectedFinding(_clean_rejected(row)) for row in new]
        return new

    def add_line(self, line: Line) -> None:
        """A line that may be a report's, which is assembled where findings are stored."""
        if line.number >= self.of(line.source).sent:
            finding = LineFinding(clean_line(line), self._next(line.source, line.number))
            self._staged.findings.append(finding)

    # The correlating of a pipeline: incidents are made where findings are stored.

    def forget(self) -> None:
        """Nothing is noted."""

    def add(self, stored: StoredMatch) -> None:
        """A match was sent."""

    def report(self, match_id: int, block: Block) -> None:
        """A block has ended."""
        del match_id
        head, lines = clean_match(block.head), tuple(clean(line) for line in block.lines)
        whole = replace(block, head=head, lines=lines)
        finding = ReportFinding(whole, ordinal=self._next(head.source, head.number))
        try:
            reading = self._diagnoser.read(whole)
            report = replace(reading.report, lines=())
            finding = replace(finding, report=report, fingerprint=reading.fingerprint)
        except Exception:  # noqa: BLE001  # who stores it reads it again, and says what is wrong
            self._staged.counts.append({"reports_unread": 1})
        self._staged.findings.append(finding)

    def noise(self, rows: Sequence[NoiseCount]) -> None:
        """Counts were sent."""

    def kernel_errors(self, tally: KernelErrorTally) -> None:
        """Counts of kernel errors; whether they are news is decided where the history is."""
        self._staged.errors += tally.drain()

    def raise_incidents(self) -> None:
        """See `forget`."""

    def raise_outbreaks(self) -> None:
        """See `forget`."""

    def _next(self, source: str, number: int) -> int:
        """The ordinal of a finding among those of its record."""
        self._ordinal = self._ordinal + 1 if self._place == (source, number) else 0
        self._place = (source, number)
        return self._ordinal

    def _add_noise(self, row: NoiseCount) -> None:
        host, process = clean(row.host, NAME_LIMIT), clean(row.process, NAME_LIMIT)
        key = (host, process, row.signature, row.hour_us)
        known = self._noise.get(key)
        if known is None:
            self._noise[key] = replace(row, host=host, process=process)
        else:
            known.add(row)

    def _add_error(self, row: KernelErrorCount) -> None:
        template, host = clean(row.template, NAME_LIMIT), clean(row.host, NAME_LIMIT)
        key = (template, host, row.day_us)
        known = self._errors.get(key)
        if known is not None:
            known.add(row)
        elif len(self._errors) < KEYS:
            source, sample = clean(row.source, NAME_LIMIT), clean(row.sample, NAME_LIMIT)
            self._errors[key] = replace(
                row, template=template, host=host, source=source, sample=sample
            )
        else:
            self._counts[FOLDED] += row.count


def _clean_unclaimed(row: UnclaimedCount) -> UnclaimedCount:
    source, host = clean(row.source, NAME_LIMIT), clean(row.host, NAME_LIMIT)
    return replace(row, source=source, host=host, sample=clean(row.sample))


def _clean_rejected(row: Rejected) -> Rejected:
    cut = replace(row, value=row.value[:SAMPLE_BYTES], key=(row.key or b"")[:SAMPLE_BYTES] or None)
    return replace(cut, source=clean(row.source, NAME_LIMIT), reason=clean(row.reason, NAME_LIMIT))
