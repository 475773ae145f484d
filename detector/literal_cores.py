"""Literals → their cores: the few bytes of each that ordinary logs hold most rarely.

In: literals. Out: for each core, the literals that hold it, so that whoever finds a core can look
whether a whole literal stands there. Hyperscan tells literals apart by their last eight bytes: many
that end in ordinary words cost it a check at every such word. Which core is chosen decides how fast
a search is, never what it finds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from detector.lazy_regex import lazy_regex
from detector.ordinary_text import ordinary_text

# Hyperscan compares so many bytes at once. Cores have one more: shorter ones stand in more lines.
_COMPARED = 8
CORE_BYTES = _COMPARED + 1
# What the score of a core has for each part of it that ordinary text holds, for all of it, and for
# each letter that makes its longest word long: two halves of words are rarer than one word.
_PART_BYTES, _PART, _WHOLE, _LETTER, _SHORT_WORD = 4, 3.0, 20.0, 4.0, 4
_LETTERS = lazy_regex(rb"[A-Za-z]+")

Wholes = Sequence[tuple[int, bytes]]
"""Literals that hold a core: how many bytes of the literal stand before it, and the literal."""


def cores(literals: Sequence[bytes], starts: Sequence[int] | None = None) -> Mapping[bytes, Wholes]:
    """Returns the core of each literal, in their order, with the literals that it stands for.
    `starts` says where the cores begin, else they are chosen.
    """
    by_core: dict[bytes, list[tuple[int, bytes]]] = {}
    for literal, start in zip(literals, starts or core_starts(literals), strict=True):
        core = literal[start : start + CORE_BYTES]
        by_core.setdefault(core, []).append((start, literal))
    return by_core


def core_starts(literals: Iterable[bytes]) -> list[int]:
    """Returns where the core of each literal begins in it."""
    return [_start(literal) for literal in literals]


def _start(literal: bytes) -> int:
    starts = range(max(1, len(literal) - CORE_BYTES + 1))
    frequency, known = _ordinary()
    pairs = [frequency.get(literal[at : at + 2], frequency[b""]) for at in range(len(literal) - 1)]
    ordinary = [literal[at : at + _PART_BYTES] in known for at in range(len(literal))]

    def commonness(start: int) -> float:
        end = start + CORE_BYTES
        part = literal[start:end]
        letters = max(map(len, _LETTERS.findall(part)), default=0)
        return (
            sum(pairs[start : end - 1])
            + _PART * sum(ordinary[start : end - _PART_BYTES + 1])
            + _WHOLE * (part[-_COMPARED:] in known)
            + _LETTER * max(0, letters - _SHORT_WORD)
        )

    return min(starts, key=commonness)


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
