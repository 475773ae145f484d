"""The incidents of a batch: correlates stored matches and stores what they raise.
Each is stored with all that can be said of it.

In: matches as they are stored, blocks as they end. Out: incidents, reports and diagnoses in the
journal, each a step of the isolation: an incident whose explanation raises is stored without one.
What makes an incident is decided in `correlate`, what it means in `explain`; that a lone fault's
incident is part of any other that rests on the same fault, whichever comes first, is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

from detector.catalogue import Catalogue, Rule
from detector.correlate import (
    EVIDENCE_LIMIT,
    StoredMatch,
    assemble_incident,
    concerns,
    in_order,
    reach_us,
    related_to,
)
from detector.diagnose import BlockReading, Diagnoser
from detector.families import Families, Family
from detector.hooks import RaisedIncident
from detector.isolation import NOWHERE, Isolation, place_of
from detector.kernel_errors.tally import KernelErrorCount, KernelErrorPolicy, KernelErrorTally
from detector.model import Block, CrashReport, Diagnosis, Incident, Match
from detector.noise import NoiseCount
from detector.outbreak import Outbreaks
from detector.store import Journal


class Correlator:
    """The incidents of the batch at hand; between batches it holds nothing. `on_incident` gets
    every state of an incident and whether it is new, `on_report` a match's id and its report.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        journal: Journal,
        isolation: Isolation,
        *,
        rules: Sequence[Rule],
        on_incident: Callable[[RaisedIncident, bool], None],
        on_report: Callable[[int, CrashReport], None],
    ) -> None:
        self._rules = rules
        self._rules_of: dict[tuple[str, str], tuple[Rule, ...]] = {}
        self._pairs = frozenset(
            rule.id for rule in rules if not rule.is_lone and not rule.counts_hosts
        )
        self._of_hosts = frozenset(rule.id for rule in rules if rule.counts_hosts)
        self._outbreaks = Outbreaks(rules, journal)
        self._lone = frozenset(rule.id for rule in rules if rule.is_lone)
        self._journal = journal
        self._isolation = isolation
        self._on_incident = on_incident
        self._on_report = on_report
        self._families = Families()
        self._diagnoser = Diagnoser(catalogue)
        self._readings: dict[tuple[object, ...], BlockReading] = {}  # of this batch

    def forget(self) -> None:
        """Forgets what was added and not raised."""
        self._families = Families()
        self._readings.clear()
        self._outbreaks.forget()

    def add(self, stored: StoredMatch) -> None:
        """A new match was stored: notes what it makes an incident with."""
        for rule in self._concerned(stored.match):
            near = self._journal.neighbours(stored, reach_us(rule))
            boots = self._journal.boot_evidence([stored.match, *(other.match for other in near)])
            if family := related_to(rule, stored, near, boots):
                self._families.add(rule, family)

    def _concerned(self, match: Match) -> tuple[Rule, ...]:
        """The rules that ask for such a match; held by its class and signature, which are few."""
        what = match.cls, match.signature
        rules = self._rules_of.get(what)
        if rules is None:
            rules = tuple(rule for rule in self._rules if concerns(rule, match))
            self._rules_of[what] = rules
        return rules

    def raise_incidents(self) -> None:
        """Raises what was noted since the last time; lone faults last, when it is known what else
        rests on them.
        """
        for family in sorted(self._families.take(), key=lambda item: item.rule.is_lone):
            self._isolation.stage = "correlate"
            place = place_of(next(iter(family.members.values())).match)
            raising = self._raise_lone if family.rule.is_lone else self._raise
            self._isolation.step(place, partial(raising, family))

    def report(self, match_id: int, block: Block, reading: BlockReading | None = None) -> None:
        """The block of a match has ended: stores what it says (as it was read, if it was), and says
        more of the incidents that the match anchors.
        """
        reading = reading or self._read(block)
        if reading is not None:
            self._readings[_as_read(block)] = reading
        report, fingerprint = (reading.report, reading.fingerprint) if reading else (None, None)
        self._isolation.stage = "store"
        self._journal.add_report(match_id, block, report, fingerprint)
        if report is not None:
            self._isolation.say(self._on_report, match_id, report)
        self._outbreaks.report(match_id)
        for incident, evidence in self._journal.anchored(match_id):
            alone = incident.spread is not None
            shown = replace(incident, evidence=(incident.anchor,)) if alone else incident
            self._save(shown, evidence, reading)

    def seen(self, match_id: int) -> None:
        """A report is stored already: notes where its fingerprint was seen."""
        self._outbreaks.report(match_id)

    def noise(self, rows: Sequence[NoiseCount]) -> None:
        """Counts of noise were stored."""
        self._outbreaks.noise(rows)

    def kernel_errors(self, tally: KernelErrorTally) -> None:
        """Stores the counts of kernel errors, and notes where those that are news were seen."""
        if tally.policy and (rows := tally.drain()):
            self.count_kernel_errors(rows, tally.policy)

    def count_kernel_errors(
        self, rows: Sequence[KernelErrorCount], policy: KernelErrorPolicy
    ) -> None:
        """Stores counts of kernel errors, and notes where those that are news were seen."""
        news = self._journal.count_kernel_errors(rows, policy.learning_us)
        self._outbreaks.kernel_errors(news)

    def raise_outbreaks(self) -> None:
        """Raises the incidents of many hosts, after the reports and the noise of the batch."""
        self._isolation.stage = "correlate"
        work = partial(self._outbreaks.raise_incidents, self._save_raised)
        self._isolation.step(NOWHERE, work)
        self._readings.clear()

    def _raise(self, family: Family) -> None:
        """Raises the incident that a batch's kin make, or says more of those that it belongs to;
        lone faults' incidents that rest on the same become part of it.
        """
        assembled = self._assembled(family, family.incidents)
        if assembled is None:
            return
        incident, evidence = assembled
        if self._lone:
            resting = self._journal.resting_on(list(family.members))
            lone = {item.live for item in resting if item.live_rule in self._lone}
            incident = replace(incident, joined=tuple(sorted({*incident.joined, *lone})))
        self._save_raised(incident, evidence)

    def _raise_lone(self, family: Family) -> None:
        """Raises the incident of a lone fault. Where another incident rests on the fault, it is
        kept as a part of that one, and nobody hears of it.
        """
        resting = self._journal.resting_on(list(family.members))
        own = {item.id: item.live for item in resting if item.rule == family.rule.id}
        pairs = {item.live for item in resting if item.live_rule in self._pairs}
        others = pairs or {item.live for item in resting if item.live_rule in self._of_hosts}
        assembled = self._assembled(family, own.keys())
        if assembled is None:
            return
        incident, evidence = assembled
        live = (identity for identity, goes_on in own.items() if identity == goes_on != incident.id)
        incident = replace(incident, joined=tuple(sorted(live)))
        self._save_raised(incident, evidence, notify=not others)
        if others:
            self._journal.join(incident.id, min(others))

    def _assembled(
        self, family: Family, known: Collection[str]
    ) -> tuple[Incident, tuple[int, ...]] | None:
        """The incident of a family and the ids of what it rests on. Of a storm the earliest matches
        will do, unless they hold no pair.
        """
        older = self._journal.evidence(sorted(known), EVIDENCE_LIMIT) if known else []
        for limit in (EVIDENCE_LIMIT, None):
            evidence = {
                item.id: item for item in (*older, *in_order(family.members.values())[:limit])
            }
            matches = tuple(evidence.values())
            boots = self._journal.boot_evidence([match.match for match in matches])
            incident = assemble_incident(family.rule, matches, known, boots)
            if incident is not None:
                return incident, tuple(evidence.keys() | family.members.keys())
        return None

    def _save(
        self,
        incident: Incident,
        evidence: Sequence[int],
        reading: BlockReading | None,
        *,
        notify: bool = True,
    ) -> None:
        """Stores an incident with all that can be said of it now, and tells of it."""
        report, fingerprint = (reading.report, reading.fingerprint) if reading else (None, None)
        diagnosis = Diagnosis()

        def explain() -> None:
            nonlocal diagnosis
            diagnosis = self._diagnoser.explain(report, incident.evidence)

        self._isolation.stage = "explain"
        self._isolation.step(place_of(incident.anchor), explain)
        self._isolation.stage = "store"
        new = self._journal.save_incident(incident, evidence, diagnosis, report)
        if notify:
            finding = RaisedIncident(incident, report, fingerprint, diagnosis)
            self._isolation.say(self._on_incident, finding, new)

    def _save_raised(
        self, incident: Incident, evidence: Sequence[int], *, notify: bool = True
    ) -> None:
        """Stores an incident with its anchor's block as far as it has come."""
        block = self._journal.block_of(incident.anchor)
        known = self._readings.get(_as_read(block)) if block else None
        reading = known or (self._read(block) if block else None)
        self._save(incident, evidence, reading, notify=notify)

    def _read(self, block: Block) -> BlockReading | None:
        """Reads a block; None where it was set aside."""
        reading: BlockReading | None = None

        def read() -> None:
            nonlocal reading
            reading = self._diagnoser.read(block)

        self._isolation.stage = "explain"
        self._isolation.step(place_of(block.head), read)
        return reading


def _as_read(block: Block) -> tuple[object, ...]:
    """What the reading of a block rests on."""
    return block.head.signature, block.lines, block.complete
