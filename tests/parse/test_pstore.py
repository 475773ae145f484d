"""Dumps from pstore: the oldest part first."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest

from detector.model import Line, Record
from detector.parse import Parser

PARTS = {
    3: ["<4>[    3.000001] one", "<4>[    3.000002] two"],
    2: ["<4>[    3.000003] three"],
    1: ["<0>[    3.000004] four", "<4>   five"],
}


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_parts_in_any_order(read: Callable[..., list[Line]], order: tuple[int, ...]):
    """Firmware hands out the newest text first, or in any order."""
    values = [value for part in order for value in (f"Panic#2 Part{part}", *PARTS[part])]
    said = read(*values)
    assert [found.text for found in said] == ["one", "two", "three", "four", "five"]
    assert {(found.transport, found.trust) for found in said} == {("pstore", "kernel")}


def test_a_dump_in_a_stream_is_held_ten_seconds(now_us: int):
    """Behind it in a partition come other hosts' lines: framed ones pass, and time ends the
    dump.
    """
    parser = Parser()
    parser.feed(Record(b"Oops#1 Part1", "t/0", 1), now_us)
    assert parser.feed(Record(b"<4>[    1.000000] held", "t/0", 2), now_us) == []
    assert [found.text for found in parser.feed(Record(b"6,1,7,-;framed", "t/0", 3), now_us)] == [
        "framed"
    ]
    later = parser.feed(Record(b"[    1.000000] free", "t/0", 4), now_us + 11_000_000)
    assert [found.text for found in later] == ["held", "free"]


def test_a_later_dump_ends_the_earlier(read: Callable[..., list[Line]]):
    """`Oops#1`, then `Panic#2`: two stories, one after the other."""
    said = read(
        "Oops#1 Part1",
        "<4>oops end",
        "Oops#1 Part2",
        "<4>oops start",
        "Panic#2 Part1",
        "<4>panic end",
        "Panic#2 Part2",
        "<4>panic start",
    )
    assert [found.text for found in said] == ["oops start", "oops end", "panic start", "panic end"]


def test_sources_are_kept_apart(now_us: int):
    """A dump in one file holds back no line of another."""
    parser = Parser()
    parser.feed(Record(b"Panic#1 Part1", "dump", 1), now_us)
    assert parser.feed(Record(b"<4>[    1.000000] held", "dump", 2), now_us) == []
    assert [
        found.text for found in parser.feed(Record(b"[    1.000000] free", "other", 1), now_us)
    ] == ["free"]
    assert [found.text for found in parser.flush()] == ["held"]


def test_ramoops_has_no_parts(read: Callable[..., list[Line]]):
    """Its header begins one whole dump."""
    assert [
        found.text
        for found in read(
            "====1389012345.123456-D", "<4>[    1.000000] one", "<4>[    1.000001] two"
        )
    ] == ["one", "two"]


def test_what_is_held_is_bounded(now_us: int):
    """A dump that never ends goes on in pieces."""
    parser = Parser()
    parser.feed(Record(b"Panic#1 Part1", "dump", 1), now_us)
    said = parser.feed(Record(b"<4>line\n" * 20_001, "dump", 2), now_us)
    assert (len(said), len(parser.flush())) == (20_000, 1)
