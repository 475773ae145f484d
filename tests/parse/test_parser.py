"""The one door: hosts, formats, counts, bounds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from detector.model import Line, Record, Unparsed
from detector.parse import FORMATS, Parser


def test_the_host_in_order_of_preference(line: Callable[..., Line]):
    """As set, from the body, from the key, from the source."""
    value = "Feb 24 19:21:10 body kernel: x"
    assert line(value, host="set", key=b"key").host == "set"
    assert line(value, key=b"key").host == "body"
    assert line("[    1.000000] x", key=b"key").host == "key"
    assert line("[    1.000000] x", key=b'"key"').host == "key"
    assert line("[    1.000000] x", source="topic/3").host == "topic/3"


@pytest.mark.parametrize("key", [b"\xff\x00\x01", b'{"host":"a"}', b"", b"a b"])
def test_a_key_that_is_no_name(line: Callable[..., Line], key: bytes):
    """Hashes and structures are not hosts."""
    assert line("[    1.000000] x", key=key, source="topic/3").host == "topic/3"


@pytest.mark.parametrize(
    ("key", "count"),
    [(b"other", 1), (b"BODY", 0), (b"body.example", 0), (b"body", 0), (b"\xff", 0)],
)
def test_a_disagreement_is_counted(now_us: int, key: bytes, count: int):
    """Case and domain are no disagreement."""
    parser = Parser()
    parser.feed(Record(b"Feb 24 19:21:10 body kernel: x", "t/0", 1, key), now_us)
    assert parser.counts.get("host_disagreement", 0) == count


def test_an_unknown_format_is_refused():
    """With the names that are known."""
    with pytest.raises(ValueError, match=r"unknown format 'dmsg'.*auto, dmesg"):
        Parser(format="dmsg")


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_set_format_reads_nothing_else(
    read: Callable[..., list[Line | Unparsed]], format_name: str
):
    """Either as that format, or not at all; the ones that take any text say what they are."""
    for value in (
        "7,1,424069,-;x",
        "[    1.000000] x",
        "Feb 24 19:21:10 lab-3 kernel: x",
        "<2>1 - lab-3 kernel - - - x",
        '{"message":"x"}',
        "x",
    ):
        (found,) = read(value, format=format_name)
        if isinstance(found, Unparsed):
            assert found.reason == f"not-{format_name}"
        elif format_name not in (
            "auto",
            "journald",
            "rsyslog",
            "fluent-bit",
            "beats",
            "vector",
            "otel",
            "json",
            "dmesg-json",
        ):
            assert found.transport == format_name


def test_the_automatic_mode_switches_per_record(read: Callable[..., list[Line]]):
    """One source, every format."""
    values = (
        "7,1,424069,-;x",
        "[    1.000000] x",
        "Feb 24 19:21:10 lab-3 kernel: x",
        "<2>1 - lab-3 kernel - - - x",
        '{"message":"x"}',
        "x",
    )
    assert [found.transport for found in read(*values)] == [
        "kmsg",
        "dmesg",
        "syslog",
        "rfc5424",
        "json",
        "text",
    ]


def test_lines_of_a_record_share_its_place(read: Callable[..., list[Line]]):
    """A record of many lines: one number, blank lines counted."""
    said = read("[    1.000000] one\n\n[    1.000001] two\r\n")
    assert [(found.text, found.number) for found in said] == [("one", 1), ("two", 1)]


@pytest.mark.parametrize("value", [b"", b"\n", b"  \t ", b"\0\0", b"\x1b[0m\n"])
def test_an_empty_record_is_counted(now_us: int, value: bytes):
    """Nothing is dropped in silence."""
    parser = Parser()
    assert parser.feed(Record(value, "f", 1), now_us) == []
    assert parser.counts["blank"] >= 1


def test_long_lines_are_cut_and_counted(now_us: int):
    """Ten megabytes in one line, alone and within JSON; a text between the two bounds. Each line is
    counted once.
    """
    parser = Parser()
    for value in (
        b"[    1.000000] BUG: " + b"x" * 10_000_000,
        b'{"message":"[    1.000000] BUG: ' + b"x" * 10_000_000 + b'"}',
        b"[    1.000000] BUG: " + b"x" * 10_000,
    ):
        (found,) = parser.feed(Record(value, "f", 1), now_us)
        assert (found.text[:6], found.kernel_time_us, len(found.text)) == (
            "BUG: x",
            1_000_000,
            8_192,
        )
    assert parser.counts["text_cut"] == 3


def test_too_many_lines_are_cut_and_counted(now_us: int):
    """A record of more lines than anyone ships."""
    parser = Parser()
    assert len(parser.feed(Record(b"x\n" * 100_500, "f", 1), now_us)) == 100_000
    assert parser.counts["rows_cut"] == 1


def test_unparsed_are_counted_by_reason(now_us: int):
    """With a sample of at most 200 bytes."""
    parser = Parser(format="kmsg")
    (found,) = parser.feed(Record(b"y" * 999, "f", 7), now_us)
    assert (found.reason, found.sample, found.source, found.number) == (
        "not-kmsg",
        b"y" * 200,
        "f",
        7,
    )
    assert parser.counts["unparsed:not-kmsg"] == 1
