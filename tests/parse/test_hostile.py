"""Lines are written by whoever crashes: nothing raises, nothing is dropped in silence, nothing
takes long.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from time import perf_counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detector.model import Line, Record, Unparsed
from detector.parse import FORMATS, Parser

NOW_US = 1_772_366_400_000_000
PARTS = st.sampled_from(
    [
        *(
            "[",
            "]",
            "<",
            ">",
            "{",
            "}",
            '"',
            ":",
            ";",
            ",",
            " ",
            "\n",
            "\r",
            "\0",
            "\x1b[",
            "\\x0a",
            "=>",
            "- ",
            "@",
            "#",
            "é",
            "\ufeff",
            "²",
        ),
        *(
            "[    1.000000]",
            "[ T1] ",
            "<14>",
            "<2>1 ",
            "kernel: ",
            "Feb 24 19:21:10 ",
            "Feb 30 99:99:99 ",
            "lab-3 ",
            "4,1,2,-",
            ",ncfrag=0/9;",
        ),
        *(
            "2026-02-24T19:21:10Z ",
            "99999999999999999999",
            "login: ",
            "Panic#1 Part1",
            "====1.1-D",
            " SUBSYSTEM=",
            "** 1 printk messages dropped ** ",
        ),
        *(
            '{"message":',
            '"MESSAGE":',
            '[0] k: [1, {"a"=>',
            "kern  :warn  : ",
            "c 1.000000! ",
            "Tue 2026-02-24 19:21:10 UTC ",
            "> ",
        ),
    ]
)
VALUES = st.one_of(
    st.binary(max_size=200), st.lists(PARTS, max_size=12).map(lambda parts: "".join(parts).encode())
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "message",
                        "MESSAGE",
                        "msg",
                        "body",
                        "host",
                        "log",
                        "_TRANSPORT",
                        "sec",
                        "usec",
                        "pri",
                        "time",
                        "timestamp",
                        "syslogtag",
                    ),
                    *(
                        "attributes",
                        "resource",
                        "resourceLogs",
                        "scopeLogs",
                        "logRecords",
                        "dmesg",
                        "facility",
                        "journald",
                        "sequence",
                        "event",
                    ),
                    *(
                        "__REALTIME_TIMESTAMP",
                        "_SOURCE_MONOTONIC_TIMESTAMP",
                        "kvlistValue",
                        "values",
                        "key",
                        "value",
                        "stringValue",
                        "caller",
                    ),
                ]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=12,
)


def fed(parser: Parser, *values: bytes, key: bytes | None = None) -> list[Line | Unparsed]:
    """What a parser says of records, each of which must be answered or counted."""
    said: list[Line | Unparsed] = []
    for number, value in enumerate(values):
        before = sum(parser.counts.values())
        answer = parser.feed(Record(value, "t/0", number, key), NOW_US)
        assert answer or sum(parser.counts.values()) > before or parser.counts["pstore_header"]
        said += answer
    said += parser.flush()
    assert not [name for name in parser.counts if name.startswith("unparsed:error-")]
    for found in said:
        assert len(found.text if isinstance(found, Line) else found.sample) <= 8192
        assert "\n" not in (found.text if isinstance(found, Line) else "")
    return said


@settings(max_examples=300)
@given(
    st.lists(VALUES, max_size=4),
    st.sampled_from(FORMATS),
    st.one_of(st.none(), st.binary(max_size=8)),
)
@example([b"\xe2\x80\xa8[    1.000000] x"], "auto", b"\xff")
def test_any_bytes(values: list[bytes], format_name: str, key: bytes | None):
    """In every format."""
    fed(Parser(format=format_name), *values, key=key)


@settings(max_examples=200)
@given(JSON)
def test_any_json(item: object):
    """Every kind of value under every name that we read."""
    fed(Parser(), json.dumps(item).encode())


@settings(max_examples=100)
@given(VALUES, st.sampled_from(["message", "MESSAGE", "msg", "body", "log"]))
def test_a_user_stays_a_user(value: bytes, name: str):
    """Whatever bytes a process writes, behind its own tag or in its own envelope."""
    text = value.decode("utf-8", "replace")
    single = text.replace("\n", " ")
    for record in (
        json.dumps({name: text, "_TRANSPORT": "stdout"}),
        f"<14>Feb 24 19:21:10 lab-3 app[1]: {text}",
        f"Feb 24 19:21:10 lab-3 app[1]: {single}",
    ):
        assert {
            found.trust for found in fed(Parser(), record.encode()) if isinstance(found, Line)
        } <= {"user"}


M = 1 << 20
HOSTILE = {
    "blanks": b"[" + b" " * M,
    "brackets": b"[" * M,
    "braces": b'{"' * (M // 2),
    "deep": b'{"a":' * (M // 5),
    "digits": b"1" * M,
    "commas": b"1,1,1,-," + b"a=," * (M // 3),
    "structured data": b'<1>1 - - - - - [a="' + b'\\"' * (M // 2),
    "elements": b"<1>1 - - - - - " + b"[a]" * (M // 3),
    "stamps": b"x" + b"[    1.000000]" * (M // 14),
    "half stamps": b"x[ 1.00000" * (M // 10),
    "date and colons": b"Feb 24 19:21:10 " + b"a:" * (M // 2),
    "date and blanks": b"Feb 24 19:21:10 " + b"a " * (M // 2),
    "escapes": b"\x1b[" * (M // 2),
    "titles": b"\x1b]" * (M // 2),
    "quotes": b"> " * (M // 2),
    "backslashes": b"1,1,1,-;" + b"\\x0" * (M // 3),
    "broken bytes": b"\xff" * M,
    "zeros": b"\0" * M,
    "blanks before": b" " * M + b"x",
    "arrows": b'[0] k: [1, {"a"=>' * (M // 17),
    "number": b'{"message":"x","pri":' + b"9" * M + b"}",
    "fragments": b"1,1,1,-,ncfrag=0/9;" * (M // 19),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_is_soon_over(name: str):
    """No reader's time grows with the square of a line: 50 ms for one megabyte (the best of three,
    as machines are shared).
    """
    times = []
    for _ in range(3):
        parser, record = Parser(), Record(HOSTILE[name], "t/0", 1)
        start = perf_counter()
        parser.feed(record, NOW_US)
        times.append(perf_counter() - start)
        assert not [reason for reason in parser.counts if reason.startswith("unparsed:error-")]
    assert min(times) < 0.05


def test_a_line_behind_a_hole_of_nuls_is_read(line: Callable[..., Line]):
    """A file that lost its power or was truncated under its writer: longer than any line may be,
    and still no part of the line.
    """
    assert (
        line(b"\0" * 300_000 + b"[   12.000034] Linux version 6.1.0").text == "Linux version 6.1.0"
    )
