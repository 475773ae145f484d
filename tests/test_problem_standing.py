"""How a problem stands to its known issue: what is attributed is counted, and kernels with the fix
are not taken for kernels with the bug.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import starmap

from detector.app.standing import (
    attributed_words,
    kernels_by_status,
    since_words,
    trend_words,
)
from detector.clock import DAY_US
from detector.render.units import Bucket
from detector.store.query.fleet import ReleasesWith
from detector.store.query.results import Attribution, ProblemDetail, ProblemRow, ProblemShare
from tests.support.shipped import shipped

NOW_US = 20_000 * DAY_US + DAY_US // 2
ROW = ProblemRow(
    "1:x", "BUG: x", "oops", "f", None, "critical", "tcp-listener-race", 0, 1, 2, 3,
    "open", None, None, None, 0, None, 8,
)  # fmt: skip
DETAIL = ProblemDetail(ROW, [], [], [], [], [], [], [])


def test_attributed_occurrences_are_counted_of_all() -> None:
    """Two of eight, and how surely; another issue's are not counted."""
    told = [Attribution("tcp-listener-race", "possible", 2), Attribution("another", "likely", 3)]
    detail = replace(DETAIL, attributed=told)
    words = attributed_words(detail, "tcp-listener-race")
    assert words == "Attributed to it: 2 of 8 occurrences, possible."
    assert "None of its newest incidents" in attributed_words(DETAIL, "tcp-listener-race")


def test_kernels_with_the_fix_stand_apart() -> None:
    """Six of eight occurrences on kernels with the fix are not under the issue."""
    (issue,) = [one for one in shipped().known_issues if one.id == "tcp-listener-race"]
    shares = starmap(
        ProblemShare, [("4.14.1", 1, 0, 0, 2), ("6.1.36", 0, 0, 0, 5), ("5.5.0", 0, 0, 0, 1)]
    )
    found = {one.status: (one.kernels, one.reports) for one in kernels_by_status(shares, issue)}
    assert found == {"affected": (("4.14.1",), 2), "fixed": (("6.1.36", "5.5.0"), 6)}


def test_a_trend_is_a_week_beside_the_week_before() -> None:
    """Whole days, today among them."""
    today = NOW_US - NOW_US % DAY_US
    days = [
        Bucket(today - back * DAY_US, today - back * DAY_US + DAY_US, count)
        for back, count in ((14, 100), (13, 4), (7, 1), (6, 2), (0, 5))
    ]
    words = trend_words(replace(DETAIL, days=days), NOW_US)
    assert words == "7 in the last 7 days, 5 in the 7 before"


def test_without_a_wall_clock_no_week_is_counted() -> None:
    """Nothing is said to have happened, or not, in the last days."""
    assert "unknown" in trend_words(replace(DETAIL, days=[]), NOW_US)
    assert "last 7 days" not in trend_words(replace(DETAIL, days=[]), NOW_US)


def test_since_which_release() -> None:
    """Nothing is said where nothing is known."""
    assert since_words(None) == ""
    assert since_words(ReleasesWith("6.1", "6.1", None)) == "seen on 6.1"
    words = since_words(ReleasesWith("5.10.1", "6.1", "5.4.9"))
    assert (
        words == "seen on 5.10.1 to 6.1; not on 5.4.9, the next older release that hosts run or ran"
    )
