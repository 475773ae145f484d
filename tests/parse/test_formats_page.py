"""The page on formats tells the truth: every example parses as what it is said to be."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.model import Line
from detector.parse import FORMATS

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([\w-]+)` \| (.*?) \| `(.+)` \|$", PAGE, re.MULTILINE)


def test_the_page_shows_every_format():
    """Each name that can be set stands on it."""
    assert set(FORMATS) - {"auto"} <= set(re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE))
    assert len(ROWS) > 30


@pytest.mark.parametrize(
    ("transport", "what", "example"),
    ROWS,
    ids=[f"{row[0]}-{number}" for number, row in enumerate(ROWS)],
)
def test_an_example(line: Callable[..., Line], transport: str, what: str, example: str):
    """Automatically, and with the format set: the same line."""
    found = line(example)
    assert (found.text, found.transport) == ("eth9: link is down", transport), what
    assert found.kernel_time_us is None or str(found.kernel_time_us) in re.sub(
        r"\D*(\d+)s\]|\D", r"", example
    )
    if "short-monotonic" not in what:
        assert line(example, format=transport).text in ("eth9: link is down", example.strip())


def test_every_reason_is_on_the_page():
    """As the parser names them."""
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in (Path(__file__).parents[2] / "detector" / "parse").glob("*.py")
    )
    for reason in set(re.findall(r'"(json-(?!deep_)[a-z-]+|not-text|too-long)"', sources)):
        assert f"| `{reason}` |" in PAGE
