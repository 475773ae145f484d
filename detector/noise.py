"""Noise counted, not kept: user-space crashes by host, process, signature and hour.

In: who crashed, how and when. Out: rows of counts since the last `drain`. Nothing of the lines is
built or kept beyond the key, and of keys no more than the limits below.
"""

from __future__ import annotations

from dataclasses import dataclass

from detector.clock import HOUR_US
from detector.model import Line, Record

# What a kernel prints of a user fault may not name the program: s390's "User process fault",
# "potentially unexpected fatal signal 11."
UNNAMED = "(unnamed)"
# What stands for all programs of a host, and all hosts, whose names would be too many to keep:
# whoever crashes chooses its name.
OTHERS = "(others)"
PROGRAMS = 20_000
HOSTS = 100_000

Key = tuple[str, str, str, str, int]


@dataclass(slots=True)
class NoiseCount:
    """The number of crashes of one process of one host, in one way, in one hour.
    `hour_us` is since 1970, 0 where no wall time is known.

    First and last are wall times, `_kernel_us` kernel times; None where the lines carry none.
    """

    source: str
    host: str
    process: str
    signature: str
    hour_us: int
    count: int
    first_us: int | None
    last_us: int | None
    first_kernel_us: int | None
    last_kernel_us: int | None

    def see(self, wall_us: int | None, kernel_us: int | None) -> None:
        """Counts one more, at these times."""
        self.count += 1
        if wall_us is not None:
            self.first_us = (
                wall_us if self.first_us is None or wall_us < self.first_us else self.first_us
            )
            self.last_us = (
                wall_us if self.last_us is None or wall_us > self.last_us else self.last_us
            )
        if kernel_us is not None:
            first, last = self.first_kernel_us, self.last_kernel_us
            self.first_kernel_us = kernel_us if first is None or kernel_us < first else first
            self.last_kernel_us = kernel_us if last is None or kernel_us > last else last

    def add(self, other: NoiseCount) -> None:
        """Folds another count of the same key into this one."""
        self.count += other.count
        self.first_us = _least(self.first_us, other.first_us)
        self.last_us = _greatest(self.last_us, other.last_us)
        self.first_kernel_us = _least(self.first_kernel_us, other.first_kernel_us)
        self.last_kernel_us = _greatest(self.last_kernel_us, other.last_kernel_us)


class NoiseTally:
    """The counts since the last drain.

    At most `programs` of hosts are told apart an hour. Of what else crashes the host is given up
    first, since hosts are many and programs few: it is counted by program, for as many programs,
    under the host OTHERS; then by host, under the program OTHERS, for at most `hosts` of these;
    then under that name for all. `folded` is how many crashes lost their program's name so,
    `hosts_folded` how many lost their host's and kept the program's.
    """

    def __init__(self, programs: int = PROGRAMS, hosts: int = HOSTS) -> None:
        self.folded = self.hosts_folded = 0
        self._names: set[tuple[str, str, str]] = set()
        self._limits = (programs, hosts)
        self._programs: set[tuple[str, str, str, str]] = set()
        self._hosts: set[tuple[str, str, str]] = set()
        self._since_us: int | None = None
        self._counts: dict[Key, NoiseCount] = {}
        self._marked: dict[Key, NoiseCount] = {}
        self._folded_before = (0, 0)

    @property
    def held(self) -> int:
        """Returns how many names and counts are held now."""
        return len(self._programs) + len(self._names) + len(self._hosts) + len(self)

    def __len__(self) -> int:
        """How many counts the next drain hands out."""
        return len(self._counts) + len(self._marked)

    def mark(self) -> None:
        """The counts are good as they are now: `rewind` goes back to them."""
        self._merge()
        self._folded_before = self.folded, self.hosts_folded

    def rewind(self) -> None:
        """Goes back to the counts at the last mark, those apart that were drained since then. Names
        that were seen stay.
        """
        self._counts = {}
        self.folded, self.hosts_folded = self._folded_before

    def renew(self, now_us: int) -> None:
        """An hour after the last time, other programs may be told apart."""
        if self._since_us is None or now_us - self._since_us >= HOUR_US:
            self._since_us = now_us
            self._programs.clear()
            self._names.clear()
            self._hosts.clear()

    def count_line(
        self, line: Line, process: str | None, signature: str, record: Record | None
    ) -> None:
        """Counts the crash that a line reports, at its wall time or else its record's arrival."""
        wall_us = line.wall_time_us
        if wall_us is None and record is not None:
            wall_us = record.arrival_us
        self.count(line.source, line.host, process, signature, wall_us, line.kernel_time_us)

    def count(
        self,
        source: str,
        host: str,
        process: str | None,
        signature: str,
        wall_us: int | None,
        kernel_us: int | None,
    ) -> None:
        """Counts one user-space crash; `wall_us` is its wall time, or the arrival where the line
        has none.
        """
        hour = 0 if wall_us is None else wall_us - wall_us % HOUR_US
        key = (source, host, process or UNNAMED, signature, hour)
        known = self._counts.get(key)
        if known is None and (program := key[:4]) not in self._programs:
            key = (*self._named(program), hour)
            known = self._counts.get(key)
        if known is None:
            self._counts[key] = NoiseCount(*key, 1, wall_us, wall_us, kernel_us, kernel_us)
        else:
            known.see(wall_us, kernel_us)

    def _named(self, program: tuple[str, str, str, str]) -> tuple[str, str, str, str]:
        """A program that is new, or what it is counted under where there are too many."""
        programs, hosts = self._limits
        if len(self._programs) < programs:
            self._programs.add(program)
            return program
        source, host, process, signature = program
        name = (source, process, signature)
        if name in self._names or len(self._names) < programs:
            self._names.add(name)
            self.hosts_folded += 1
            return source, OTHERS, process, signature
        self.folded += 1
        if (source, host, signature) not in self._hosts:
            if len(self._hosts) >= hosts:
                return source, OTHERS, OTHERS, signature
            self._hosts.add((source, host, signature))
        return source, host, OTHERS, signature

    def drain(self) -> list[NoiseCount]:
        """All counts since the last call."""
        self._merge()
        rows = list(self._marked.values())
        self._marked = {}
        return rows

    def _merge(self) -> None:
        for key, count in self._counts.items():
            known = self._marked.setdefault(key, count)
            if known is not count:
                known.add(count)
        self._counts = {}


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def _greatest(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else max(a, b)
