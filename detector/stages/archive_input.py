"""Chunks of the fleet's topics → findings and acts → an archive: the second stage's input.

`detector.drive` runs it.

In: chunks with a finding, or an act of a person, in each record. Out: the positions after them,
stored with them. A record that is neither is set aside, and the rest goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from detector.findings import Finding, FindingError, RejectedFinding, from_json
from detector.hooks import RunTotals, ignore
from detector.isolation import RecordPlace
from detector.model import Record, Rejected
from detector.scan import Chunk
from detector.stages.archive import Archive
from detector.store.lifecycle.shared_acts import ActError, SharedAct, act_from_json

# The stage that is named for what is no finding.
STAGE = "finding"


class ArchiveInput:
    """Takes batches of chunks into an archive; `publish` is called after each. Records of
    `acts_topic` are acts of people.
    """

    def __init__(
        self,
        archive: Archive,
        publish: Callable[[], None] = ignore,
        acts_topic: str | None = None,
    ) -> None:
        self._archive = archive
        self._acts = f"{acts_topic}/" if acts_topic else None
        self._publish = publish
        self._took_s = 0.0

    @property
    def totals(self) -> RunTotals:
        """The sums of the run; records and bytes are those that the first stages read."""
        return self._archive.totals

    def store(
        self, batch: Sequence[Chunk], now_us: int, confirm: Callable[[], None] = ignore
    ) -> dict[str, int]:
        """Stores the findings of a batch in one transaction; returns the positions after it."""
        begun = time.perf_counter()
        positions = {chunk.source: chunk.end for chunk in batch}
        if batch or self._archive.is_waiting:
            findings = [self._read(record) for chunk in batch for record in records_of(chunk)]
            self._archive.store(findings, positions, confirm, now_us)
        self._took_s = time.perf_counter() - begun
        return positions

    def _read(self, record: Record) -> tuple[Finding | SharedAct, RecordPlace]:
        place = RecordPlace(record.source, record.number, record.value, record.key)
        try:
            if self._acts is not None and record.source.startswith(self._acts):
                return act_from_json(record.value), place
            return from_json(record.value), place
        except (FindingError, ActError) as error:
            row = Rejected(
                record.source, record.number, STAGE, str(error), record.value, record.key
            )
            return RejectedFinding(row), place

    def tell(self) -> None:
        """Says what there is to say of the batch that was stored last."""
        self._archive.tell()
        self._archive.hooks.batch(self._archive.totals, self._took_s)
        self._publish()


def records_of(chunk: Chunk) -> Iterator[Record]:
    """All records of a chunk, in order."""
    at, left = 0, chunk.count
    while left > 0 and at < len(chunk.data):
        record, _, at = chunk.record_at(at)
        left -= 1
        yield record
