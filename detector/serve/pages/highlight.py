"""A line of evidence in pieces: what the signature claimed, and what it captured. Pure.

In: a match and its signature's regex. Out: pieces of its text in order, each with the name of the
field it is, or None; together they are the text. Runs no regex for longer than its timeout; where
that fails or the signature is gone, captured values are sought as texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import regex

from detector.render.escape import inert

_TIMEOUT_S = 0.05
# As the matcher: nothing that the kernel reports stands further right.
_LONGEST = 4_096
Span = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line, made inert; `field` is the name under which it was captured, `claimed`
    whether the signature's regex covers it.
    """

    text: str
    field: str | None = None
    claimed: bool = False


def pieces(text: str, fields: Mapping[str, str], pattern: str | None) -> tuple[Piece, ...]:
    """The line in its pieces; joined they are the whole line, made inert."""
    claimed, spans = _spans(text, pattern) if pattern else (0, ())
    if not claimed:
        spans = _sought(text, fields)
        claimed = max((end for _, end, _ in spans), default=0)
    pieces_read: list[Piece] = []
    at = 0
    for start, end, name in sorted(spans):
        if start < at or end <= start:
            continue
        pieces_read += _plain(text, at, start, claimed)
        pieces_read.append(Piece(inert(text[start:end]), name, True))
        at = end
    return (*pieces_read, *_plain(text, at, len(text), claimed))


def _plain(text: str, start: int, end: int, claimed: int) -> list[Piece]:
    """Text between fields, cut where the signature's claim ends."""
    cut = min(max(start, claimed), end)
    parts = [Piece(inert(text[start:cut]), None, True), Piece(inert(text[cut:end]))]
    return [part for part in parts if part.text]


def _spans(text: str, pattern: str) -> tuple[int, tuple[Span, ...]]:
    """Returns where the regex's claim ends and where its groups lie; (0, ()) where it does not
    match or takes too long.
    """
    compiled = _compiled(pattern)
    try:
        matched = compiled.match(text[:_LONGEST], timeout=_TIMEOUT_S) if compiled else None
    except TimeoutError:
        matched = None
    if matched is None:
        return 0, ()
    return matched.end(), tuple(
        (*matched.span(name), name)
        for name in matched.groupdict()
        if matched.span(name) != (-1, -1)
    )


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> regex.Pattern[str] | None:
    try:
        return regex.compile(pattern)
    except regex.error:
        return None


def _sought(text: str, fields: Mapping[str, str]) -> tuple[Span, ...]:
    """Returns where captured values first stand in the text."""
    places = ((text.find(value), value, name) for name, value in fields.items() if value)
    return tuple((at, at + len(value), name) for at, value, name in places if at >= 0)
