"""Times of counted lines are known in whatever order they come, and after a store read them."""

from __future__ import annotations

from bisect import bisect_right

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector import repeat_times
from detector.repeat_runs import QUIET_US
from detector.repeat_times import RepeatTimes, TimesPage, stamp_of

TEXTS = st.sampled_from([b"I/O error, sector 1", b"I/O error, sector 2"])
STAMPS = st.builds(
    stamp_of,
    st.one_of(
        st.integers(0, 3_000),
        st.integers(0, 40).map(lambda n: n * 1_000),
        st.integers(0, 1 << 60),
    ),
    TEXTS,
)


class Pages:
    """The pages of one run, as a store would keep them."""

    def __init__(self) -> None:
        self.rows: dict[int, bytes] = {}

    def load(self, _run: int, time_us: int, /) -> tuple[int, bytes, int | None] | None:
        """The page that may hold a time."""
        firsts = sorted(self.rows)
        at = bisect_right(firsts, time_us)
        if not at:
            return None
        return firsts[at - 1], self.rows[firsts[at - 1]], next(iter(firsts[at:]), None)


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page holds five stamps."""
    monkeypatch.setattr(repeat_times, "PAGE", 5)


@hypothesis.settings(
    max_examples=80, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
@given(st.lists(STAMPS, max_size=80), st.sets(st.integers(0, 80)), st.lists(STAMPS))
def test_what_was_added_is_known_and_nothing_else(
    stamps: list[int], stored: set[int], others: list[int]
) -> None:
    """Stamps in any order; now and then all is stored, and read from there."""
    pages = Pages()
    times = RepeatTimes(pages.load, 1)
    added: set[int] = set()
    for number, stamp in enumerate(stamps):
        assert (stamp in times) == (stamp in added)
        if stamp not in added:
            times.add(stamp)
            added.add(stamp)
        if number in stored:
            pages.rows.update(times.take_changed())
            tail = times.tail
            assert tail is not None
            times = RepeatTimes(pages.load, 1, TimesPage(tail.first_us, bytes(tail.data)))
    assert all(stamp in times for stamp in added)
    assert [stamp in times for stamp in others] == [stamp in added for stamp in others]


def test_a_time_that_may_be_rounded_is_told_by_its_text() -> None:
    """Microseconds tell lines apart by themselves."""
    assert stamp_of(5_000, b"a") != stamp_of(5_000, b"b")
    assert stamp_of(5_001, b"a") == stamp_of(5_001, b"b")


def test_a_row_never_needs_a_page_of_its_own() -> None:
    """A full page of stamps that lie as far apart as a run allows is less than the 1,002 bytes
    that SQLite keeps of a row in its place.
    """
    page = repeat_times.TimesPage(0)
    for number in range(1, repeat_times.PAGE + 1):
        page.append(repeat_times.stamp_of(number * QUIET_US, b"text"))
    assert len(page.data) < 900
