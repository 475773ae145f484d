"""Matches made up for tests of correlation and boots."""

from __future__ import annotations

from detector.model import Boot, Match

SECOND = 1_000_000


def match(
    cls: str,
    seconds: float | None,
    host: str = "db-1",
    boot: Boot = Boot(id="b1"),
    wall: float | None = None,
    text: str = "",
) -> Match:
    """A kernel match at a kernel time in seconds."""
    return Match(
        signature=f"kernel.{cls}",
        cls=cls,
        origin="kernel",
        severity="critical",
        text=text or f"{cls} at {seconds} {wall}",
        fields={},
        source="test",
        number=1,
        host=host,
        boot=boot,
        kernel_time_us=None if seconds is None else round(seconds * SECOND),
        wall_time_us=None if wall is None else round(wall * SECOND),
    )
