"""The index as bytes: the same back, equal bytes for equal bugs, damage told in one line."""

from __future__ import annotations

import hashlib
import json

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.known import Bug, Fix, Trace
from detector.known.codec import decode, encode, open_index, traced_size
from detector.known.index import Index, IndexTables, UnreadableIndexError
from detector.known.lookup import KnownBugs
from detector.known.tables import table_text, tables_over
from detector.model import CrashReport
from tests.support.shipped import shipped

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
            b'{"format":2,"version":"x","bugs":0,"traced":0,"newest":"","hot":[],"blocks":[],'
            b'"digests":["a","b"]}\n'
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


def rewritten(data: bytes, change) -> bytes:
    """An index with another first frame: `change` is given its header and its tables, and gives
    the tables back.
    """
    frames = zstandard.ZstdDecompressor().decompressobj()
    line, _, tables = frames.decompress(data).partition(b"\n")
    head = json.loads(line)
    tables = change(head, tables)
    return zstandard.compress(json.dumps(head).encode() + b"\n" + tables) + frames.unused_data


def put(name, value):
    """A change of one field of the header."""

    def change(head, tables):
        head[name] = value
        return tables

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("format", 1),
        put("format", None),
        put("blocks", [[1, 1]]),
        put("blocks", [[-1, 1]]),
        put("blocks", 7),
        put("digests", ["a", "b"]),
        put("digests", ["a"]),
        put("hot", None),
        lambda head, tables: head.pop("traced") and tables,
    ],
)
def test_a_header_that_does_not_fit_is_refused(change):
    """Of another format, of other blocks, without a part."""
    data = rewritten(encode(BUGS), change)
    for reading in (open_index, decode):
        with pytest.raises(UnreadableIndexError):
            reading(data)


@pytest.mark.parametrize(
    "tables",
    [
        b"f\t1\t7\ng\t1\t\nh\t1\t\n",
        b"f\t1\t-1\ng\t1\t\nh\t1\t\n",
        b"f\t1\tx\n",
        b"f\t\t0\n",
        b"f",
    ],
)
def test_tables_that_were_forged_name_nothing(tables):
    """Their digests fit, so they are found out when they are asked: then they are an error that is
    said; and an index that is read whole is refused.
    """
    data = rewritten(encode(BUGS), lambda _head, _tables: tables)
    with pytest.raises(UnreadableIndexError, match="damaged"):
        open_index(data).by_function["f"]
    with pytest.raises(UnreadableIndexError, match="damaged"):
        decode(data)


def test_an_entry_that_was_forged_is_told():
    """A bug that is no object, in a block of which the header is right."""
    block = zstandard.compress(b"[7]\n")
    digest = hashlib.blake2b(block, digest_size=8).hexdigest()
    head = {"format": 2, "version": "v", "bugs": 1, "traced": 1, "newest": "", "hot": []}
    head |= {"blocks": [[len(block), 1]], "digests": [digest, ""]}
    data = zstandard.compress(json.dumps(head).encode() + b"\nf\t1\t0\n") + block
    with pytest.raises(UnreadableIndexError, match="cannot be read"):
        open_index(data).by_function["f"]


@given(st.lists(st.text(max_size=4), max_size=8, unique=True))
def test_every_name_is_found_in_the_tables(names):
    """Whatever its characters are, and no other."""
    counts = {name: place + 1 for place, name in enumerate(names)}
    functions = {name: [place] for place, name in enumerate(names) if place % 2}
    tables = IndexTables(functions, frozenset(names[:1]), counts)
    over = tables_over(table_text(tables).encode(), tables.hot)
    assert dict(over.counts) == counts
    assert {name: list(places) for name, places in over.functions.items()} == functions
    assert "no such" not in over.counts
    assert "no such" not in over.functions


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


def test_a_part_that_cannot_be_read_is_said_once():
    """A crash that would need it is given no name, and everything goes on."""
    data = rewritten(encode(BUGS), lambda _head, _tables: b"f\t1\tx\n")
    index, said = open_index(data), []
    known = KnownBugs(lambda: index, shipped, said.append)
    report = CrashReport("kasan", title="t", function="f")
    assert known.of(report) == known.of(report) == ()
    (line,) = said
    assert line.startswith(f"the index of known bugs, version {index.version}: its tables ")
    assert known.of(CrashReport("kasan", title="t", function="not_there")) == ()
