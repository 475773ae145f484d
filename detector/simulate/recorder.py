"""Writes planted things down as log entries, and keeps count of them.

In: places and what happens there. Out: `LogEntry`s in the order written, the halves that truth
names, noise counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Literal

from detector.simulate import crashes
from detector.simulate.blocks import KernelText, SimulatedBug
from detector.simulate.crashes import SimulatedCrash
from detector.simulate.fleet import LogEntry
from detector.simulate.free_slots import Slot
from detector.simulate.truth import Half
from detector.simulate.userfaults import user_fault


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
