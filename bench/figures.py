"""Figures of timed runs: medians, spreads, ratios, whether a goal is met; and whether what was
found is what was planted. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

from detector.simulate.truth import TrueIncident

Reported = tuple[str, int | None]
_NEAR_US = 15_000_000


@dataclass(slots=True)
class Row:
    """One contender on one input: how much it was given, and how long it took each time. `amount`
    counts `unit` (lines, records).
    """

    group: str
    name: str
    amount: int
    unit: str
    seconds: list[float] = field(default_factory=list)
    size: int = 0
    note: str = ""

    @property
    def rates(self) -> list[float]:
        """Units a second, each run."""
        return [self.amount / one for one in self.seconds]

    @property
    def rate(self) -> float:
        """The median run's units a second."""
        return median(self.rates)


@dataclass(frozen=True, slots=True)
class Goal:
    """A wish, and what came out. `holds` compares the figure with the limit; `cause` says why one
    is missed.
    """

    what: str
    limit: float
    figure: float
    sense: Literal["at most", "at least"]
    unit: str = "×"
    cause: str = ""

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        return self.figure <= self.limit if self.sense == "at most" else self.figure >= self.limit


@dataclass(slots=True)
class Results:
    """What one module measured, as it is kept and rendered."""

    name: str
    machine: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        """For `bench/.results`."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def of_json(cls, text: str) -> Results:
        """What `as_json` wrote. Raises ValueError or TypeError for anything else."""
        kept: dict[str, Any] = json.loads(text)
        rows, goals = (
            [Row(**one) for one in kept.pop("rows")],
            [Goal(**one) for one in kept.pop("goals")],
        )
        return cls(**kept, rows=rows, goals=goals)


def paired_ratio(mine: Sequence[float], other: Sequence[float]) -> float:
    """The median over rounds of mine / other: what ran side by side is compared with each other,
    whatever the machine did meanwhile.
    """
    return median(one / two for one, two in zip(mine, other, strict=True))


def per_unit(row: Row) -> list[float]:
    """Seconds for each unit, so that a slice compares with the whole."""
    return [one / row.amount for one in row.seconds]


def printed_incidents(text: str) -> list[Reported]:
    """`INCIDENT host seconds`, or rsigma's correlation matches, out of what a peer printed: (host,
    kernel time in µs or None).
    """
    found: list[Reported] = []
    for line in text.splitlines():
        if told := re.match(r"INCIDENT (\S+) \[? *(\d+)\.(\d{6})", line):
            found.append((told[1], int(told[2]) * 1_000_000 + int(told[3])))
        elif '"correlation_type"' in line:
            found.append((dict(json.loads(line)["group_key"])["hostname"], None))
    return found


def disagreement(planted: Sequence[TrueIncident], reported: Iterable[Reported]) -> str:
    """Empty where the reported incidents are the planted ones, several reports of one folded; else
    what is missed and what is false.
    """
    seen: set[int] = set()
    false: list[str] = []
    for host, kernel_us in reported:
        mine = [number for number, one in enumerate(planted) if _is(one, host, kernel_us)]
        if mine:
            seen.add(next((number for number in mine if number not in seen), mine[0]))
        else:
            false.append(host)
    missed = [one.host for number, one in enumerate(planted) if number not in seen]
    parts = [f"missed on {', '.join(missed)}"] if missed else []
    parts += [f"false on {', '.join(sorted(set(false)))}"] if false else []
    return "; ".join(parts)


def _is(one: TrueIncident, host: str, kernel_us: int | None) -> bool:
    if host != one.host or kernel_us is None:
        return host == one.host
    return (
        one.halves[0].kernel_time_us - _NEAR_US
        <= kernel_us
        <= one.halves[-1].kernel_time_us + _NEAR_US
    )
