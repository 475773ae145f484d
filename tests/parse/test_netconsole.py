"""Netconsole: basic, extended, and messages in pieces."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.model import Line, Record
from detector.parse import Parser

TEXT = "Modules linked in: one two three four five six seven"


def fragments(text: str, sizes: list[int], sequence: int = 416) -> list[str]:
    """A message as the kernel sends it in pieces; the body ends with a line end, which a file of
    lines loses.
    """
    body, at, pieces = text + "\n", 0, []
    for size in [*sizes, len(body)]:
        if at < len(body):
            piece = body[at : at + size].rstrip("\n")
            pieces.append(f"6.9.1,4,{sequence},1758426,-,ncfrag={at}/{len(body)};{piece}")
        at += size
    return pieces


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_pieces_in_any_order(read: Callable[..., list[Line]], order: tuple[int, ...]):
    """The whole line comes with the last piece, once."""
    pieces = fragments(TEXT, [20, 20])
    (found,) = read(*(pieces[k] for k in order))
    assert (found.text, found.kernel_time_us, found.level, found.trust, found.transport) == (
        TEXT,
        1_758_426,
        4,
        "kernel",
        "netconsole",
    )


@settings(max_examples=60)
@given(st.data())
def test_pieces_of_many_messages_mix(data: st.DataObject):
    """Messages of two hosts, cut anywhere, shuffled and partly doubled: each comes out once and
    whole.
    """
    texts = {
        (host, sequence): f"{host} says {'x' * (sequence % 7)} {sequence}"
        for host in ("a", "b")
        for sequence in range(3)
    }
    sends = [
        (host, piece)
        for (host, sequence), text in texts.items()
        for piece in fragments(
            text, data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=3)), sequence
        )
    ]
    parser = Parser()
    said: list[str] = []
    for number, (host, piece) in enumerate(data.draw(st.permutations(sends))):
        said += [
            found.text
            for found in parser.feed(Record(piece.encode(), "t/0", number, host.encode()), 0)
        ]
    assert sorted(said) == sorted(texts.values())
    assert parser.flush() == []


def test_glued_pieces(read: Callable[..., list[Line]]):
    """A receiver wrote two packets into one line."""
    first, second = fragments(TEXT, [30])
    (found,) = read(first + second)
    assert found.text == TEXT


def test_a_lost_piece(now_us: int):
    """What came is not lost with it: it goes on at the end, or when it waited for ten seconds."""
    first, second = fragments(TEXT, [30])
    parser = Parser()
    assert parser.feed(Record(first.encode(), "t/0", 1), now_us) == []
    (late, plain) = parser.feed(Record(b"[    1.000000] next", "t/0", 2), now_us + 11_000_000)
    assert (late.text, late.number, plain.text) == (TEXT[:30], 1, "next")
    assert parser.feed(Record(second.encode(), "t/0", 3), now_us) == []
    assert [found.text for found in parser.flush()] == [""]
    assert parser.counts["fragments_lost"] == 2


def test_pending_pieces_are_bounded(now_us: int):
    """The oldest goes when too many wait."""
    parser = Parser()
    said = [
        found
        for sequence in range(1000)
        for found in parser.feed(
            Record(fragments(TEXT, [30], sequence)[0].encode(), "t/0", sequence), now_us
        )
    ]
    assert 700 <= len(said) <= 1000
    assert [found.number for found in said] == sorted(found.number for found in said)
    assert len(said) + len(parser.flush()) == 1000


@pytest.mark.parametrize(
    "field", ["ncfrag=9/3", "ncfrag=0/99999999", "ncfrag=x/y", "ncfrag=", "ncfrag=3/3"]
)
def test_impossible_pieces_are_whole_lines(read: Callable[..., list[Line]], field: str):
    """A place that cannot be is no place: the text goes on by itself."""
    assert [found.text for found in read(f"4,1,7,-,{field};text")] == ["text"]


def test_release_and_dictionary(line: Callable[..., Line]):
    """A release in front, and the data that newer kernels append."""
    found = line(
        "6.9.1-rc2-00048-gabc,6,444,501151268,-;netconsole: started\n release=6.9.1\n cpu=3"
    )
    assert (found.text, found.transport, found.kernel_time_us) == (
        "netconsole: started",
        "netconsole",
        501_151_268,
    )


def test_basic(line: Callable[..., Line]):
    """A console's text in a packet: no host in it, so the sender's address must come as the key."""
    found = line("[    3.000001] eth9: up\n", key=b"192.0.2.7", format="netconsole")
    assert (found.text, found.host, found.transport) == ("eth9: up", "192.0.2.7", "netconsole")
