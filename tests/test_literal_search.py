"""A search by the cores of literals finds exactly what a search for the whole literals finds."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.literal_cores import CORE_BYTES
from detector.literal_search import cores, search_of
from detector.simulate.background import templates
from tests.support.shipped import shipped

LITERALS = sorted(
    {text.encode() for signature in shipped().signatures for text in signature.literals}
)
SEARCH = search_of(LITERALS, ())


def places(data: bytes) -> Iterator[int]:
    """Where each literal ends, by a plain search for all of it."""
    for literal in LITERALS:
        yield from (
            found.start() + len(literal)
            for found in re.finditer(b"(?=" + re.escape(literal) + b")", data)
        )


@st.composite
def _torn(draw: st.DrawFn) -> bytes:
    """A literal, or a part of it."""
    literal = draw(st.sampled_from(LITERALS))
    start = draw(st.integers(0, len(literal)))
    end = draw(st.integers(start, len(literal)))
    return literal[start:end]


pieces = st.one_of(st.sampled_from(LITERALS), _torn(), st.sampled_from([b"\n", b" ", b"x"]))


@given(st.lists(pieces, max_size=12).map(b"".join))
def test_the_ends_of_whole_literals_are_found_and_no_others(data: bytes) -> None:
    """Whole literals, torn ones and what stands between them, in any order."""
    assert SEARCH(data) == sorted(places(data))


def test_each_literal_is_found_by_its_core() -> None:
    """Also at the first and last byte of the data."""
    for literal in LITERALS:
        assert len(literal) in SEARCH(literal)
        assert len(literal) + 1 in SEARCH(b"x" + literal)


def test_a_core_alone_is_no_hit() -> None:
    """What stands before and behind it is compared."""
    found = cores([b"Unable to handle kernel"])
    core = next(iter(found))
    assert len(core) == CORE_BYTES
    assert search_of([b"Unable to handle kernel"], ())(core) == []


def test_literals_that_share_a_core_are_told_apart() -> None:
    """One core, two literals: each is compared."""
    shared = {core: found for core, found in cores(LITERALS).items() if len(found) > 1}
    assert shared
    for found in shared.values():
        for before, literal in found:
            assert SEARCH(literal[before:]) == sorted(places(literal[before:]))


@pytest.mark.parametrize("word", [b"interrupt", b"link status definitely up", b"usb 1-1: new"])
def test_ordinary_words_are_no_cores(word: bytes) -> None:
    """Of a literal that holds an ordinary word, something rarer is searched for."""
    literal = word + b" zq#7: lost"
    assert next(iter(cores([literal]))) not in word


def test_cores_are_rare_in_lines_that_they_were_not_chosen_by() -> None:
    """Of what a simulated fleet prints all day, next to nothing is compared in vain."""
    data = "\n".join(text % (1, 2) for _, text in templates("x86_64")).encode()
    seen = [core for core in cores(LITERALS) for _ in range(data.count(core))]
    assert len(seen) <= 1, seen
