"""The index as bytes: the same back, equal bytes for equal bugs, damage told in one line."""

from __future__ import annotations

import json

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.known import Bug, Fix, Trace
from detector.known.codec import UnreadableIndexError, decode, encode, open_index, traced_size
from detector.known.index import Index

names = st.lists(st.sampled_from(["demo_read", "demo_turn", "a"]), max_size=3).map(tuple)
words = st.text(st.characters(codec="utf-8"), max_size=8)
optional = st.sampled_from([None, "demo", "0123456789ab"])
made_traces = st.builds(
    Trace,
    st.sampled_from(["kasan", "?", "warning"]),
    optional,
    optional,
    names,
    names,
    optional,
    st.none() | st.integers(0, 4095),
    names,
    names,
)
made_bugs = st.builds(
    Bug,
    st.integers(1, 99999).map("CVE-2024-{:05d}".format) | st.just("0123456789ab"),
    words,
    optional,
    st.lists(st.tuples(st.just("5.4"), st.just("5.10.7")), max_size=2).map(tuple),
    st.lists(st.builds(Fix, st.just("6.1.2"), optional), max_size=3).map(tuple),
    names,
    st.lists(made_traces, max_size=3).map(tuple),
    names,
)
BUGS = [
    Bug("CVE-2024-00001", "one", traces=(Trace("kasan", "t", "f", ("f", "g", "h")),)),
    Bug("CVE-2024-00002", "two", fixes=(Fix("6.10.3"), Fix("6.9"))),
]


@given(st.lists(made_bugs, max_size=3, unique_by=lambda bug: bug.id))
@settings(max_examples=50)
def test_what_goes_in_comes_out(bugs):
    """Every field, whatever it holds; without the second part those with a trace."""
    header, found = decode(encode(bugs), whole=True)
    assert sorted(found, key=lambda bug: bug.id) == sorted(bugs, key=lambda bug: bug.id)
    assert header.bugs == len(bugs)
    traced = [bug for bug in bugs if bug.traces]
    assert {bug.id for bug in decode(encode(bugs))[1]} == {bug.id for bug in traced}


def test_order_is_no_matter():
    """Equal bugs are equal bytes."""
    assert encode(BUGS) == encode(reversed(BUGS))


def test_the_header_says_what_is_inside():
    """Counts, the newest release by number, a version that follows the content."""
    data = encode(BUGS)
    header, _ = decode(data)
    assert (header.bugs, header.traced, header.newest) == (2, 1, "6.10.3")
    assert header.version != decode(encode(BUGS[:1]))[0].version
    assert 0 < traced_size(data) < len(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"no index",
        lambda data: data[: len(data) // 3],
        lambda data: data[:-1],
        lambda data: data[:40] + bytes([data[40] ^ 255]) + data[41:],
        lambda data: zstandard.compress(b"{}\n"),
        lambda data: zstandard.compress(b'{"format":99}\n'),
        lambda data: zstandard.compress(
            b'{"format":1,"version":"x","bugs":0,"traced":0,"newest":"","parts":["a","b"]}\n'
        ),
    ],
)
def test_damage_is_told(damage):
    """Empty, foreign, cut, flipped, without a header, of another format, with a wrong digest."""
    with pytest.raises(UnreadableIndexError):
        decode(damage(encode(BUGS)), whole=True)


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=60)
def test_no_flipped_byte_gives_other_bugs(place, flip):
    """An index is what was written, or is refused."""
    data = bytearray(encode(BUGS))
    data[place % len(data)] ^= flip
    try:
        _, found = decode(bytes(data), whole=True)
    except UnreadableIndexError:
        return
    assert found == BUGS


def looked_up(index: Index):
    """All that is asked of an index."""
    names = {name for bug in index.bugs.values() for trace in bug.traces for name in trace.frames}
    return (
        dict(index.bugs),
        {name: index.by_function[name] for name in index.by_function},
        index.hot,
        {name: index.weight(name) for name in (*names, "no_such_function")},
    )


@given(st.lists(made_bugs, max_size=6, unique_by=lambda bug: bug.id))
@settings(max_examples=50)
def test_bugs_that_are_read_when_asked_for_are_the_same(bugs):
    """By its tables a file tells what an index of all its bugs does."""
    data = encode(bugs)
    assert looked_up(open_index(data)) == looked_up(Index.of(decode(data)[1]))


def test_nothing_is_read_that_is_not_asked_for():
    """Which functions there are is told by the tables; a bug is made once."""
    index = open_index(encode(BUGS))
    assert "f" in index.by_function
    assert "g" not in index.by_function
    assert index.by_function["f"] is index.by_function["f"]
    assert index.by_function["f"][0].bug is index.bugs["CVE-2024-00001"]


def test_an_index_without_tables_is_read_whole():
    """As an older version wrote it."""
    frames = zstandard.ZstdDecompressor().decompressobj()
    data = encode(BUGS)
    first, _, traced = frames.decompress(data).partition(b"\n")
    head = {name: value for name, value in json.loads(first).items() if "tables" not in name}
    old = zstandard.compress(json.dumps(head).encode() + b"\n" + traced) + frames.unused_data
    assert looked_up(open_index(old)) == looked_up(open_index(data))
    assert decode(old, whole=True)[1] == decode(data, whole=True)[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head["tables"]["functions"].update(f=[7]),
        lambda head: head["tables"].pop("counts"),
        lambda head: head.update(tables=3),
        lambda head: head.update(traced=2),
        lambda head: head.pop("tables_digest"),
    ],
)
def test_tables_that_do_not_fit_are_told(change):
    """Another place, a part that is gone, a count that differs."""
    frames = zstandard.ZstdDecompressor().decompressobj()
    first, _, traced = frames.decompress(encode(BUGS)).partition(b"\n")
    head = json.loads(first)
    change(head)
    with pytest.raises(UnreadableIndexError, match="damaged"):
        open_index(zstandard.compress(json.dumps(head).encode() + b"\n" + traced))


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=60)
def test_no_flipped_byte_gives_another_index(place, flip):
    """An index that is opened is what was written, or is refused."""
    data = bytearray(encode(BUGS))
    data[place % len(data)] ^= flip
    try:
        found = open_index(bytes(data))
    except UnreadableIndexError:
        return
    assert looked_up(found) == looked_up(open_index(encode(BUGS)))
