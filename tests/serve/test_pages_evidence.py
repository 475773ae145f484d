"""Lines of evidence in pieces: nothing is lost, what was captured is named, hostile text and
patterns do no harm.
"""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from detector.render.escape import inert
from detector.serve.pages.highlight import Piece, pieces
from tests.support.shipped import shipped

LINE = "IPv4: Attempt to release TCP socket in state 10 ffff801f5d0e7300"
REGEX = r"^IPv4: Attempt to release TCP socket in state (?P<state>\d+) (?P<socket>[0-9a-f]+)"


def test_what_the_signature_captured_is_named() -> None:
    """Each field in its place, the rest of the claim beside it, what follows the claim apart."""
    assert pieces(f"{LINE} tail", {}, REGEX) == (
        Piece("IPv4: Attempt to release TCP socket in state ", None, True),
        Piece("10", "state", True),
        Piece(" ", None, True),
        Piece("ffff801f5d0e7300", "socket", True),
        Piece(" tail"),
    )


def test_every_example_of_every_signature_is_claimed_and_whole() -> None:
    """With the shipped patterns."""
    for signature in shipped().signatures:
        for text in signature.examples:
            found = pieces(text, {}, signature.regex)
            assert "".join(piece.text for piece in found) == inert(text)
            assert found[0].claimed, signature.id


def test_without_its_signature_the_values_are_sought() -> None:
    """A pattern file that is gone, or whose regex is broken or does not match, takes no mark
    away.
    """
    fields = {"state": "10", "socket": "ffff801f5d0e7300", "gone": "nowhere", "empty": ""}
    for pattern in (None, "(", "^another"):
        found = pieces(LINE, fields, pattern)
        assert [(one.field, one.text) for one in found if one.field] == [
            ("state", "10"),
            ("socket", "ffff801f5d0e7300"),
        ]


def test_a_regex_that_runs_away_is_stopped() -> None:
    """The page comes all the same."""
    begun = time.monotonic()
    found = pieces("a" * 4_000 + "!", {"x": "!"}, r"^(?P<x>(a+)+)$")
    assert time.monotonic() - begun < 20
    assert found[-1] == Piece("!", "x", True)


@given(st.text(max_size=200), st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=4))
def test_the_pieces_are_the_line(text: str, fields: dict[str, str]) -> None:
    """Whatever was captured, overlapping or repeated: joined, they are the line, made inert."""
    for pattern in (None, r"^(?P<a>\w*)(?P<b>(?P<c>.).*)"):
        assert "".join(piece.text for piece in pieces(text, fields, pattern)) == inert(text)
