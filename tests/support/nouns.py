"""Small makers of nouns for the store's tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from detector.catalogue import Rule
from detector.correlate import StoredMatch, assemble_incident
from detector.model import Boot, Incident, Match
from detector.noise import NoiseCount

SECOND = 1_000_000
HOUR = 3_600 * SECOND
WALL = 1_790_000_000 * SECOND
RULE = Rule(
    id="pair",
    title="a pair",
    type="temporal",
    classes=("tcp-state", "memory-fault"),
    signatures=(),
    anchor="memory-fault",
    group_by=("host",),
    timespan_us=10 * SECOND,
    severity="critical",
    reasoning="",
)


def match(
    cls: str = "memory-fault", seconds: float | None = 5, wall: float | None = None, **changes: Any
) -> Match:
    """A kernel match at a kernel time, and seconds after some day's wall time."""
    made = Match(
        signature=f"kernel.{cls}",
        cls=cls,
        origin="kernel",
        severity="critical",
        text=f"{cls} at {seconds} {wall}",
        fields={"fault_address": "dead000000000100"},
        source="logs/0",
        number=1,
        host="db-1",
        boot=Boot(id="b1"),
        kernel_time_us=None if seconds is None else round(seconds * SECOND),
        wall_time_us=None if wall is None else WALL + round(wall * SECOND),
    )
    return replace(made, **changes)


def incident(*evidence: StoredMatch, known: tuple[str, ...] = ()) -> Incident:
    """The incident that stored matches make under `RULE`."""
    made = assemble_incident(RULE, evidence, known)
    assert made is not None
    return made


def noise(
    process: str = "python", host: str = "db-1", hour: int = 0, count: int = 1, **changes: Any
) -> NoiseCount:
    """A count of user-space crashes in one hour of some day."""
    start = changes.get("hour_us", WALL - WALL % HOUR + hour * HOUR)
    made = NoiseCount(
        "logs/0",
        host,
        process,
        "user.segfault",
        start,
        count,
        start + SECOND,
        start + 2 * SECOND,
        None,
        None,
    )
    return replace(made, **changes)
