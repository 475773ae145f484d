"""The first stage over Kafka: a topic of logs in, topics of findings and counts out.

It has no store.

In: a member of a group and a producer. Out: transactions. For each one, always in this order:

1. the group is asked who this member is, before the records are taken in;
2. findings, and counts where they are due, are produced with the offsets that they rest on, in one
   transaction: the offset of the oldest open report's head, with the bounds of what is sent and
   counted in its metadata;
3. what is out is noted.

Where a transaction is refused, or partitions went to others, all that is held is dropped, and read
again from what is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from detector.findings import COUNTS, CountersFinding, Finding, UnclaimedFinding, to_json
from detector.scan import Chunk
from detector.settings.fleet import FleetSettings
from detector.sources import LostPartitionsError
from detector.sources.kafka.finding_producer import FindingProducer, Produced
from detector.sources.kafka.group_source import GroupSource
from detector.sources.kafka.placement import Committed
from detector.stages.detector import Detector, ResumePoint

# While records come, a transaction ends so often; where none come, at once.
COMMIT_S = 0.5
# Offsets alone are committed so often.
OFFSETS_S = 5.0
# So many findings, or sums of noise, are not kept waiting.
MOST_FINDINGS = 5_000
MOST_SUMS = 20_000


class Detecting:
    """One first stage: what waits for its transaction, and when the last ones were."""

    def __init__(
        self,
        source: GroupSource,
        producer: FindingProducer,
        detector: Detector,
        fleet: FleetSettings,
        *,
        now_us: Callable[[], int],
        elapsed_s: Callable[[], float],
        tell: Callable[..., None],
    ) -> None:
        self._source, self._producer, self._detector = source, producer, detector
        self._fleet = fleet
        self._now_us, self._elapsed_s, self._tell = now_us, elapsed_s, tell
        self._waiting: list[Finding] = []
        self._points: Mapping[str, ResumePoint] = {}
        self._committed_s = self._counted_s = elapsed_s()
        self._group: Any = None

    def run(self) -> None:
        """Until the source ends; then all that is out of open reports is sent."""
        for batch in self._source.batches():
            if self._source.lost_partitions:
                self._again()
                continue
            try:
                self._take(batch)
            except LostPartitionsError as lost:
                self._tell("findings_refused", error=str(lost))
                self._again()
        try:
            if not self._source.lost_partitions:
                self._commit(counts=True)
        except LostPartitionsError as lost:
            self._tell("findings_refused", error=str(lost))

    def _take(self, batch: Sequence[Chunk]) -> None:
        """One batch, and its transaction where it is time for one."""
        for name, known in self._source.take_placed().items():
            self._detector.begin(name, known.sent or 0, known.counted or 0)
        self._group = self._source.group()
        self._waiting += self._detector.feed(batch, self._now_us())
        self._source.read_to({chunk.source: chunk.end for chunk in batch})
        now_s = self._elapsed_s()
        since_s = now_s - self._committed_s
        counts = (
            now_s - self._counted_s >= self._fleet.counts_s or self._detector.waiting >= MOST_SUMS
        )
        full = since_s >= COMMIT_S or not batch or len(self._waiting) >= MOST_FINDINGS
        if counts or (self._waiting and full) or since_s >= OFFSETS_S:
            self._commit(counts=counts)

    def _commit(self, *, counts: bool) -> None:
        """One transaction, unless there is nothing to say."""
        points = self._detector.resume_at(counted=counts)
        findings = [*self._waiting, *(self._detector.take_counts() if counts else ())]
        offsets = self._source.offsets({name: _commit_of(at) for name, at in points.items()})
        if len(offsets) < len(points):
            raise LostPartitionsError("partitions are held still, or went to others")
        if findings or points != self._points:
            self._producer.commit(self._records(findings), offsets, self._group)
            self._source.committed(offsets)
        self._detector.sent(points)
        self._waiting, self._points = [], points
        self._committed_s = self._elapsed_s()
        if counts:
            self._counted_s = self._committed_s

    def _records(self, findings: Sequence[Finding]) -> Iterator[Produced]:
        """Findings as records: keyed by host, sums on a topic of their own."""
        for finding in findings:
            sums = isinstance(finding, COUNTS)
            topic = self._fleet.noise_topic if sums else self._fleet.findings_topic
            apart = isinstance(finding, CountersFinding | UnclaimedFinding)
            key = None if apart else finding.host.encode() or None
            yield topic, key, to_json(finding)

    def _again(self) -> None:
        """Drops what is held, and reads on from what is committed."""
        self._detector.reset()
        self._waiting, self._points = [], {}
        self._source.again()


def _commit_of(point: ResumePoint) -> Committed:
    return Committed(point.offset, sent=point.sent, counted=point.counted)
