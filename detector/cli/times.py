"""Times as people write them on the command line: `7d`, `24h`, `2026-11-01`,
`2026-11-01T10:00:00+01:00`.
"""

from __future__ import annotations

import click

from detector import clock
from detector.store.query.filters import UNITS_US, moment_us, time_fault

__all__ = ["UNITS_US", "TimeParam"]


class TimeParam(click.ParamType[int]):
    """A wall time in µs since 1970, given as an age or as a date and time of ISO 8601.
    Ages are 30m, 24h, 7d, 2w; a date and time is in UTC unless it says otherwise.
    """

    name = "time"

    def __init__(self, now_us: int | None = None) -> None:
        """`now_us` stands in for the clock, in tests."""
        self.now_us = now_us

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """The µs since 1970 of what was written."""
        if isinstance(value, int):
            return value
        try:
            return moment_us(str(value), self.now_us or clock.now_us())
        except (ValueError, OverflowError) as error:
            self.fail(time_fault(str(value), error), param, ctx)
