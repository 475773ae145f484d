"""A fleet's whole log: planted, in the order of time, and as it is delivered.

Pure functions over a stream of entries.

In: entries in the order they were written. Out: the same entries in the order they arrive, some of
them more than once or with another wall time, never one lost. A host's own lines keep their order
where only the network is slow.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

from detector.simulate import background
from detector.simulate.decoys import place_decoys, place_incidents
from detector.simulate.fleet import DAY, SECOND, Fleet, Host, LogEntry, build
from detector.simulate.free_slots import FreeSlots, Pen, Slot, boot_at
from detector.simulate.plan import SimulationPlan
from detector.simulate.truth import Decoy, Half, TrueIncident, TrueNoise, Truth

_GOODBYE_US = 200_000


def plant(plan: SimulationPlan, fleet: Fleet, random: Random) -> tuple[list[LogEntry], Truth]:
    """The planted entries and the truth.

    Raises ValueError where hosts and time are too few for the plan.

    All is placed first and then written in the order of time, so that the faults of a boot are
    numbered in that order.
    """
    places, pen = FreeSlots(plan, fleet, random), Pen(random)
    tasks: list[tuple[int, Callable[[], TrueIncident | Decoy]]] = []
    tasks += place_decoys(plan, places, fleet, pen, random)
    tasks += place_incidents(plan.incidents, places, fleet, pen, random)
    written = [write() for _, write in sorted(tasks, key=lambda task: task[0])]
    for host in fleet.hosts:
        _reboots(host, pen, random, clean=host not in fleet.panicking)
    _noise(int(plan.lines * plan.noise_share), places, fleet, pen, random)
    noise = tuple(TrueNoise(*key, count) for key, count in sorted(pen.noise.items()))
    incidents = tuple(item for item in written if isinstance(item, TrueIncident))
    decoys = tuple(item for item in written if isinstance(item, Decoy))
    return sorted(pen.entries, key=lambda entry: entry.wall_us), Truth(incidents, noise, decoys)


def _reboots(host: Host, pen: Pen, random: Random, *, clean: bool) -> None:
    """The last words of each boot that ends in order, and the first of each that begins within
    the plan.
    """
    for ended, begun in zip(host.boots, host.boots[1:], strict=False):
        if clean:
            pen.kernel(
                Slot(host, ended, ended.ends_us - ended.epoch_us - _GOODBYE_US),
                background.goodbye(random),
            )
        for kernel_us, level, text in background.banner(host, random):
            pen.at(Slot(host, begun, 0), kernel_us, level, text)


def _noise(lines: int, places: FreeSlots, fleet: Fleet, pen: Pen, random: Random) -> None:
    """User faults anywhere, until they have printed `lines` lines; at least one."""
    until = len(pen.entries) + max(1, lines)
    while len(pen.entries) < until:
        host, wall_us = random.choice(fleet.hosts), places.moment(1_000)
        boot = boot_at(host, wall_us)
        if boot is not None:
            pen.user_fault(Slot(host, boot, wall_us - boot.epoch_us))


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


_SMALL, _LARGE = 60, 65_000


@dataclass(frozen=True, slots=True)
class Simulation:
    """One plan carried out. `planted` are the entries that are not ordinary, in the order of
    time.
    """

    plan: SimulationPlan
    fleet: Fleet
    planted: tuple[LogEntry, ...]
    truth: Truth

    def entries(self) -> Iterator[LogEntry]:
        """All `plan.lines` entries in the order of time; each call walks the same ones again."""
        return _merge(self.plan, self.fleet, self.planted, Random(f"{self.plan.seed} background"))


def simulate(plan: SimulationPlan) -> Simulation:
    """Carry `plan` out.

    Raises ValueError where it asks for more than its hosts, lines or time can hold.
    """
    random = Random(f"{plan.seed} planted")
    fleet = build(plan, random)
    planted, truth = plant(plan, fleet, random)
    if len(planted) > plan.lines:
        raise ValueError(
            f"what is to be planted takes {len(planted)} lines, more than the plan's {plan.lines}"
        )
    return Simulation(plan, fleet, tuple(planted), truth)


def _merge(
    plan: SimulationPlan, fleet: Fleet, planted: tuple[LogEntry, ...], random: Random
) -> Iterator[LogEntry]:
    """Ordinary lines at even steps with some scatter, the planted ones where they belong.

    A host says nothing while it is down; where all are down, time goes on to the next planted line,
    as only that can begin a boot.
    """
    ordinary, hosts, chance = plan.lines - len(planted), fleet.hosts, random.random
    step, size = (plan.end - plan.start) / max(1, ordinary), len(fleet.hosts)
    current = [host.boots[0] for host in hosts]
    texts = [background.templates(host.kernel.arch) for host in hosts]
    sizes = [len(templates) for templates in texts]
    place, wall_us, due_us = 0, plan.start, planted[0].wall_us
    for number in range(ordinary):
        wall_us = max(wall_us, plan.start + int((number + chance()) * step))
        while True:
            while due_us <= wall_us:
                current[planted[place].host.number] = planted[place].boot
                yield planted[place]
                place += 1
                due_us = planted[place].wall_us if place < len(planted) else plan.end + 1
            index = int(chance() * size)
            boot = current[index]
            if wall_us <= boot.ends_us:
                break
            if all(wall_us > other.ends_us for other in current):
                wall_us = due_us
        level, template = texts[index][int(chance() * sizes[index])]
        text = template % (int(chance() * _SMALL) + 1, int(chance() * _LARGE) + 2)
        yield LogEntry(wall_us, wall_us - boot.epoch_us, hosts[index], boot, level, text)
    yield from planted[place:]
