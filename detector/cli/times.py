"""Times as people write them on the command line: `7d`, `24h`, `2026-11-01`, `2026-11-01T10:00:00+01:00`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import click

UNITS_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 7 * 86_400_000_000}


class Moment(click.ParamType[int]):
    """A wall time in µs since 1970: so long ago (30m, 24h, 7d, 2w), or a date and time of ISO 8601 (UTC unless it says otherwise)."""

    name = "time"

    def __init__(self, now_us: int | None = None) -> None:
        """`now_us` stands in for the clock, in tests."""
        self.now_us = now_us

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The µs since 1970 of what was written."""
        if isinstance(value, int):
            return value
        text = str(value)
        if ago := re.fullmatch(r"([0-9]{1,6})([smhdw])", text):
            return self._now() - int(ago[1]) * UNITS_US[ago[2]]
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is no time: write 30m, 24h, 7d, 2026-11-01 or 2026-11-01T10:00:00Z", param, ctx)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return round(when.timestamp() * 1_000_000)

    def _now(self) -> int:
        from detector.cli.parts import now_us

        return now_us() if self.now_us is None else self.now_us
