"""Wrapped lines: what a terminal or a mail program broke is whole again, and nothing else is
joined.
"""

from __future__ import annotations

import random
import re
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.sources.files.framing import FileChunk
from tests.assemble.stream import stored

NAMES = ("arm64-6.6", "x86_64-6.8", "kasan-6.6", "lockdep-6.1", "ppc64le-6.6", "arm64-4.14")


def read(text: str) -> list[str]:
    """The records of a file, one after the other."""
    data = text.encode()
    chunk, at, found = FileChunk("a.log", data, len(data), 1), 0, []
    while at < len(data):
        record, _, at = chunk.record_at(at)
        found.append(record.value.decode())
    return found


def cut(line: str, width: int) -> list[str]:
    """A line as a terminal breaks it."""
    return [line[at : at + width] for at in range(0, len(line), width)] or [""]


def folded(line: str, width: int) -> list[str]:
    """A line as a mail program breaks it."""
    return textwrap.wrap(line, width) or [""] if len(line) > width else [line]


def words(lines: list[str]) -> list[list[str]]:
    """The words of each line: how wide the blanks between them were is lost."""
    return [line.split() for line in lines if line.strip()]


@pytest.mark.parametrize("width", [72, 80, 132])
@pytest.mark.parametrize("name", NAMES)
def test_folded_between_words(name: str, width: int) -> None:
    """Every line is whole again; how many blanks a break has eaten, nobody can know."""
    lines = [re.sub(r"(?<=\S) +", " ", line.rstrip()) for line in stored(name).splitlines()]
    broken = [piece for line in lines for piece in folded(line, width)]
    assert words(read("\n".join(broken) + "\n")) == words(lines)


@pytest.mark.parametrize("width", [72, 80, 132])
@pytest.mark.parametrize("name", NAMES)
def test_cut_in_mid_word(name: str, width: int) -> None:
    """A terminal fills its lines: no blank comes into a word."""
    lines = [line.rstrip() for line in stored(name).splitlines()]
    broken = [piece for line in lines for piece in cut(line, width)]
    seen = words(read("\n".join(broken) + "\n"))
    assert ["".join(row) for row in seen] == ["".join(row) for row in words(lines)]
    assert sum(a != b for a, b in zip(seen, words(lines), strict=True)) <= 1


def test_a_hit_within_a_piece_is_of_its_line() -> None:
    """The record that covers a byte of the second piece is the whole line, under the first one's
    number.
    """
    line = "[  100.000001] Unable to handle kernel paging request at virtual address 0001950b"
    rows = [f"[  100.00000{at}] {'frob ' * 11}" for at in range(3)]
    data = ("\n".join([*rows, *cut(line, 72), *rows]) + "\n").encode()
    chunk = FileChunk("a.log", data, len(data), 1)
    record, start, after = chunk.record_at(data.index(b"0001950b") + 3)
    assert (record.value.decode(), record.number) == (line, 4)
    assert data[start:after] == b"".join(row.encode() + b"\n" for row in cut(line, 72))


def test_what_is_no_piece() -> None:
    """A shell's output, a message of several lines, a log without stamps: every line is its own."""
    wide = "[  100.000003] " + "x" * 300
    shell = [
        "[  100.000001] RIP: 0010:frob_lookup+0x5c/0x190 [frob] and some more text here",
        "executing program",
    ]
    for rows in (
        [*shell, "[  100.000002] RSP: 0018:ffffb0a2c3b2fc80 EFLAGS: 00010286", wide],
        ["[  100.000001] short", "executing program", "[  100.000002] " + "y" * 60],
        [
            "Unable to handle kernel paging request at virtual address 0001950b",
            "and more",
            "z" * 72,
        ],
        ["{}", "{}"],
        ["", "", ""],
    ):
        assert read("\n".join(rows) + "\n") == rows


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet="[ 1.]ab<0\r+x/", max_size=90), max_size=30), st.randoms())
def test_any_lines(rows: list[str], chance: random.Random) -> None:
    """Nothing is lost, nothing comes twice, wherever one looks first."""
    data = ("\n".join(rows) + "\n").encode()
    whole = "".join("".join(line.split()) for line in read(data.decode()))
    assert whole == "".join(data.decode().split())
    chunk = FileChunk("a.log", data, len(data), 1)
    for _ in range(5):
        at = chance.randrange(len(data))
        _, start, after = chunk.record_at(at)
        assert start <= at < after <= len(data)
        assert chunk.record_at(start)[1:] == (start, after)
