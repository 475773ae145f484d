"""/dev/kmsg records."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from detector.model import Line, Record
from detector.parse import Parser


@pytest.mark.parametrize(
    ("value", "text", "trust", "level", "facility", "caller"),
    [
        ("7,160,424069,-;eth9: up", "eth9: up", "kernel", 7, 0, None),
        ("30,340,424069,-;udevd[80]: starting", "udevd[80]: starting", "user", 6, 3, None),
        ("0,0,424069,-,caller=T1;Linux version", "Linux version", "kernel", 0, 0, "T1"),
        ("4,9,424069,-,fresh=1,caller=C12,more;  ESR = 0x1", "  ESR = 0x1", "kernel", 4, 0, "C12"),
        ("4,9,424069,-;path C:\\x5cdir", "path C:\\dir", "kernel", 4, 0, None),
        ("4,9,424069,-;caf\\xc3\\xa9", "café", "kernel", 4, 0, None),
        ("4,9,424069,-;a;b,c", "a;b,c", "kernel", 4, 0, None),
        ("12,9,424069,-;BUG: forged", "BUG: forged", "user", 4, 1, None),
    ],
)
def test_a_record(
    line: Callable[..., Line],
    value: str,
    text: str,
    trust: str,
    level: int,
    facility: int,
    caller: str | None,
):
    """Facility 0 is the kernel's alone; unknown fields are skipped; escapes are resolved once."""
    found = line(value)
    assert (found.text, found.trust, found.level, found.facility, found.caller) == (
        text,
        trust,
        level,
        facility,
        caller,
    )
    assert (found.kernel_time_us, found.transport, found.continuation) == (424_069, "kmsg", False)


def test_a_message_of_many_lines(read: Callable[..., list[Line]]):
    """An escaped line end is the kernel's own: each line has the record's facts."""
    assert [
        (found.text, found.kernel_time_us, found.trust) for found in read("4,9,7,-;one\\x0a  two")
    ] == [
        ("one", 7, "kernel"),
        ("  two", 7, "kernel"),
    ]


@pytest.mark.parametrize("flag", ["c", "+"])
def test_a_continued_line(line: Callable[..., Line], flag: str):
    """Both flags mark a piece of a line; its leading blank is part of it."""
    found = line(f"4,1510,7,{flag}; two [last unloaded: three]")
    assert (found.continuation, found.text) == (True, " two [last unloaded: three]")


def test_dictionaries_are_counted_and_left_out(now_us: int):
    """Known keys anywhere, any key right behind a record, within one record or as a line of its
    own.
    """
    parser = Parser()
    values = [
        "6,1,7,-;eth9: up\n SUBSYSTEM=net\n DEVICE=n9",
        " _TRAIT=x",
        " SUBSYSTEM=net",
        "plain",
        " _TRAIT=x",
    ]
    said = [
        found.text
        for n, value in enumerate(values)
        for found in parser.feed(Record(value.encode(), "f", n), now_us)
    ]
    assert said == ["eth9: up", "plain", "_TRAIT=x"]
    assert parser.counts["dictionary"] == 4


def test_missing_numbers_are_counted(now_us: int):
    """Per source: a hole counts once, its records each; reordering and a reboot are no loss."""
    parser = Parser()
    for number, sequence in enumerate((5, 6, 9, 10, 8, 11, 0, 1)):
        parser.feed(Record(f"6,{sequence},7,-;x".encode(), "a", number), now_us)
    parser.feed(Record(b"6,900,7,-;x", "b", 1), now_us)
    assert (parser.counts["sequence_gap"], parser.counts["sequence_missing"]) == (1, 2)


def test_records_that_were_passed_over_are_not_missing(now_us: int):
    """A scanner hands over a few records of many: what lies between two of them may have had the
    numbers in between.
    """
    parser = Parser()
    for number, sequence in ((10, 500), (30, 520), (35, 530)):
        parser.feed(Record(f"6,{sequence},7,-;x".encode(), "a", number), now_us)
    assert (parser.counts["sequence_gap"], parser.counts["sequence_missing"]) == (1, 5)


def test_what_is_no_record(line: Callable[..., Line]):
    """Numbers and commas in a kernel's text do not make it a record."""
    assert line("1,2,3 and more; text").transport == "text"
    assert line("9999999,1,2,-;x").transport == "text"
