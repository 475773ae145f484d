"""Rules made up for tests, and lines that they count."""

from __future__ import annotations

from detector.catalogue import Rule
from tests.rules.worlds import (
    FAULT,
    HALF,
    rule,
)

PAIR = rule("pair", "temporal", (HALF, FAULT), 10)


LONE = rule("lone", "event_count", (FAULT, "panic"), 20)


HOUR = 3_600_000_000


START = 500_000 * HOUR


def counting(field: str, hours: int, gte: int) -> Rule:
    """A rule that counts the hosts of one value."""
    return Rule(
        id=f"many-{field}",
        title="many hosts",
        type="value_count",
        classes=(),
        signatures=(),
        anchor="",
        group_by=(field,),
        timespan_us=hours * HOUR,
        severity="error",
        reasoning="",
        gte=gte,
    )
