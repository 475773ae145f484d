"""Charts: what is drawn where, that every text in them is inert, and that they need no style of
their own.
"""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.serve.charts import LEVELS, Bar, TimelineMark, bars, heat, level, seconds, timeline

HOSTILE = '</title><script>alert(1)</script>" onload="x" \x1b[31m\u202e'


def percent(text: str) -> float:
    """The number of a percentage."""
    return float(text.removesuffix("%"))


@given(st.lists(st.integers(min_value=0, max_value=10**9), max_size=80))
def test_bars_are_as_high_as_their_values_and_stay_inside(values: list[int]) -> None:
    """One bar for each value that is not zero; none is higher than the chart or outside of it, and
    a greater value is no lower.
    """
    root = ElementTree.fromstring(bars([Bar(value, "x") for value in values], "all", height=50))
    drawn = [one for one in root.iter("rect") if one.get("class") == "bar"]
    assert len(drawn) == sum(1 for value in values if value)
    heights = [float(one.get("height")) for one in drawn]
    assert all(2 <= height <= 48 for height in heights)
    assert all(
        percent(one.get("x")) >= 0 and percent(one.get("x")) + percent(one.get("width")) <= 100.01
        for one in drawn
    )
    ranked = [
        height
        for _, height in sorted(zip([value for value in values if value], heights, strict=True))
    ]
    assert ranked == sorted(ranked)


def test_a_bar_with_an_address_is_a_link_that_says_what_it_is() -> None:
    """The link has a name, and a chart of links is a group, not an image that hides them."""
    root = ElementTree.fromstring(
        bars([Bar(3, "three", "/a?b=1&c=2"), Bar(0, "none", "/no"), Bar(1, "one")], "all")
    )
    assert root.get("role") == "group"
    assert [(link.get("href"), link.get("aria-label")) for link in root.iter("a")] == [
        ("/a?b=1&c=2", "three")
    ]
    assert ElementTree.fromstring(bars([Bar(1, "one")], "all")).get("role") == "img"


def test_no_text_becomes_markup_or_style() -> None:
    """Labels of a log are texts in titles and attributes; there is no inline style, which the
    policy of the pages forbids.
    """
    for chart in (
        bars([Bar(1, HOSTILE, HOSTILE)], HOSTILE),
        heat([1], 1, HOSTILE, [HOSTILE]),
        timeline([TimelineMark(1, HOSTILE), TimelineMark(2, HOSTILE, anchor=True)], 10, 1, HOSTILE),
    ):
        root = ElementTree.fromstring(chart)
        assert not list(root.iter("script"))
        assert not [one for one in root.iter() if {"onload", "style"} & set(one.keys())]
        assert "\x1b" not in chart
        assert "\u202e" not in chart


@pytest.mark.parametrize(
    ("count", "most", "shade"),
    [(0, 10, 0), (1, 10, 1), (5, 10, 3), (10, 10, 5), (1, 1, 5), (1, 10**9, 1), (3, 0, 5)],
)
def test_the_greatest_count_is_darkest(count: int, most: int, shade: int) -> None:
    """Shades run from 1 to `LEVELS`; only nothing has none."""
    assert level(count, most) == shade <= LEVELS


def test_the_time_line_keeps_order_and_names_the_gap() -> None:
    """Earlier is further left, the gap is exact, and both halves carry their kernel times."""
    chart = timeline(
        [TimelineMark(100_100_000, "release"), TimelineMark(100_592_317, "fault", anchor=True)],
        10_000_000,
        492_317,
        "both",
    )
    root = ElementTree.fromstring(chart)
    points = {one.get("class"): percent(one.get("cx")) for one in root.iter("circle")}
    assert 0 < points["half"] < points["anchor"] < 100
    said = [one.text for one in root.iter("text")]
    assert "0.492317 s" in said
    assert {"100.100000", "100.592317", "release", "fault"} <= set(said)


@given(st.lists(st.integers(min_value=0, max_value=1 << 62), min_size=1, max_size=12), st.data())
def test_every_time_has_its_place(times: list[int], data: st.DataObject) -> None:
    """Whatever the times, equal ones among them, each lies within the chart, and so does the
    window.
    """
    anchor = data.draw(st.integers(min_value=0, max_value=len(times) - 1))
    moments = [TimelineMark(at, "x", index == anchor) for index, at in enumerate(times)]
    root = ElementTree.fromstring(timeline(moments, 10_000_000, 0, "all"))
    assert all(0 <= percent(one.get("cx")) <= 100 for one in root.iter("circle"))
    window = next(one for one in root.iter("rect") if one.get("class") == "window")
    assert (
        0
        <= percent(window.get("x"))
        <= percent(window.get("x")) + percent(window.get("width"))
        <= 100.01
    )


def test_without_an_anchor_there_is_no_time_line() -> None:
    """Nothing to measure from, nothing drawn."""
    assert timeline([TimelineMark(1, "x")], 10, 1, "all") == ""


@pytest.mark.parametrize(
    ("us", "text"), [(0, "0.000000"), (61_817_741_312_094, "61817741.312094"), (-1, "-0.000001")]
)
def test_kernel_time_is_exact(us: int, text: str) -> None:
    """As printk prints it, with nothing lost to a float."""
    assert seconds(us) == text
