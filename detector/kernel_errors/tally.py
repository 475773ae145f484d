"""Counts kernel errors by template, host and day until they are stored.

In: lines. Out: counts since the last `drain`. No more keys are held than the limit; lines beyond it
are counted as folded. Reads no clock and stores nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from detector.clock import DAY_US
from detector.kernel_errors.priority import PRIORITIES, ErrorBudget, MakeSearch, is_kernel_error
from detector.kernel_errors.template import LONGEST, template_of
from detector.model import Line, Record

# Counts of one batch that are told apart.
KEYS = 20_000
# The counter of lines that were not told apart.
FOLDED = "kernel_errors_folded"
# The counter of templates of one host that were removed to make room for others.
REMOVED = "kernel_errors_removed"
# A line's clock that is further from its arrival than this is wrong.
_CLOCK_US = 7 * DAY_US


@dataclass(slots=True)
class KernelErrorCount:
    """The lines of one template that one host printed on one day.

    `day_us` is the day's start since 1970; `sample` is the first line, with its place; `level` is
    the most severe.
    """

    template: str
    host: str
    day_us: int
    count: int
    level: int
    first_us: int
    last_us: int
    sample: str
    source: str
    number: int

    def add(self, other: KernelErrorCount) -> None:
        """Adds the lines of a later count of the same template, host and day."""
        self.count += other.count
        self.level = min(self.level, other.level)
        self.first_us = min(self.first_us, other.first_us)
        self.last_us = max(self.last_us, other.last_us)


_Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class KernelErrorPolicy:
    """The settings of counting: for `learning_us` (µs) what a fleet prints is ordinary."""

    learning_us: int


class KernelErrorTally:
    """The counts since the last drain.

    `now_us` is the time of lines that have none; `search` is
    that of `ErrorBudget`, which bounds what is read. Without a policy nothing is counted.
    """

    def __init__(
        self, policy: KernelErrorPolicy | None, search: MakeSearch, keys: int = KEYS
    ) -> None:
        self.policy = policy
        self._budget = ErrorBudget(search)
        self.within = self._budget.within
        self.now_us = 0
        self._beyond = 0
        self._keys = keys
        self._counts: dict[_Key, KernelErrorCount] = {}
        self._marked: tuple[dict[_Key, KernelErrorCount], int] = ({}, 0)

    def renew(self, now_us: int) -> None:
        """A batch begins."""
        self.now_us = now_us
        self._budget.renew(now_us)

    @property
    def folded(self) -> int:
        """The number of lines beyond a limit, from the beginning on."""
        return self._beyond + self._budget.passed_over

    @property
    def searched(self) -> tuple[bytes, ...]:
        """The expressions that select the records of kernel errors."""
        return PRIORITIES if self.policy else ()

    def count(self, line: Line, record: Record | None) -> None:
        """Counts a line that no signature claims, if it is a kernel error; `record` is its own."""
        if self.policy is None:
            return
        self._budget.spend()
        if not is_kernel_error(line) or not line.text.strip():
            return
        at_us = time_of(line, record.arrival_us if record else None, self.now_us)
        key = (template_of(line.text), line.host, at_us - at_us % DAY_US)
        level = 0 if line.level is None else line.level
        known = self._counts.get(key)
        if known is not None:
            known.count += 1
            known.level = min(known.level, level)
            known.first_us, known.last_us = min(known.first_us, at_us), max(known.last_us, at_us)
        elif len(self._counts) >= self._keys:
            self._beyond += 1
        else:
            sample = line.text[:LONGEST]
            self._counts[key] = KernelErrorCount(
                *key, 1, level, at_us, at_us, sample, line.source, line.number
            )

    def mark(self) -> None:
        """The counts are good as they are now: `rewind` goes back to them."""
        self._marked = ({key: replace(row) for key, row in self._counts.items()}, self._beyond)

    def rewind(self) -> None:
        """Goes back to the counts at the last mark."""
        counts, self._beyond = self._marked
        self._counts = {key: replace(row) for key, row in counts.items()}

    def drain(self) -> list[KernelErrorCount]:
        """All counts since the last call."""
        rows = list(self._counts.values())
        self._counts = {}
        return rows


def time_of(line: Line, arrival_us: int | None, now_us: int) -> int:
    """Returns the wall time that a line is counted at.

    It is its own, unless that is far from its arrival; else
    the arrival, else now.
    """
    wall_us = line.wall_time_us
    if wall_us is None or wall_us < 0:
        return now_us if arrival_us is None else arrival_us
    if arrival_us is not None and abs(wall_us - arrival_us) > _CLOCK_US:
        return arrival_us
    return wall_us
