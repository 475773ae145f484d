"""Line ends are counted as `bytes.count` counts them, whatever the lines are like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from detector.line_ends import line_ends

_LENGTHS = st.lists(st.integers(0, 3_000), max_size=80)


@given(_LENGTHS, st.integers(1, 20), st.integers(0, 70_000), st.integers(0, 400_000))
def test_as_many_as_count_says(lengths: list[int], times: int, start: int, size: int) -> None:
    """Of all, from some byte on, and between two."""
    data = b"".join(b"x" * length + b"\n" for length in lengths) * times
    end = min(start + size, len(data))
    assert line_ends(data) == data.count(b"\n")
    assert line_ends(data, start, end) == data.count(b"\n", start, end)
    assert line_ends(data, start) == data.count(b"\n", start)
