"""Numbers, times and hostile texts in words."""

from __future__ import annotations

import pytest

from detector.alert.wording import (
    LINE_LIMIT,
    clock,
    duration,
    gap,
    harmless,
    inert_line,
    ordinal,
)
from tests.support.notices import FORBIDDEN, HOSTILE


@pytest.mark.parametrize(
    ("gap_us", "words"),
    [
        (0, "0 ms"),
        (317, "0.317 ms"),
        (492_317, "0.49 s"),
        (1_000_000, "1 s"),
        (9_999_999, "10 s"),
        (12_000_000, "12 s"),
        (125_000_000, "2 min 5 s"),
    ],
)
def test_gap(gap_us: int, words: str) -> None:
    """As exact as somebody wants it who is woken."""
    assert gap(gap_us) == words


@pytest.mark.parametrize(
    ("span_us", "words"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (45_000_000, "45 s"),
        (7_500_000_000, "2 h 5 min"),
        (61_817_741_312_094, "715 d 11 h"),
    ],
)
def test_duration(span_us: int, words: str) -> None:
    """Two units."""
    assert duration(span_us) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (11, "11th"),
        (14, "14th"),
        (1_021, "1,021st"),
        (112, "112th"),
    ],
)
def test_ordinal(number: int, words: str) -> None:
    """As spoken."""
    assert ordinal(number) == words


def test_clock_knows_its_limits() -> None:
    """UTC to the second; no calendar holds the year 300,000."""
    assert clock(1_790_000_000_000_000) == "2026-09-21 14:13:20 UTC"
    assert clock(1 << 61) == "at a time that no calendar holds"


@pytest.mark.parametrize("text", HOSTILE)
def test_lines_are_inert_and_short(text: str) -> None:
    """Data keeps its characters as far as they print; what people read calls nobody."""
    assert inert_line(text).isprintable()
    assert len(inert_line(text)) <= LINE_LIMIT
    assert not any(bad in harmless(text) for bad in FORBIDDEN)


def test_what_is_cut_says_so() -> None:
    """A line of 100 kB."""
    assert inert_line("x" * 100_000).endswith("x… (cut: 100,000 characters)")
    assert harmless("mail root@host, a < b, <module>") == "mail root@host, a < b, <module>"
