"""Disturbs clocks, names and dumps of a fleet between the halves of a pair.

In: entries as they arrive, with the wall time of a right clock; the truth. Out: the same entries as
the hosts shipped them. The second half of every planted pair, true or not, is where a host's clock
steps or its name changes, so each case meets each pair.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from detector.simulate.delivery import other_half
from detector.simulate.fleet import SECOND, LogEntry
from detector.simulate.truth import Truth

Clock = Callable[[Iterable[LogEntry], Truth], Iterator[LogEntry]]
DOMAIN = "example.com"
_LATE_US = 660 * SECOND
_MILLISECOND = 1_000
_NEVER = 1 << 62


def right(entries: Iterable[LogEntry], _truth: Truth) -> Iterator[LogEntry]:
    """Clocks that go right."""
    return iter(entries)


def stepping(*seconds: int) -> Clock:
    """A clock that steps by one of these, in turns of the hosts."""

    def change(entry: LogEntry, after: bool) -> LogEntry:
        step = seconds[entry.host.number % len(seconds)] * SECOND if after else 0
        return entry._replace(wall_us=entry.wall_us + step)

    return _changing(change)


def _without_battery(entry: LogEntry, after: bool) -> LogEntry:
    return entry if after else entry._replace(wall_us=entry.kernel_us)


def _named_late(entry: LogEntry, after: bool) -> LogEntry:
    return entry if after else entry._replace(host=replace(entry.host, name="localhost"))


def _spelled(entry: LogEntry, after: bool) -> LogEntry:
    name = entry.host.name
    spellings = (name.upper(), f"{name}.{DOMAIN}", f"{name}.", f"{name.title()}.{DOMAIN}.")
    turn = (entry.host.number + 1 + after) % len(spellings)
    return entry._replace(host=replace(entry.host, name=spellings[turn]))


def late_dumps(entries: Iterable[LogEntry], truth: Truth) -> Iterator[LogEntry]:
    """Yields of a host that crashed, what it printed last comes from its dump: read and
    stamped eleven minutes after the crash, in the next boot.
    """
    second = _second_halves(truth)
    waiting: list[tuple[int, int, LogEntry]] = []
    for number, entry in enumerate(entries):
        while waiting and waiting[0][0] <= entry.wall_us:
            yield heapq.heappop(waiting)[2]
        began = max(second.get(entry.boot.id, (_NEVER,)))
        crashed = entry.boot is not entry.host.boots[-1]
        if crashed and entry.kernel_us >= began and entry.program is None:
            read_us = entry.boot.ends_us + _LATE_US
            heapq.heappush(waiting, (read_us, number, entry._replace(wall_us=read_us)))
        else:
            yield entry
    while waiting:
        yield heapq.heappop(waiting)[2]


def rounded_copies(entries: Iterable[LogEntry], _truth: Truth) -> Iterator[LogEntry]:
    """Every line comes again from a shipper that keeps milliseconds."""
    for entry in entries:
        yield entry
        yield entry._replace(kernel_us=entry.kernel_us // _MILLISECOND * _MILLISECOND)


def _changing(change: Callable[[LogEntry, bool], LogEntry]) -> Clock:
    """Changes the lines of a boot with its first second half, changes them back with the next."""

    def clock(entries: Iterable[LogEntry], truth: Truth) -> Iterator[LogEntry]:
        second = _second_halves(truth)
        for entry in entries:
            begun = second.get(entry.boot.id)
            if begun is None:
                yield entry
            else:
                yield change(entry, sum(time <= entry.kernel_us for time in begun) % 2 == 1)

    return clock


def _second_halves(truth: Truth) -> dict[str, list[int]]:
    """Returns by boot, the uptimes of the halves that came second."""
    gaps: dict[str, list[int]] = {}
    halves = [(incident.boot, other_half(incident)) for incident in truth.incidents]
    halves += [(decoy.where[-1][1], decoy.halves[-1]) for decoy in truth.decoys]
    for boot, half in halves:
        gaps.setdefault(boot, []).append(half.kernel_time_us)
    return gaps


CLOCKS: Mapping[str, Clock] = {
    "right": right,
    "ntp": stepping(660, -660),
    "paused": stepping(1_200),
    "daylight-saving": stepping(3_600, -3_600),
    "local-time": stepping(8 * 3_600, -8 * 3_600),
    "no-battery": _changing(_without_battery),
    "named-late": _changing(_named_late),
    "spelled": _changing(_spelled),
    "late-dumps": late_dumps,
    "rounded-copies": rounded_copies,
}
