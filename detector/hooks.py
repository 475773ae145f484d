"""Callbacks of the pipeline, and the values that they get."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from detector.correlate import StoredMatch
from detector.model import CrashReport, Diagnosis, Incident, Rejected, Unparsed
from detector.noise import NoiseCount
from detector.repeat_runs import RepeatCount
from detector.unclaimed import UnclaimedCount


@dataclass(frozen=True, slots=True)
class RaisedIncident:
    """An incident with all that can be said of it: the report of its anchoring fault, its
    fingerprint, what it means.
    """

    incident: Incident
    report: CrashReport | None
    fingerprint: str | None
    diagnosis: Diagnosis


@dataclass(slots=True)
class RunTotals:
    """Totals of one run."""

    records: int = 0
    bytes: int = 0
    hits: int = 0
    matches: int = 0
    incidents: int = 0
    noise: int = 0
    folded: int = 0
    unparsed: int = 0
    cut_lines: int = 0
    rejected: int = 0
    unclaimed: int = 0

    def add_chunk(self, records: int, size: int) -> None:
        """Adds a chunk of so many records and bytes."""
        self.records += records
        self.bytes += size


def ignore(*_: object) -> None:
    """Does nothing, whatever it gets."""


@dataclass(slots=True)
class Hooks:
    """Callbacks for pipeline events, each called after its event is stored; the default does
    nothing.

    `incident` gets every state of an incident, and whether it is new; `report` a match's id in the
    journal, and its report; `repeats` counts of lines like a match; `unclaimed` what a batch held
    that no signature claims; `switched_off` a signature and its timeouts; `counts` what parser and
    assembler counted in one batch; `batch` the totals and the batch's seconds.
    """

    match: Callable[[StoredMatch], None] = ignore
    report: Callable[[int, CrashReport], None] = ignore
    incident: Callable[[RaisedIncident, bool], None] = ignore
    repeats: Callable[[Sequence[RepeatCount]], None] = ignore
    noise: Callable[[Sequence[NoiseCount]], None] = ignore
    unparsed: Callable[[Unparsed], None] = ignore
    rejected: Callable[[Rejected], None] = ignore
    unclaimed: Callable[[Sequence[UnclaimedCount]], None] = ignore
    switched_off: Callable[[str, int], None] = ignore
    counts: Callable[[Mapping[str, int]], None] = ignore
    batch: Callable[[RunTotals, float], None] = ignore
