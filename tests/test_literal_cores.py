"""Cores are chosen so that Hyperscan compares seldom, as its source says that it does."""

from __future__ import annotations

from itertools import groupby, pairwise

from detector.literal_cores import core_of, core_starts
from detector.ordinary_text import ordinary_text
from tests.support.shipped import shipped

LITERALS = sorted(
    {text.encode() for signature in shipped().signatures for text in signature.literals}
)


def compared(cores: list[bytes], text: bytes) -> int:
    """How often Hyperscan's eight buckets compare in a text, by a plain reading of its tables."""
    ordered = sorted({core[-8:] for core in cores}, key=lambda core: (len(core), core[::-1]))
    by_length = [list(group) for _, group in groupby(ordered, len)]
    *short, rest = by_length
    shares = 7 - len(short)  # another holds the expressions that reveal
    bounds = [len(rest) * share // shares for share in range(shares + 1)]
    buckets = [*short, *(rest[start:end] for start, end in pairwise(bounds))]
    total = 0
    for bucket in filter(None, buckets):
        least = min(map(len, bucket))
        pairs = [
            {(core[-1 - at], core[-at] & 31 if at else -1) for core in bucket}
            for at in range(least)
        ]
        for end in range(8, len(text)):
            for odd in (0, 1):
                total += all(
                    (text[end - at], text[end - at + 1] & 31 if at else -1) in pairs[at]
                    for at in range(odd, least, 2)
                )
    return total


def test_fewer_comparisons_than_with_the_ends_of_literals_by_far() -> None:
    """In the beginning of ordinary text."""
    text = ordinary_text()[:6_000]
    chosen = [
        core_of(literal, start)
        for literal, start in zip(LITERALS, core_starts(LITERALS), strict=True)
    ]
    ends = [literal[-9:] for literal in LITERALS]
    assert compared(chosen, text) * 5 < compared(ends, text)


def test_cores_are_parts_of_their_literals_whatever_these_are() -> None:
    """Bytes that ordinary text does not hold, one byte, equal literals."""
    literals = [b"x", b"\xff" * 20, b"abc", b"\x00\x01\x02\x03\x04\x05\x06\x07", b"x"]
    for literal, start in zip(literals, core_starts(literals), strict=True):
        assert core_of(literal, start)
        assert core_of(literal, start) in literal
    assert core_starts([]) == []
