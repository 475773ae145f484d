"""Chunks of logs → findings: the first stage, without store and without clock.

In: chunks as they come, and the time as an argument. Out: findings. Held are the open reports of
the last seconds and the sums of noise since they were taken; `resume_at` says for each source from
where a successor reads on. Over Kafka `detector.stages.detect` sends what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detector.app import build
from detector.boots import UnplacedBoots
from detector.catalogue import Catalogue
from detector.diagnose import Diagnoser
from detector.findings import Finding
from detector.hooks import Hooks, RunTotals
from detector.scan import Chunk
from detector.settings import Settings
from detector.stages.finding_buffer import FindingBuffer


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The place from which a source is read after a restart.

    `offset` is the head of the oldest open report, or where the sums that were not taken begin.
    Findings below `sent` are out, sums below `counted`.
    """

    offset: int
    sent: int
    counted: int


class Detector:
    """The first stage: takes chunks of logs, returns findings.

    Without `settings`, those in force without a file are used.

    `feed` takes chunks and returns findings; `take_counts` returns the sums of noise and counters
    since its last call; `finish` ends the input and returns all that is left. `now_us` (µs since
    1970) closes reports that got no line for long: any clock will do that goes on.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        catalogue: Catalogue | None = None,
        host: str | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        settings = settings or Settings()
        self._settings = settings
        self._host = host
        self._hooks = hooks
        self._hands_on_lines = settings.fleet.assemble_in_archive
        self.catalogue = catalogue or build.catalogue_of(settings)
        self._begin(RunTotals())

    def reset(self) -> None:
        """Forgets all that is held: open reports, sums, bounds of sources. What was read is read
        again from where it was left.
        """
        self._begin(self.totals)

    def _begin(self, totals: RunTotals) -> None:
        self._buffer = FindingBuffer(Diagnoser(self.catalogue))
        self._pipeline = build.watch_of(
            self._settings,
            self._buffer,
            self.catalogue,
            host=self._host,
            hooks=self._hooks,
            correlating=self._buffer,
            boots=UnplacedBoots,
            on_report_line=self._buffer.add_line if self._hands_on_lines else None,
        )
        self._pipeline.totals = totals

    @property
    def totals(self) -> RunTotals:
        """The sums of the run; what was read again is counted again."""
        return self._pipeline.totals

    @property
    def waiting(self) -> int:
        """The number of sums of noise that wait for `take_counts`."""
        return self._buffer.keys

    def begin(self, source: str, sent: int, counted: int) -> None:
        """Names what of a source a predecessor has sent and counted already, before its first
        chunk.
        """
        bounds = self._buffer.of(source)
        bounds.sent, bounds.counted = sent, counted

    def feed(self, chunks: Sequence[Chunk], now_us: int) -> list[Finding]:
        """Takes chunks in; returns the matches, reports and rejected records that they brought, in
        order. Call it without chunks now and then, so that old reports end.
        """
        again = [chunk for chunk in chunks if chunk.end <= self._buffer.counted(chunk.source)]
        if again:  # read again for the sake of open reports: nothing of it is counted
            self._buffer.replaying = True
            try:
                self._pipeline.handle(again, now_us)
            finally:
                self._buffer.replaying = False
        rest = [chunk for chunk in chunks if chunk.end > self._buffer.counted(chunk.source)]
        if rest or not again:
            self._pipeline.handle(rest, now_us)
        for chunk in rest:
            self._buffer.records += chunk.count
            self._buffer.bytes += len(chunk.data)
        return self._buffer.take()

    def take_counts(self) -> list[Finding]:
        """The sums since the last call: noise, lines that were not understood, counters."""
        return self._buffer.take_counts()

    def finish(self, now_us: int) -> list[Finding]:
        """The input has ended: open reports end as they are. Returns all findings that are left,
        sums among them.
        """
        self._pipeline.finish(now_us)
        return [*self._buffer.take(), *self._buffer.take_counts()]

    def resume_at(self, *, counted: bool) -> Mapping[str, ResumePoint]:
        """From where each source is read on, once all findings so far are out; `counted` says that
        the sums are too.
        """
        opened = self._pipeline.assembler.since()
        points = {}
        for source, bounds in self._buffer.bounds.items():
            sums = max(bounds.counted, bounds.read) if counted else bounds.counted
            oldest = opened.get(source, bounds.read)
            held = bounds.read if bounds.held is None else bounds.held
            offset = min(bounds.read, oldest, held, sums)
            points[source] = ResumePoint(offset, max(bounds.sent, bounds.read), sums)
        return points

    def sent(self, points: Mapping[str, ResumePoint]) -> None:
        """Notes that all below these points is out: it is neither sent nor counted again."""
        for source, point in points.items():
            bounds = self._buffer.of(source)
            bounds.sent, bounds.counted = point.sent, point.counted
