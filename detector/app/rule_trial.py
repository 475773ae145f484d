"""Tries rules on a history: what they would have raised, before they are in force.

In: a history, open for reading; rules. Out: the incidents by rule, and the newest of them. What the
history holds is stored again, in its order, in a temporary history that the rules decide on; the
history itself is only read. Rules in force take part, since a lone fault is part of their
incidents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from detector.app import build
from detector.catalogue import Catalogue, Rule
from detector.correlator import Correlator
from detector.hooks import ignore
from detector.isolation import Isolation
from detector.kernel_errors.tally import KernelErrorPolicy
from detector.outbreak import KERNEL_ERROR
from detector.settings import Settings
from detector.store import History, Journal
from detector.store.errors import explained
from detector.store.query import rule_trial
from detector.store.query.filters import Filter
from detector.store.query.results import IncidentRow
from detector.store.query.rule_trial import RaisedIncidents, StoredFault

# What the history found to be news is news from its first line on.
NEWS_AT_ONCE = KernelErrorPolicy(0)


@dataclass(frozen=True, slots=True)
class TriedRule:
    """Incidents that one rule would have raised, the newest first; `raised` is None for
    nothing.
    """

    rule: Rule
    raised: RaisedIncidents | None
    newest: tuple[IncidentRow, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleTrial:
    """Result of a trial, with the numbers of faults, noise and error counts that were read."""

    tried: tuple[TriedRule, ...]
    faults: int
    noise: int
    kernel_errors: int


def try_rules(
    history: History,
    settings: Settings,
    catalogue: Catalogue,
    rules: Sequence[Rule],
    since_us: int,
    newest: int,
) -> RuleTrial:
    """Tries rules on what a history holds since a time (µs, 0 for all); raises `StoreError`."""
    in_force = build.rules_in_force(settings, catalogue)
    taking_part = (*rules, *(rule for rule in in_force if rule not in rules))
    with temporary_history(settings) as journal, explained(history.path):
        trial = _Trial(journal, catalogue, taking_part)
        trial.feed(history, since_us)
        raised_by_rule = {item.rule: item for item in rule_trial.raised(journal.db)}
        reading = journal.history()
        tried = [
            TriedRule(
                rule,
                raised_by_rule.get(rule.id),
                tuple(reading.search(Filter(rule=(rule.id,)), limit=newest).rows),
            )
            for rule in rules
        ]
    return RuleTrial(tuple(tried), trial.faults, trial.noise, trial.kernel_errors)


class _Trial:
    """A temporary history that is fed, and how much it got."""

    def __init__(self, journal: Journal, catalogue: Catalogue, rules: Sequence[Rule]) -> None:
        self.faults = 0
        self.noise = 0
        self.kernel_errors = 0
        self._journal = journal
        self._rules = rules
        self._isolation = Isolation(journal)
        self._correlator = Correlator(
            catalogue, journal, self._isolation, rules=rules, on_incident=ignore, on_report=ignore
        )

    def feed(self, history: History, since_us: int) -> None:
        """Stores again what the rules ask for, a transaction a page."""
        connection = history.db
        fields = {field for rule in self._rules if rule.counts_hosts for field in rule.group_by}
        names = {name for rule in self._rules for name in (*rule.classes, *rule.signatures)}
        with self._journal.transaction():
            for banner in rule_trial.banners(connection, since_us):
                self._journal.note_boot(banner)
        pages = rule_trial.faults(connection, names, since_us, reports="fingerprint" in fields)
        for page in pages:
            with self._batch():
                for item in page:
                    self._store(item)
            self.faults += len(page)
        for rows in rule_trial.noise(connection, since_us) if "process" in fields else ():
            with self._batch():
                self._correlator.noise(rows)
            self.noise += len(rows)
        errors = rule_trial.kernel_errors(connection, since_us) if KERNEL_ERROR in fields else ()
        for counts in errors:
            with self._batch():
                self._correlator.count_kernel_errors(counts, NEWS_AT_ONCE)
            self.kernel_errors += len(counts)

    def _batch(self) -> AbstractContextManager[None]:
        return trial_batch(self._journal, self._isolation, self._correlator)

    def _store(self, stored_fault: StoredFault) -> None:
        stored, new = self._journal.add_match(stored_fault.match)
        if new or stored.refined:
            self._correlator.add(stored)
        if stored_fault.block is not None:
            self._journal.add_report(stored.id, stored_fault.block, None, stored_fault.fingerprint)
            self._correlator.seen(stored.id)


@contextmanager
def trial_batch(journal: Journal, isolation: Isolation, correlator: Correlator) -> Iterator[None]:
    """Runs one transaction of a temporary history, whose incidents are raised at its end."""
    isolation.begin(careful=False)
    with journal.transaction():
        yield
        correlator.raise_incidents()
        correlator.raise_outbreaks()


@contextmanager
def temporary_history(settings: Settings) -> Iterator[Journal]:
    """An empty history that is gone afterwards; no power cut matters to it."""
    with TemporaryDirectory(prefix="oopswatch-") as folder:
        path = Path(folder) / "trial.db"
        with closing(build.journal_of(settings, path)) as journal:
            journal.db.execute("PRAGMA synchronous = OFF")
            yield journal
