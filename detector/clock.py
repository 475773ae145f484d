"""The wall clock and spans of time, in microseconds."""

from __future__ import annotations

import time

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
WEEK_US = 7 * DAY_US


def now_us() -> int:
    """Returns the wall clock in µs since 1970: the only place that reads it."""
    return time.time_ns() // 1_000
