"""Plants events among the ordinary lines: incidents, decoys, noise, reboots; and the truth
about them.

In: a plan, its fleet, a random generator. Out: the planted entries in the order of time, and a
`Truth`.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from detector.simulate import background
from detector.simulate.decoys import place_decoys
from detector.simulate.fleet import Fleet, Host, LogEntry
from detector.simulate.free_slots import FreeSlots, Slot, boot_at
from detector.simulate.incidents import place_incidents
from detector.simulate.plan import SimulationPlan
from detector.simulate.recorder import Pen
from detector.simulate.truth import Decoy, TrueIncident, TrueNoise, Truth

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
