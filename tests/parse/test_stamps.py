"""Clocks: exact, dated to the newest plausible year, None where there is no such time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.parse import stamps
from detector.parse.draft import Context

SECOND = 1_000_000


def micros(*when: int) -> int:
    """A UTC date in µs."""
    return (datetime(*when, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


@given(st.integers(0, 10**12 - 1), st.integers(0, 999_999))
def test_an_uptime_is_exact_at_any_width(seconds: int, fraction: int):
    """No float is on the way: eight and twelve digits of seconds keep every microsecond."""
    assert stamps.micros(str(seconds), f"{fraction:06d}") == seconds * SECOND + fraction


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [("", 0), ("5", 500_000), ("000001", 1), ("123456789", 123_456), (None, 0)],
)
def test_a_fraction_of_any_width_is_cut_to_microseconds(fraction: str | None, expected: int):
    """Nanoseconds are cut off, short fractions are tenths and hundredths."""
    assert stamps.micros("0", fraction) == expected


@pytest.mark.parametrize(
    ("month", "day", "now", "expected"),
    [
        ("Feb", "28", (2026, 3, 1), (2026, 2, 28)),
        ("Dec", "31", (2026, 1, 1), (2025, 12, 31)),
        ("Mar", "2", (2026, 3, 1), (2026, 3, 2)),  # a day ahead is a skewed clock
        ("Mar", "3", (2026, 3, 1), (2025, 3, 3)),  # two are last year's
        ("Feb", "29", (2027, 1, 1), (2024, 2, 29)),
        ("Jan", "1", (2025, 12, 31, 23), (2026, 1, 1)),
    ],
)
def test_a_date_without_year_is_the_newest_that_is_not_ahead(
    month: str, day: str, now: tuple[int, ...], expected: tuple[int, ...]
):
    """At most one day into the future, else a year earlier; 29 February goes back to a leap
    year.
    """
    context = Context(now_us=micros(*now))
    assert stamps.without_year(month, day, "00:00:00", None, context) == micros(*expected)


def test_the_zone_is_that_of_the_host():
    """A stamp without a zone is read in the zone that was set."""
    context = Context(zone=timezone(timedelta(hours=2)), now_us=micros(2026, 3, 1))
    assert (
        stamps.without_year("Feb", "28", "12:00:00", "5", context)
        == micros(2026, 2, 28, 10) + SECOND // 2
    )


@pytest.mark.parametrize("day", ["30", "31", "0", "99"])
def test_a_day_that_is_none_has_no_time(day: str):
    """30 February is not moved to March."""
    assert (
        stamps.without_year("Feb", day, "00:00:00", None, Context(now_us=micros(2026, 3, 1)))
        is None
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-02-28T10:01:32Z", micros(2026, 2, 28, 10, 1, 32)),
        ("2026-02-28T10:01:32+0100", micros(2026, 2, 28, 9, 1, 32)),
        ("2026-02-28T10:01:32.5-05:30", micros(2026, 2, 28, 15, 31, 32) + SECOND // 2),
        ("2026-02-28 10:01:32,000001", micros(2026, 2, 28, 10, 1, 32) + 1),
        ("2026-02-30T10:01:32Z", None),
        ("2026-02-28T25:01:32Z", None),
        ("2016-12-31T23:59:60Z", micros(2016, 12, 31, 23, 59, 59)),
    ],
)
def test_iso_8601(text: str, expected: int | None):
    """Every way to write the zone and the fraction; an impossible date is told from no date."""
    found = stamps.iso(text, UTC)
    assert found is not None
    assert found[0] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_674_588_070, 1_674_588_070 * SECOND),
        ("1674588070.123456", 1_674_588_070_123_456),
        (1_674_588_070_123, 1_674_588_070_123_000),
        ("1674588070123456", 1_674_588_070_123_456),
        ("1674588070123456789", 1_674_588_070_123_456),
        ("2023-01-24T19:21:10.123456+00:00", 1_674_588_070_123_456),
        ("Feb 28 10:00:00", micros(2026, 2, 28, 10)),
        (True, None),
        (None, None),
        (12, None),
        (10**40, None),
        ("yesterday", None),
        ({}, None),
    ],
)
def test_a_time_of_any_kind(value: object, expected: int | None):
    """Epoch numbers tell their unit by their size; a small one is an uptime and no date."""
    assert stamps.any_time(value, Context(now_us=micros(2026, 3, 1))) == expected


@given(st.integers(-(10**30), 10**30))
def test_any_now_is_survived(now_us: int):
    """A clock far out of range moves no date and raises nothing."""
    assert stamps.without_year("Feb", "28", "00:00:00", None, Context(now_us=now_us)) != 0
