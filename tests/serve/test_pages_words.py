"""Times, gaps and counts in words."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.render.escape import inert
from detector.render.units import host_name, several, uptime
from detector.serve.pages import formatting

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "now"),
        (4, "now"),
        (42, "42 s ago"),
        (60, "1 min ago"),
        (7199, "119 min ago"),
        (7200, "2 h ago"),
        (3 * 86400, "3 d ago"),
        (800 * 86400, "2 y ago"),
        (-7200, "in 2 h"),
        (-3, "now"),
    ],
)
def test_how_long_ago(seconds: int, text: str) -> None:
    """In one unit, the greatest of which there are enough."""
    assert formatting.ago(1_000 * 86_400 * SECOND, (1_000 * 86_400 + seconds) * SECOND) == text


@given(
    st.integers(min_value=-(1 << 62), max_value=1 << 62),
    st.integers(min_value=-(1 << 62), max_value=1 << 62),
)
def test_any_time_has_words(wall_us: int, now_us: int) -> None:
    """Also a time that no calendar holds."""
    said = formatting.when(wall_us, now_us)
    assert "unknown" in said or ("UTC" in said and 'datetime="' in said)
    assert formatting.ago(wall_us, now_us)


def test_no_time_is_unknown() -> None:
    """It is said, not left out."""
    assert "unknown" in formatting.when(None, 0)
    assert formatting.stamp(None) == formatting.kernel_time(None) == formatting.number(None) == "-"
    assert uptime(None) == "an unknown time"


@pytest.mark.parametrize(
    ("us", "text"),
    [(0, "0 h 0 min"), (61_817_741 * SECOND, "715 d 11 h 35 min"), (3_599 * SECOND, "0 h 59 min")],
)
def test_uptime(us: int, text: str) -> None:
    """Days, hours, minutes."""
    assert uptime(us) == text


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [(1, "host", "1 host"), (1_204, "host", "1,204 hosts"), (2, "crash", "2 crashes")],
)
def test_counts_have_separators_and_number(count: int, noun: str, text: str) -> None:
    """One host, two hosts."""
    assert several(count, noun) == text


@given(st.text(max_size=400))
def test_a_shortened_text_is_printable_and_short(text: str) -> None:
    """Nothing of it moves a cursor or turns the writing around."""
    said = formatting.shortened(text, 100)
    assert said.isprintable()
    assert said == inert(text) if len(text) <= 100 else said == f"{inert(text[:100])}…"


@given(
    st.text(alphabet="ab*?[]-.", min_size=1, max_size=12),
    st.text(alphabet="ab*?[]-.", min_size=1, max_size=12),
)
def test_a_name_as_a_pattern_means_that_name_alone(name: str, other: str) -> None:
    """As SQLite's GLOB reads it."""
    connection = sqlite3.connect(":memory:")
    try:
        hits = connection.execute(
            "SELECT ?1 GLOB ?3, ?2 GLOB ?3", (name, other, formatting.pattern(name))
        ).fetchone()
    finally:
        connection.close()
    assert hits == (1, int(name == other))


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("db-1", "db-1"),
        ("/var/log/old/kern.log", "kern.log"),
        ("kmsg/0", "kmsg/0"),
        ("logs/", "logs/"),
    ],
)
def test_a_host_without_a_name_is_shown_by_its_file(host: str, shown: str) -> None:
    """Not by its path; a partition of a topic keeps its topic."""
    assert host_name(host) == shown
