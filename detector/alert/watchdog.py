"""Watchdog of the service's own input: an input that went silent, and a lag that does not
shrink, are incidents of their own.

In: after each batch the time, the records so far, the lag. Out: alarms that begin and end.
`Watchdog` is pure; `keep` writes what it says into the journal, as incidents of the host that
oopswatch runs on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from detector.clock import SECOND_US
from detector.correlate import boot_name, incident_id
from detector.model import Boot, Incident, Match
from detector.render.objects import moment
from detector.store import Journal
from detector.store.lifecycle.auto_resolve import close_rule

WatchdogAlert = Literal["input-silent", "lag-growing"]
KINDS: tuple[WatchdogAlert, ...] = ("input-silent", "lag-growing")
RULES = frozenset(f"oopswatch.{kind}" for kind in KINDS)


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm: something is wrong with the input since `since_us`, or (`over`) no longer."""

    kind: WatchdogAlert
    since_us: int
    text: str
    over: bool = False


@dataclass(slots=True)
class Watchdog:
    """Judges the input by limits, 0 for none: seconds without a record, records of lag, seconds
    that it is above that without shrinking.
    """

    silent_s: int
    lag_records: int
    lag_s: int
    _records: int | None = None
    _heard_us: int = 0
    _behind: tuple[int, int] | None = None
    _raised: dict[WatchdogAlert, int] = field(default_factory=dict)
    _ended: set[WatchdogAlert] = field(default_factory=set)

    def observe(self, now_us: int, records: int, lag: int) -> list[Alarm]:
        """Returns what a batch tells: `records` read so far, `lag` in all partitions."""
        return [*self._silence(now_us, records), *self._lag(now_us, lag)]

    def _silence(self, now_us: int, records: int) -> list[Alarm]:
        if self._records is None:
            self._heard_us = now_us
        if records != (self._records or 0):
            self._heard_us = now_us
            ended = self._end("input-silent", now_us, "records come in again")
            self._records = records
            return ended
        self._records = records
        if self.silent_s and now_us - self._heard_us >= self.silent_s * SECOND_US:
            return self._begin(
                "input-silent",
                self._heard_us,
                f"No record has come in since {moment(self._heard_us)}",
            )
        return []

    def _lag(self, now_us: int, lag: int) -> list[Alarm]:
        if not self.lag_records or lag <= self.lag_records:
            self._behind = None
            return self._end("lag-growing", now_us, f"the lag is down to {lag} records")
        since, first = self._behind = self._behind or (now_us, lag)
        if now_us - since >= self.lag_s * SECOND_US and lag >= first:
            text = (
                f"{lag} records wait to be read; above {self.lag_records} since "
                f"{moment(since)}, and not fewer"
            )
            return self._begin("lag-growing", since, text)
        return []

    def _begin(self, kind: WatchdogAlert, since_us: int, text: str) -> list[Alarm]:
        if kind in self._raised:
            return []
        self._raised[kind] = since_us
        self._ended.discard(kind)
        return [Alarm(kind, since_us, text)]

    def _end(self, kind: WatchdogAlert, now_us: int, text: str) -> list[Alarm]:
        """Said once, also of an alarm that an earlier process raised."""
        since = self._raised.pop(kind, now_us)
        if kind in self._ended:
            return []
        self._ended.add(kind)
        return [Alarm(kind, since, text, over=True)]


def keep(journal: Journal, alarm: Alarm, host: str, now_us: int) -> bool:
    """Writes an alarm into the history, in a transaction of its own: an incident, or the end of
    those there are. True where it did.
    """
    rule = f"oopswatch.{alarm.kind}"
    with journal.transaction():
        if alarm.over:
            return close_rule(journal.db, now_us, rule, host, alarm.text) > 0
        stored, _ = journal.add_match(_match(alarm, rule, host))
        anchor = stored.match
        incident = Incident(
            id=incident_id(rule, anchor),
            rule=rule,
            severity=anchor.severity,
            host=anchor.host,
            boot=boot_name(anchor),
            time_basis="wall",
            gap_us=0,
            started_us=alarm.since_us,
            anchor=anchor,
            evidence=(anchor,),
        )
        return journal.save_incident(incident, [stored.id])


def _match(alarm: Alarm, rule: str, host: str) -> Match:
    """A line that no kernel printed: oopswatch's own, so that the incident has an anchor as any
    other has.
    """
    return Match(
        signature=rule,
        cls="watch",
        origin="kernel",
        severity="error",
        text=alarm.text,
        fields={},
        source="oopswatch",
        number=0,
        host=host,
        boot=Boot(stream="oopswatch"),
        kernel_time_us=None,
        wall_time_us=alarm.since_us,
    )
