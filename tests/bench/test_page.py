"""The page from kept results."""

from __future__ import annotations

from bench.figures import Goal, Results, Row
from bench.page import figure, measured_last, page

MEASURED = Results(
    "files",
    {"processor": "one core"},
    [
        Row("500 hosts", "oopswatch scan", 1_000, "lines", [0.5, 1.0, 2.0], note="all of it"),
        Row("500 hosts", "SEC", 100, "lines", [1.0]),
    ],
    [
        Goal("time against ripgrep", 2.5, 1.25, "at most"),
        Goal("lines/s against rsigma, which correlates", 20, 4, "at least"),
    ],
    ["SEC finds the 3 incidents planted"],
    {"mtail": "no <b>package</b>\nat all"},
    ["a | b"],
)


def test_the_page_shows_medians_spreads_and_goals():
    """One row a contender, one a goal."""
    text = page([MEASURED])
    assert "| oopswatch scan | 1,000 | 500 – 2,000 | 1,000 | 1.00 | all of it |" in text
    assert "| time against ripgrep | ≤ 2.5 × | 1.25 × | met |" in text
    assert "| lines/s against rsigma, which correlates | ≥ 20 × | 4 × | **missed** |" in text
    assert "| processor | one core |" in text


def test_a_missed_goal_says_why_and_a_met_one_does_not():
    """The causes stand under the goals."""
    text = page([MEASURED])
    assert "- lines/s against rsigma, which correlates: rsigma is native code" in text
    assert "- time against ripgrep:" not in text


def test_what_was_not_run_says_why_in_one_line_without_markup():
    """Messages of other programs are text."""
    assert "- mtail: no &lt;b>package&lt;/b> at all\n" in page([MEASURED])


def test_results_are_read_in_the_pages_order(tmp_path):
    """Whatever was measured last; what was not is left out."""
    for name in ("memory", "files"):
        (tmp_path / f"{name}.json").write_text(Results(name, {}).as_json())
    assert [one.name for one in measured_last(tmp_path)] == ["files", "memory"]


def test_figures_have_the_digits_they_deserve():
    """Three, or all before the point."""
    assert [figure(value) for value in (0.8123, 12.345, 199_126.5)] == ["0.812", "12.3", "199,126"]
