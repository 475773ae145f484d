"""Decides over which hours one value (a fingerprint, a program) has spread over enough
hosts.

In: the hosts that a value was seen on, by the hour. Out: spans of hours. A window is as many hours
next to each other as a rule's timespan has; windows with enough hosts are one span where at most a
day lies between them. What is seen later only adds hosts, so spans grow and join. A rule that
compares with what is usual counts by the day instead. No IO, no clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from detector.catalogue import Rule
from detector.clock import DAY_US, HOUR_US

# A value that was on enough hosts again within so long has not stopped spreading.
QUIET_US = DAY_US
# What is usual is the most of these days. The day before the one that is judged is none of them: a
# line that is late by a day changes no decision.
USUAL_DAYS = range(2, 16)
# Where fewer of them saw any program crash, counting has just begun, or was off.
_WATCHED_DAYS = 7


@dataclass(frozen=True, slots=True, order=True)
class HourSpan:
    """Hours in which a value was seen, from the first to the last; each is its beginning in µs
    since 1970.
    """

    first_us: int
    last_us: int

    def meets(self, other: HourSpan) -> bool:
        """Returns whether two spans are one: they share an hour, or lie at most a day apart."""
        wide = self.widened()
        return wide.first_us <= other.last_us and other.first_us <= wide.last_us

    def holds(self, hour_us: int) -> bool:
        """Returns whether an hour lies within the span."""
        return self.first_us <= hour_us <= self.last_us

    def widened(self) -> HourSpan:
        """The hours in which another span would be one with this."""
        return HourSpan(self.first_us - QUIET_US, self.last_us + QUIET_US)

    def without(self, others: Iterable[HourSpan]) -> Iterator[HourSpan]:
        """The hours that no other span holds, as spans."""
        start = self.first_us
        for other in sorted(others):
            if start < other.first_us:
                yield HourSpan(start, other.first_us - HOUR_US)
            start = max(start, other.last_us + HOUR_US)
        if start <= self.last_us:
            yield HourSpan(start, self.last_us)

    def with_(self, others: Iterable[HourSpan]) -> HourSpan:
        """The span from the first hour of all to the last."""
        spans = [self, *others]
        return HourSpan(min(span.first_us for span in spans), max(span.last_us for span in spans))


def reach(rule: Rule, hour_us: int) -> HourSpan:
    """The hours that can be in one window with an hour."""
    width = rule.timespan_us - HOUR_US
    return HourSpan(hour_us - width, hour_us + width)


def span_around(rule: Rule, hosts: Mapping[int, Collection[str]], hour_us: int) -> HourSpan | None:
    """The hours of all windows that hold an hour and enough hosts, from the first to the last
    that has any; None where no window has enough.

    `hosts` are those of each hour within `reach`; of an hour with more than enough, enough will do.
    """
    hours_held: list[int] = []
    for start in range(reach(rule, hour_us).first_us, hour_us + 1, HOUR_US):
        hours = [host for host in hosts if start <= host < start + rule.timespan_us and hosts[host]]
        if len(set().union(*(hosts[hour] for hour in hours))) >= rule.gte:
            hours_held += hours
    return HourSpan(min(hours_held), max(hours_held)) if hours_held else None


def all_spans(rule: Rule, hosts: Mapping[int, Collection[str]]) -> list[HourSpan]:
    """The spans of a whole history, in order."""
    spans: list[HourSpan] = []
    for hour in sorted(hosts):
        if hours_held := span_around(rule, hosts, hour):
            met = [span for span in spans if span.meets(hours_held)]
            spans = [*(span for span in spans if span not in met), hours_held.with_(met)]
    return sorted(spans)


def day_of(hour_us: int) -> HourSpan:
    """The hours of the day that holds an hour."""
    day_us = hour_us - hour_us % DAY_US
    return HourSpan(day_us, day_us + DAY_US - HOUR_US)


def usual_days(day_us: int) -> list[int]:
    """The days that say what is usual on a day."""
    return [day_us - number * DAY_US for number in USUAL_DAYS]


def is_unusual(rule: Rule, hosts: int, usual: int, watched: int) -> bool:
    """Returns whether a value is on far more hosts of a day than usual.
    `watched` of the days that say what is usual saw any value.
    """
    return watched >= _WATCHED_DAYS and hosts >= max(rule.gte, rule.times_usual * usual)


def all_unusual_days(
    rule: Rule, seen: Mapping[str, Mapping[int, Collection[str]]]
) -> dict[str, list[HourSpan]]:
    """The spans of a whole history by value, of a rule that compares with what is usual.
    `seen` are the hosts of each value by the hour.
    """
    days: dict[str, dict[int, set[str]]] = {}
    for value, hours in seen.items():
        for hour, hosts in hours.items():
            days.setdefault(value, {}).setdefault(day_of(hour).first_us, set()).update(hosts)
    watched = set().union(*days.values())
    spans: dict[str, list[HourSpan]] = {}
    for value, by_day in days.items():
        for day in sorted(by_day):
            before = usual_days(day)
            usual = max(len(by_day.get(earlier, ())) for earlier in before)
            if not is_unusual(rule, len(by_day[day]), usual, len(watched.intersection(before))):
                continue
            held = spans.setdefault(value, [])
            met = [span for span in held if span.meets(day_of(day))]
            spans[value] = [*(span for span in held if span not in met), day_of(day).with_(met)]
    return spans


def spread_id(rule: str, value: str, first_us: int) -> str:
    """The identity of an incident of many hosts: its rule, its value and its first hour,
    whoever was seen first in it.
    """
    spelled = "\0".join((rule, value, str(first_us)))
    return hashlib.sha256(spelled.encode(errors="surrogatepass")).hexdigest()[:16]
