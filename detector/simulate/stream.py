"""A fleet's whole log, entry by entry in the order of time: the ordinary lines with the
planted ones among them.

In: a `SimulationPlan`. Out: a `Simulation`: fleet, truth, and a stream that can be walked again and
again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from detector.simulate import background
from detector.simulate.fleet import Fleet, LogEntry, build
from detector.simulate.plan import SimulationPlan
from detector.simulate.planting import plant
from detector.simulate.truth import Truth

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
