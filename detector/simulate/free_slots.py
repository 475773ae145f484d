"""Finds free slots in a fleet's time, in which a planted event meets no other by chance.

In: a plan, its fleet, a random generator. Out: `Place`s, each kept clear of all others on its host.
It writes no lines.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from detector.simulate import crashes
from detector.simulate.blocks import KernelText, SimulatedBug
from detector.simulate.crashes import SimulatedCrash
from detector.simulate.fleet import FAULTING, SECOND, Fleet, Host, LogEntry, SimulatedBoot
from detector.simulate.plan import SimulationPlan
from detector.simulate.truth import Half
from detector.simulate.userfaults import user_fault

_APART_US = 120 * SECOND
_TRIES = 5_000


@dataclass(frozen=True, slots=True)
class Slot:
    """A moment on one boot of one host; `kernel_us` is the boot's own clock."""

    host: Host
    boot: SimulatedBoot
    kernel_us: int

    @property
    def wall_us(self) -> int:
        """The same moment by the wall clock."""
        return self.boot.epoch_us + self.kernel_us

    def later(self, by_us: int) -> Slot:
        """The place `by_us` later on the same boot."""
        return Slot(self.host, self.boot, self.kernel_us + by_us)


class FreeSlots:
    """Hands out places; kernel faults and release lines of one host lie two minutes apart or
    more unless planted as one thing.
    """

    def __init__(self, plan: SimulationPlan, fleet: Fleet, random: Random) -> None:
        """All places are free, but those where a boot ends."""
        self._plan, self._random = plan, random
        self._faulting = [host for host in fleet.hosts if host.kernel.arch in FAULTING]
        self._taken: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for host in fleet.hosts:
            for boot in host.boots[1:]:
                self._taken[host.number].append(
                    (boot.epoch_us - _APART_US, boot.epoch_us + _APART_US)
                )

    def take(self, wall_us: int, span_us: int, hosts: Sequence[Host] = ()) -> Slot | None:
        """A place on any of `hosts` (default: all on which kernels fault) that is free from
        `wall_us` for `span_us`; None if none is.
        """
        candidates = hosts or self._faulting
        for host in self._random.sample(candidates, len(candidates)):
            boot = boot_at(host, wall_us, _APART_US)
            begins, ends = wall_us - _APART_US, wall_us + span_us + _APART_US
            if (
                boot is None
                or ends > boot.ends_us
                or any(begins < last and first < ends for first, last in self._taken[host.number])
            ):
                continue
            return self.at(host, boot, wall_us, span_us)
        return None

    def at(self, host: Host, boot: SimulatedBoot, wall_us: int, span_us: int) -> Slot:
        """The place asked for, whatever is there; it counts as taken from now on."""
        self._taken[host.number].append((wall_us, wall_us + span_us))
        return Slot(host, boot, wall_us - boot.epoch_us)

    def anywhere(self, span_us: int) -> Slot:
        """A free place for something that takes `span_us`. Raises ValueError when hosts and time
        are too few.
        """
        for _ in range(_TRIES):
            place = self.take(self.moment(span_us + _APART_US), span_us)
            if place is not None:
                return place
        raise ValueError("the hosts and the duration are too few for all that is to be planted")

    def beside(self, place: Slot, wall_us: int, span_us: int) -> Slot | None:
        """A place at `wall_us` on another host than `place`'s."""
        others = [host for host in self._faulting if host is not place.host]
        return self.take(wall_us, span_us, others) if others else None

    def moment(self, before_end_us: int) -> int:
        """A wall time inside the plan, early enough for something that takes `before_end_us`."""
        return self._random.randrange(self._plan.start, self._plan.end - before_end_us)


def boot_at(host: Host, wall_us: int, settled_us: int = 0) -> SimulatedBoot | None:
    """The boot that runs at `wall_us`, and has run for `settled_us`; None while the host is
    down.
    """
    for boot in host.boots:
        if boot.epoch_us + settled_us <= wall_us <= boot.ends_us:
            return boot
    return None


class Pen:
    """The entries written so far; `noise` counts user faults by host, process and kind."""

    def __init__(self, random: Random) -> None:
        """A blank page."""
        self.entries: list[LogEntry] = []
        self.noise: Counter[tuple[str, str, str]] = Counter()
        self._random = random
        self._faults: Counter[str] = Counter()

    def kernel(self, place: Slot, texts: Sequence[KernelText]) -> int:
        """Returns what the kernel says from `place` on, a few microseconds a line; the kernel
        time of the last line.
        """
        moment = place.kernel_us
        for level, text in texts:
            self.at(place, moment, level, text)
            moment += self._random.randrange(2, 9)
        return self.entries[-1].kernel_us

    def at(self, place: Slot, kernel_us: int, level: int, text: str) -> None:
        """One line of the kernel at a given kernel time."""
        self.entries.append(
            LogEntry(
                place.boot.epoch_us + kernel_us, kernel_us, place.host, place.boot, level, text
            )
        )

    def user(
        self,
        place: Slot,
        program: str,
        text: str,
        via: Literal["syslog", "kmsg"] = "syslog",
        level: int = 4,
    ) -> None:
        """One line that user space wrote."""
        self.entries.append(
            LogEntry(
                place.wall_us, place.kernel_us, place.host, place.boot, level, text, program, via
            )
        )

    def release(self, place: Slot, state: int = 10) -> Half:
        """A socket-release line."""
        line = crashes.release(place.host, self._random, state)
        self.kernel(place, [line])
        return half("release", place, line[1])

    def fault(
        self, place: Slot, bugs: Sequence[SimulatedBug] = crashes.BUGS, *, panics: bool = False
    ) -> Half:
        """A kernel fault with its whole block."""
        self._faults[place.boot.id] += 1
        crash = SimulatedCrash(self._random.choice(bugs), self._faults[place.boot.id], panics)
        texts = crashes.fault_block(place.host, self._random, crash)
        self.kernel(place, texts)
        return half("fault", place, texts[0][1])

    def user_fault(self, place: Slot, process: str | None = None) -> None:
        """A crash of a user program, counted as noise."""
        fault = user_fault(place.host, self._random, process)
        self.noise[place.host.name, fault.process, fault.kind] += 1
        self.kernel(place, fault.texts)


def half(part: Literal["release", "fault"], place: Slot, text: str) -> Half:
    """A line as truth names it."""
    return Half(part, place.kernel_us, place.wall_us, text)
