"""Chooses the part of each literal that Hyperscan looks for: its core.

In: literals. Out: where the core of each begins. Which core is chosen decides how fast a search is,
never what it finds: at each core it is compared whether a whole literal stands there.

How Hyperscan spends its time (src/fdr/fdr_compile.cpp, fdr.c and fdr_engine_description.cpp of
Hyperscan 5.4 and Vectorscan 5.4.12): of each literal it takes the last eight bytes, sorts them by
length and then from their ends, and deals them out, in that order, to eight buckets; a length that
few have gets a bucket of its own. At each second byte it looks up which pairs of bytes (of the
second one five bits) stand at which place in which bucket. Where all pairs of a bucket fit, of
whatever literals they are, it compares: that costs some twenty times what a byte does. So cores are
chosen whose pairs are rare in ordinary text or already in their bucket, and short ones get one
length. Where no literal has less than five bytes, and there are less than 800, it looks at each
fourth byte alone and compares so often that it takes three times as long: the expressions of
`scan.REVEALING` have shorter ones.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

from detector.lazy_regex import lazy_regex
from detector.ordinary_text import ordinary_text

# Hyperscan compares so many bytes at once. Cores have one more: shorter ones stand in more lines.
_COMPARED = 8
CORE_BYTES = _COMPARED + 1
# The core of a literal that has less than `_COMPARED` bytes.
SHORT_BYTES = 5
# The buckets, and those of them that the expressions of `scan.REVEALING` take.
_BUCKETS, _OF_EXPRESSIONS = 8, 1
# What the score of a core has for each part of it that ordinary text holds, for all of it, and for
# each letter that makes its longest word long: two halves of words are rarer than one word.
_PART_BYTES, _PART, _WHOLE, _LETTER, _SHORT_WORD = 4, 3.0, 20.0, 4.0, 4
# Cores that score so much more than the best one are not considered: what logs repeat is more
# than any sample of them holds.
_WORSE = 6.0
# The cores that are chosen part the buckets anew.
_PASSES = 3
_LETTERS = lazy_regex(rb"[A-Za-z]+")


def core_of(literal: bytes, start: int) -> bytes:
    """Returns the core that begins at `start`."""
    size = SHORT_BYTES if len(literal) < _COMPARED else CORE_BYTES
    return literal[start : start + size]


def core_starts(literals: Sequence[bytes]) -> list[int]:
    """Returns where the core of each literal begins in it."""
    choices = [_by_commonness(literal) for literal in literals]
    starts = [own[0] for own in choices]
    order = sorted(range(len(choices)), key=lambda index: len(choices[index]))
    for _ in range(_PASSES):
        buckets = _Buckets([core_of(*pair) for pair in zip(literals, starts, strict=True)])
        for index in order:
            literal = literals[index]
            starts[index] = buckets.add_best(
                [(core_of(literal, start), start) for start in choices[index]]
            )
    return starts


def _by_commonness(literal: bytes) -> list[int]:
    """The starts of a literal's cores that are not much commoner than the rarest, it first."""
    size = len(core_of(literal, 0))
    frequency, known = _ordinary()
    pairs = [frequency.get(literal[at : at + 2], frequency[b""]) for at in range(len(literal) - 1)]
    ordinary = [literal[at : at + _PART_BYTES] in known for at in range(len(literal))]

    def commonness(start: int) -> float:
        end = start + size
        part = literal[start:end]
        letters = max(map(len, _LETTERS.findall(part)), default=0)
        return (
            sum(pairs[start : end - 1])
            + _PART * sum(ordinary[start : end - _PART_BYTES + 1])
            + _WHOLE * (part[-_COMPARED:] in known)
            + _LETTER * max(0, letters - _SHORT_WORD)
        )

    scores = {start: commonness(start) for start in range(max(1, len(literal) - size + 1))}
    ranked = sorted(scores, key=scores.__getitem__)
    return [start for start in ranked if scores[start] <= scores[ranked[0]] + _WORSE]


@lru_cache(maxsize=1)
def _ordinary() -> tuple[Mapping[bytes, float], frozenset[bytes]]:
    """The logarithm of how frequent each pair of bytes is in ordinary text (for no pair: that of
    one which is not there), and the parts of ordinary text.
    """
    text = ordinary_text()
    pairs = Counter(text[at : at + 2] for at in range(len(text) - 1))
    pairs[b""] = 0
    frequency = {pair: math.log((count + 0.5) / len(text)) for pair, count in pairs.items()}
    known = frozenset(
        text[at : at + size]
        for size in (_PART_BYTES, _COMPARED)
        for at in range(len(text) - size + 1)
    )
    return frequency, known


Fits = Mapping[tuple[int, int], int]
"""A byte and five bits of the next one (-1: whatever it is) → where in ordinary text they stand: a
set of places as the bits of an integer."""


@lru_cache(maxsize=1)
def _places() -> tuple[Fits, int]:
    """Where pairs of bytes stand in ordinary text, and the set of all places."""
    text = ordinary_text()
    places: dict[tuple[int, int], bytearray] = {}
    for place, (byte, following) in enumerate(zip(text, text[1:] + b"\n", strict=True)):
        for pair in ((byte, following & 31), (byte, -1)):
            bits = places.get(pair)
            if bits is None:
                bits = places[pair] = bytearray(len(text) // 8 + 1)
            bits[place >> 3] |= 1 << (place & 7)
    fits = {pair: int.from_bytes(bits, "little") for pair, bits in places.items()}
    return fits, (1 << len(text)) - 1


class _Buckets:
    """Hyperscan's buckets as they fill up. `first` are the cores by which they are parted."""

    def __init__(self, first: Sequence[bytes]) -> None:
        ordered = sorted({core[-_COMPARED:] for core in first}, key=_order)
        short = sum(len(core) < _COMPARED for core in ordered)
        rest = ordered[short:]
        lengths = {len(core) for core in ordered[:short]}
        shares = max(1, _BUCKETS - _OF_EXPRESSIONS - len(lengths))
        self._bounds = [
            _order(rest[len(rest) * share // shares]) for share in range(shares) if rest
        ]
        # For each bucket and place from the end: the pairs there, and where in the text they stand.
        self._pairs: list[list[set[tuple[int, int]]]] = [
            [set() for _ in range(_COMPARED)] for _ in range(len(self._bounds) + 1)
        ]
        self._places = [[0] * _COMPARED for _ in self._pairs]
        self._compared = [0] * len(self._pairs)

    def add_best(self, choices: Sequence[tuple[bytes, int]]) -> int:
        """Adds the core that has Hyperscan compare at the fewest further places, the first of
        equals; returns its start.
        """
        best: tuple[int, int, list[int], bytes, int] | None = None
        for core, start in choices:
            bucket = bisect_right(self._bounds, _order(core[-_COMPARED:]))
            places = self._with(bucket, core)
            more = _compared(places) - self._compared[bucket]
            if best is None or more < best[0]:
                best = more, bucket, places, core, start
            if more == 0:
                break
        if best is None:
            raise ValueError("a literal without a core")
        more, bucket, self._places[best[1]], core, start = best
        self._compared[bucket] += more
        for pairs, pair in zip(self._pairs[bucket], _pairs_of(core), strict=False):
            pairs.add(pair)
        return start

    def _with(self, bucket: int, core: bytes) -> list[int]:
        """Where in the text the pairs of a bucket stand, with a further core in it."""
        fits, everywhere = _places()
        places = list(self._places[bucket])
        for at, pair in enumerate(_pairs_of(core)):
            if pair not in self._pairs[bucket][at]:
                places[at] |= fits.get(pair, 0) << at
        for at in range(len(core), _COMPARED):
            places[at] = everywhere
        return places


def _order(core: bytes) -> tuple[int, bytes]:
    return len(core), core[::-1]


def _pairs_of(core: bytes) -> list[tuple[int, int]]:
    """The pairs of a core's last bytes, from its end."""
    last = core[-_COMPARED:][::-1]
    return [(byte, last[at - 1] & 31 if at else -1) for at, byte in enumerate(last)]


def _compared(places: Sequence[int]) -> int:
    """At how many places of the text a bucket's pairs all fit: those that end at an even byte and
    at an odd one.
    """
    even = places[0] & places[2] & places[4] & places[6]
    odd = places[1] & places[3] & places[5] & places[7]
    return even.bit_count() + odd.bit_count()
