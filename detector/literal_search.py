"""Finds literals in bytes: with Hyperscan where it is installed, else with `re`.

Hyperscan looks for the cores of the literals (see `cores`), and at each core it is compared
whether a whole literal stands there: what is found is the same. Does no IO: who has compiled
databases kept hands over how (`KeptBytes`).

Hyperscan tells literals apart by their last eight bytes: many that end in ordinary words cost it a
check at every such word. Which core is chosen decides how fast a search is, never what it finds.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from operator import lt
from typing import Any

from detector.kept_bytes import KeptBytes
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


Ends = Callable[[bytes], list[int]]
"""A search: bytes → where hits end, in rising order."""


def search_of(
    literals: Sequence[bytes], expressions: Sequence[bytes], kept: KeptBytes | None = None
) -> Ends:
    """The search for some literals and regular expressions. With `re` instead of Hyperscan it
    finds the first of literals that overlap.
    """
    return _hyperscan(literals, expressions, kept) or alternation(
        [*map(re.escape, literals), *expressions]
    )


def finds_all() -> bool:
    """Returns whether a search finds each of literals that overlap."""
    return find_spec("hyperscan") is not None


def engine_of(expressions: Sequence[bytes], kept: KeptBytes | None = None) -> Any:
    """Hyperscan's database of some expressions; None where it has no wheel for this machine."""
    try:
        import hyperscan
    except ImportError:
        return None
    key = sha256(
        repr((getattr(hyperscan, "__version__", ""), list(expressions))).encode()
    ).hexdigest()
    data = kept.load(key) if kept else None
    if data is not None:
        try:
            kept_database: Any = hyperscan.loadb(data, hyperscan.HS_MODE_BLOCK)
            kept_database.scratch = hyperscan.Scratch(kept_database)
            return kept_database
        except (hyperscan.HyperscanError, ValueError):  # damaged, or of another processor
            pass
    database: Any = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=list(expressions), ids=list(range(len(expressions))), elements=len(expressions)
    )
    if kept:
        kept.save(key, hyperscan.dumpb(database))
    return database


def alternation(expressions: Sequence[bytes]) -> Ends:
    """The search with `re`, which finds the first of hits that overlap."""
    pattern = re.compile(b"|".join(expressions))
    return lambda data: [matched.end() for matched in pattern.finditer(data)]


def _starts(literals: Sequence[bytes], kept: KeptBytes | None) -> Sequence[int]:
    """Where the cores of literals begin, as kept or chosen anew."""
    key = f"cores {sha256(repr(literals).encode()).hexdigest()}"
    data = kept.load(key) if kept else None
    if data is not None:
        starts = array("I")
        with suppress(ValueError):  # of another size of integers
            starts.frombytes(data)
            if len(starts) == len(literals) and all(map(lt, starts, map(len, literals))):
                return starts
    starts = array("I", core_starts(literals))
    if kept:
        kept.save(key, starts.tobytes())
    return starts


def _hyperscan(
    literals: Sequence[bytes], expressions: Sequence[bytes], kept: KeptBytes | None
) -> Ends | None:
    by_core = cores(literals, _starts(literals, kept))
    database = engine_of([*map(re.escape, by_core), *expressions], kept)
    if database is None:
        return None
    # For each expression: from the end of its hit back to where a literal begins, and that literal.
    wholes = [
        [(before + len(core), literal) for before, literal in members]
        for core, members in by_core.items()
    ]
    cut = len(wholes)

    def ends(data: bytes) -> list[int]:
        hits: list[tuple[int, int]] = []
        database.scan(
            data,
            match_event_handler=lambda number, _start, end, _flags, _context: hits.append(
                (number, end)
            ),
        )
        places: list[int] = []
        for number, end in hits:
            if number >= cut:
                places.append(end)
                continue
            for back, literal in wholes[number]:
                start = end - back
                if start >= 0 and data.startswith(literal, start):
                    places.append(start + len(literal))
        places.sort()
        return places

    return ends
