"""Finds literals in bytes: with Hyperscan where it is installed, else with `re`.

Hyperscan looks for the cores of the literals (see `literal_cores`), and at each core it is compared
whether a whole literal stands there: what is found is the same. Does no IO: who has compiled
databases kept hands over how (`KeptBytes`).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.util import find_spec
from operator import lt
from typing import Any

from detector.kept_bytes import KeptBytes
from detector.literal_cores import core_of, core_starts

# A new number chooses all cores anew that are kept.
_CHOICE = 3

Wholes = Sequence[tuple[int, bytes]]
"""Literals that hold a core: how many bytes of the literal stand before it, and the literal."""


def cores(literals: Sequence[bytes], starts: Sequence[int] | None = None) -> Mapping[bytes, Wholes]:
    """Returns the core of each literal, in their order, with the literals that it stands for.
    `starts` says where the cores begin, else they are chosen.
    """
    by_core: dict[bytes, list[tuple[int, bytes]]] = {}
    for literal, start in zip(literals, starts or core_starts(literals), strict=True):
        core = core_of(literal, start)
        by_core.setdefault(core, []).append((start, literal))
    return by_core


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
    key = f"cores {_CHOICE} {sha256(repr(literals).encode()).hexdigest()}"
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
