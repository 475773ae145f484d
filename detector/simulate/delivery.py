"""Delivers a log: in order, late, doubled, with a wrong clock, in two parts.

Pure functions over a stream of entries.

In: entries in the order they were written. Out: the same entries in the order they arrive, some of
them more than once or with another wall time, never one lost. A host's own lines keep their order
where only the network is slow.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random

from detector.simulate.fleet import DAY, SECOND, LogEntry
from detector.simulate.truth import Half, TrueIncident, Truth

Delivery = Callable[[Iterable[LogEntry], Random], Iterator[LogEntry]]
_JITTER_US = 30 * SECOND
_LATE_US = 3600 * SECOND
_ONE_IN = 5
_DUPLICATED = 0.05


def in_order(entries: Iterable[LogEntry], _random: Random) -> Iterator[LogEntry]:
    """As written."""
    return iter(entries)


def jitter(entries: Iterable[LogEntry], random: Random) -> Iterator[LogEntry]:
    """Each entry up to 30 s late, on its own: lines overtake each other."""
    return _by_arrival(
        (entry.wall_us + int(random.random() * _JITTER_US), entry) for entry in entries
    )


def late_hosts(entries: Iterable[LogEntry], _random: Random) -> Iterator[LogEntry]:
    """One host in five arrives an hour late, its lines in order."""
    return _by_arrival(
        (entry.wall_us + (_LATE_US if entry.host.number % _ONE_IN == 0 else 0), entry)
        for entry in entries
    )


def clock_ahead(entries: Iterable[LogEntry], _random: Random) -> Iterator[LogEntry]:
    """One host in five has its wall clock a day ahead; nothing arrives at another place for it."""
    for entry in entries:
        yield (
            entry._replace(wall_us=entry.wall_us + DAY)
            if entry.host.number % _ONE_IN == 0
            else entry
        )


def duplicated(entries: Iterable[LogEntry], random: Random) -> Iterator[LogEntry]:
    """One entry in twenty comes again, up to 30 s later: what a shipper does after a lost
    acknowledgement.
    """

    def arrivals() -> Iterator[tuple[int, LogEntry]]:
        for entry in entries:
            yield entry.wall_us, entry
            if random.random() < _DUPLICATED:
                yield entry.wall_us + int(random.random() * _JITTER_US), entry

    return _by_arrival(arrivals())


def twice(entries: Iterable[LogEntry], _random: Random) -> Iterator[LogEntry]:
    """All of it, and then all of it again: a shipper that lost its position.

    Holds the entries in memory.
    """
    everything = list(entries)
    yield from everything
    yield from everything


DELIVERIES: Mapping[str, Delivery] = {
    "in-order": in_order, "jitter": jitter, "late-hosts": late_hosts, "clock-ahead": clock_ahead,
    "duplicated": duplicated, "twice": twice,
}  # fmt: skip


def halves_apart(
    entries: Iterable[LogEntry], truth: Truth
) -> tuple[list[LogEntry], list[LogEntry]]:
    """Two days' parts: of each incident the half that came first is in the first part, the
    other half and what follows in the second.

    Neither part alone holds a pair. Lines that belong to no incident go to the first part.
    """
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for incident in truth.incidents:
        spans[incident.boot].append((other_half(incident).kernel_time_us, incident.ends_us))
    first: list[LogEntry] = []
    second: list[LogEntry] = []
    for entry in entries:
        late = any(
            begins <= entry.kernel_us <= ends for begins, ends in spans.get(entry.boot.id, ())
        )
        (second if late else first).append(entry)
    return first, second


def other_half(incident: TrueIncident) -> Half:
    """The first line of the half that came second: the first that is not of the sort of the
    first line.
    """
    return next(half for half in incident.halves if half.part != incident.halves[0].part)


def _by_arrival(arrivals: Iterable[tuple[int, LogEntry]]) -> Iterator[LogEntry]:
    """The entries by time of arrival; equal times keep their order."""
    waiting: list[tuple[int, int, LogEntry]] = []
    for number, (arrival, entry) in enumerate(arrivals):
        heapq.heappush(waiting, (arrival, number, entry))
        while waiting and waiting[0][0] < entry.wall_us:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]
