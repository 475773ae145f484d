"""The scanner selects exactly the records that a plain search would, and the ones that an open
block wants.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector import literal_search, scan
from detector.literal_search import search_of
from detector.scan import REVEALING, Scanner, _searcher
from tests.support.chunks import Lines

LITERALS = ("BUG: ", "Attempt to release", "a.b*c")
SCANNER = Scanner(LITERALS)


def select(
    chunk: Lines, following: Callable[[], Collection[str] | None] = tuple
) -> list[tuple[bytes, bool]]:
    """(line, hit) as the scanner yields them."""
    return [(record.value, hit) for record, hit in SCANNER.select(chunk, following)]


WORDS = [
    b"BUG: x",
    b"Attempt to release",
    b"a.b*c",
    b"aXbbc",
    b"",
    b"noise",
    b"ncfrag=0/9",
    b'"MESSAGE":[72',
    b"[    0.000000] x",
]
words = st.sampled_from(WORDS)
lines = st.lists(st.lists(words, max_size=4).map(b" ".join), min_size=1, max_size=12)


@given(lines)
def test_selects_what_a_plain_search_selects(values: list[bytes]) -> None:
    """Every line with a literal or a revealing mark, once, in order, and no other."""
    plain = [
        value
        for value in values
        if any(one.encode() in value for one in LITERALS)
        or any(re.search(one, value) for one in REVEALING)
    ]
    assert select(Lines(*values)) == [(value, True) for value in plain]


@given(lines)
def test_following_yields_every_record_once_in_order(values: list[bytes]) -> None:
    """While a block is open nothing is passed over, and hits stay hits."""
    hits = dict.fromkeys(value for value, _ in select(Lines(*values)))
    expected = [(value, value in hits) for value in values]
    if values[-1] == b"":  # what follows the last line end is no record
        expected = expected[:-1]
    assert select(Lines(*values), lambda: None) == expected


def test_following_begins_at_a_hit_and_ends_when_the_block_ends() -> None:
    """The lines after a hit come until nobody follows."""
    chunk = Lines(b"before", b"BUG: one", b"in 1", b"in 2", b"after", b"BUG: two")
    seen: list[bytes] = []
    for record, _ in SCANNER.select(
        chunk, lambda: None if seen[-1:] in ([b"BUG: one"], [b"in 1"]) else ()
    ):
        seen.append(record.value)
    assert seen == [b"BUG: one", b"in 1", b"in 2", b"BUG: two"]


class Named(Lines):
    """Lines that name their hosts."""

    names_inside = True


HOSTS = [f"db-{number}" for number in range(12)]
named = st.lists(
    st.tuples(st.sampled_from(HOSTS), words).map(lambda pair: pair[0].encode() + b": " + pair[1]),
    min_size=1,
    max_size=20,
)


@given(named, st.lists(st.frozensets(st.sampled_from(HOSTS)), min_size=1, max_size=4))
def test_following_hosts_yields_their_records_and_the_hits(
    values: list[bytes], wanted: list[frozenset[str]]
) -> None:
    """Whoever is wanted after each record, few hosts or many: exactly the records that hold a
    wanted name, and the hits, each once.
    """
    hits = {value for value, _ in select(Named(*values))}
    seen: list[bytes] = []
    for record, hit in SCANNER.select(Named(*values), lambda: wanted[len(seen) % len(wanted)]):
        assert hit == (record.value in hits)
        seen.append(record.value)
    expected: list[bytes] = []
    for value in values:
        names = wanted[len(expected) % len(wanted)]
        if value in hits or any(name.encode() in value for name in names):
            expected.append(value)
    assert seen == expected


def test_every_record_is_wanted_of_a_host_that_its_lines_do_not_name() -> None:
    """A host named by its source, or by letters that a JSON writer may escape, cannot be searched
    for.
    """
    for name in ("test", "büro-1", 'a"b'):
        assert len(select(Named(b"a", b"b", b"c"), lambda name=name: {name})) == 3  # type: ignore[misc]


def test_both_engines_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The alternation of machines without Hyperscan selects the same records."""
    literals = [one.encode() for one in LITERALS]
    data = b'BUG: BUG: a.b*c\n"message" : [1]\n[    9.123456] x\n[   10.123456] x\n'
    engine = search_of(literals, REVEALING)(data)
    monkeypatch.setattr(literal_search, "engine_of", lambda *_: None)
    plain = search_of(literals, REVEALING)(data)
    assert {data[:end].count(b"\n") for end in engine} == {0, 1, 2}
    assert {data[:end].count(b"\n") for end in plain} == {0, 1, 2}


def test_hosts_are_found_without_the_engine_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Hyperscan has no wheel, each name is searched for by itself: the same places."""
    data = b"db-1 db-10 db-2\n" * 3
    with_engine = sorted(_searcher(HOSTS)(data))
    monkeypatch.setattr(scan, "engine_of", lambda _expressions: None)
    assert sorted(_searcher(HOSTS)(data)) == with_engine


@pytest.mark.parametrize(
    ("young", "old"),
    [
        (b"[    9.999999] x", b"[   10.000000] x"),
        (b"6,1,9999999,-;x", b"6,1,10000000,-;x"),
        (b"6.1.0,6,1,0,-,ncemg=1;x", b"6.1.0,6,1,10000000,-,ncemg=1;x"),
        (b'      "time":     9.999999,', b'      "time":    10.000000,'),
    ],
)
def test_a_kernel_time_that_has_begun_anew_is_seen(young: bytes, old: bytes) -> None:
    """A record of a boot's first ten seconds is selected in every form that may come without a wall
    time.
    """
    assert select(Lines(old, young, old)) == [(young, True)]


@pytest.mark.parametrize(
    "value", [b"", b"\x00" * 100, b"BUG: " * 1000, "Attempt to release é".encode()]
)
def test_any_bytes_are_searched(value: bytes) -> None:
    """No byte is special."""
    assert len(select(Lines(value))) == (b"BUG: " in value or b"Attempt" in value)
