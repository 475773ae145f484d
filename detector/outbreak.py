"""The incidents of many hosts: outbreaks, bursts of noise, and news.
One crash on enough hosts is an outbreak, a program that crashes in user space on enough hosts a
burst of noise, a new kernel error on enough hosts is news.

In: reports as they end, counts of noise, kernel errors that are news. Out: incidents in the
journal, each with the hosts that it spread to. An outbreak takes in the incidents of lone faults
that have its fingerprint. Where a value was seen is noted when a rule in force counts it; over
which hours it has spread is decided in `spread`. Nothing is held between batches but what was noted
in this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from detector.catalogue import Rule
from detector.clock import HOUR_US
from detector.correlate import boot_name
from detector.model import Boot, Incident, Match
from detector.noise import OTHERS, UNNAMED, NoiseCount
from detector.spread import (
    USUAL_DAYS,
    HourSpan,
    day_of,
    is_unusual,
    reach,
    span_around,
    spread_id,
    usual_days,
)
from detector.store import Journal
from detector.store.ingest.kernel_errors import KernelErrorNews
from detector.store.ingest.spreads import GrownSpread

# What stands for programs and hosts that are not told apart is neither.
_NOBODY = frozenset((OTHERS, UNNAMED))
FINGERPRINT = "fingerprint"
PROCESS = "process"
KERNEL_ERROR = "kernel-error"


class Save(Protocol):
    """Stores an incident with all that can be said of it; nobody hears of it unless `notify`."""

    def __call__(self, incident: Incident, evidence: Sequence[int], *, notify: bool = True) -> None:
        """Stores it."""
        ...


class Outbreaks:
    """Notes the values that rules count, in the batch at hand, and raises what has spread."""

    def __init__(self, rules: Iterable[Rule], journal: Journal) -> None:
        self._journal = journal
        self._rules: dict[str, list[Rule]] = {}
        self._lone: set[str] = set()
        for rule in rules:
            if rule.is_lone:
                self._lone.add(rule.id)
            if rule.counts_hosts:
                self._rules.setdefault(rule.group_by[0], []).append(rule)
        for counting in self._rules.values():  # what takes in others comes before them
            counting.sort(key=lambda rule: rule.times_usual > 0)
        self._by_day = any(rule.times_usual for rule in self._rules.get(PROCESS, ()))
        self._touched: dict[tuple[str, str, int], set[str]] = {}

    def forget(self) -> None:
        """Forgets what was noted and not raised."""
        self._touched.clear()

    def report(self, match_id: int) -> None:
        """A report was stored, or what more is known of it."""
        if FINGERPRINT not in self._rules:
            return
        seen = self._journal.spreads.sighting(match_id)
        self._journal.spreads.withdraw(match_id, seen)
        if seen is not None:
            self._note(FINGERPRINT, seen.fingerprint, seen.hour_us, seen.host, match_id)

    def noise(self, rows: Iterable[NoiseCount]) -> None:
        """Counts of noise were stored; hour 0 is that of lines without a time."""
        if PROCESS not in self._rules:
            return
        for row in rows:
            if row.hour_us > 0 and not _NOBODY & {row.process, row.host}:
                self._note(PROCESS, row.process, row.hour_us, row.host)

    def kernel_errors(self, news: Iterable[KernelErrorNews]) -> None:
        """Templates of kernel errors that are news were seen on hosts."""
        if KERNEL_ERROR not in self._rules:
            return
        for row in news:
            self._note(KERNEL_ERROR, row.id, row.at_us - row.at_us % HOUR_US, row.host)

    def _note(
        self, field: str, value: str, hour_us: int, host: str, match_id: int | None = None
    ) -> None:
        new = self._journal.spreads.note(field, value, hour_us, host, match_id)
        if new and self._by_day and field == PROCESS:
            self._journal.spreads.count_day(value, hour_us, host)
        if new or (field == FINGERPRINT and self._lone):  # a lone fault may have to be taken in
            self._touched.setdefault((field, value, hour_us), set()).update([host] if new else ())

    def raise_incidents(self, save: Save) -> None:
        """Raises what was noted since the last time; `save` stores an incident with all that can be
        said of it.
        """
        touched = sorted(self._touched.items())
        self._touched = {}
        for (field, value, hour_us), hosts in touched:
            for rule in self._rules[field]:
                self._raise(rule, value, hour_us, hosts, save)

    def _raise(self, rule: Rule, value: str, hour_us: int, new: set[str], save: Save) -> None:
        spreads, field = self._journal.spreads, rule.group_by[0]
        hosts, around = self._around(rule, value, hour_us)
        met = spreads.live(rule.id, value, around or HourSpan(hour_us, hour_us))
        if around is None:  # a host between two windows of one incident counts with it
            around = next((item.span for item in met if item.span.holds(hour_us)), None)
            if around is None:
                return
            met = spreads.live(rule.id, value, around)
        span = around.with_(item.span for item in met)
        identity = spread_id(rule.id, value, span.first_us)
        spreads.grow(GrownSpread(identity, rule.id, field, value, span, new), met)
        incident = spreads.incident(identity)
        if incident is None:
            incident = self._begun(rule, value, span, identity, hosts)
        parts = {item.id for item in met} - {identity}
        if field == FINGERPRINT and self._lone:
            parts |= spreads.lone(value, span, self._lone)
        bursts = self._others(rule, value, span)
        if not rule.times_usual:
            parts |= bursts
        evidence = spreads.faults(field, value, span) or self._anchored(incident)
        # What the first host's report says is explained by its own lines.
        shown = replace(incident, evidence=(incident.anchor,), joined=tuple(sorted(parts)))
        part = rule.times_usual > 0 and bursts
        save(replace(shown, spread=spreads.spread_of(identity)), evidence, notify=not part)
        if part:
            self._journal.join(identity, min(bursts))
        if field == FINGERPRINT:  # noise is news once
            spreads.announce(identity)

    def _around(
        self, rule: Rule, value: str, hour_us: int
    ) -> tuple[dict[int, list[str]], HourSpan | None]:
        """The hosts of each hour near one, of each no more than are enough, and the hours over
        which a rule sees the value spread.
        """
        spreads, field = self._journal.spreads, rule.group_by[0]
        if not rule.times_usual:
            hosts = spreads.hosts(field, value, reach(rule, hour_us), rule.gte)
            return hosts, span_around(rule, hosts, hour_us)
        day = day_of(hour_us)
        hosts_of_day = spreads.hosts_on(value, day.first_us)
        if hosts_of_day < rule.gte:
            return {}, None
        if not is_unusual(rule, hosts_of_day, *spreads.usual(value, usual_days(day.first_us))):
            return {}, None
        return spreads.hosts(field, value, day, rule.gte), day

    def _others(self, rule: Rule, value: str, span: HourSpan) -> set[str]:
        """The live incidents of a value over the same hours by rules of the other kind: a burst
        takes in what is merely above the usual.
        """
        return {
            item.id
            for other in self._rules[rule.group_by[0]]
            if bool(other.times_usual) != bool(rule.times_usual)
            for item in self._journal.spreads.live(other.id, value, span)
        }

    def _begun(
        self, rule: Rule, value: str, span: HourSpan, identity: str, hosts: dict[int, list[str]]
    ) -> Incident:
        """A new incident, anchored at the first fault of its first hour."""
        spreads, field = self._journal.spreads, rule.group_by[0]
        hour_us = min(hour for hour in hosts if hour >= span.first_us)
        host, anchor = spreads.first(field, value, hour_us, hosts[hour_us])
        if anchor is None:
            what = self._journal.kernel_error(value) if field == KERNEL_ERROR else value
            anchor = _anchor_of(rule, what, host, span.first_us)
        return Incident(
            id=identity,
            rule=rule.id,
            severity=rule.severity,
            host=anchor.host,
            boot=boot_name(anchor),
            time_basis="wall",
            gap_us=0,
            started_us=anchor.wall_time_us,
            anchor=anchor,
            evidence=(anchor,),
        )

    def _anchored(self, incident: Incident) -> tuple[int, ...]:
        """The stored line that an incident without faults is anchored at."""
        return (self._journal.add_match(incident.anchor)[0].id,)


def _anchor_of(rule: Rule, what: str, host: str, hour_us: int) -> Match:
    """A line that no kernel printed: of noise and of kernel errors only counts are kept, and an
    incident has an anchor. `what` is a program, or a template.
    """
    hours = rule.timespan_us // HOUR_US
    within = "an hour" if hours == 1 else f"{hours} hours"
    spread = f"on {rule.gte} hosts or more within {within}"
    if rule.times_usual:
        spread += f", {rule.times_usual} times as many as on any of {len(USUAL_DAYS)} earlier days"
    if rule.group_by == (KERNEL_ERROR,):
        cls, text = "kernel-error", f"new kernel error {spread}: {what}"
    else:
        cls, text = "noise-burst", f"{what} crashed in user space {spread}"
    return Match(
        signature=f"oopswatch.{rule.id}",
        cls=cls,
        origin="kernel",
        severity=rule.severity,
        text=text,
        fields={},
        source="oopswatch",
        number=0,
        host=host,
        boot=Boot(stream="oopswatch"),
        kernel_time_us=None,
        wall_time_us=hour_us,
    )
