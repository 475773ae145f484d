"""The plainest line is read by one expression exactly as by all readers together, and every other
line is left to them.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detector.model import Line, Record
from detector.parse import Parser, fast_path
from detector.parse.draft import Context

NOW_US = 1_790_000_000_000_000


def mostly(common: str, odd: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Most parts of a line are as they should be, so that one odd part is met alone."""
    return st.one_of(st.just(common), st.just(common), st.just(common), odd)


DATES = st.sampled_from(
    [
        "Nov 22 10:00:00", "Nov  2 10:00:61", "Feb 30 10:00:00", "Dec 31 23:59:59",
        "Sep  1 00:00:00", "nov 22 10:00:00",
        "Nov 22 10:00:00.5", "Nov 22 2025 10:00:00", "Nov 22 10:00:00 2025", "Nov 22 10:00:00:",
        "<4>Nov 22 10:00:00",
        "<14>Nov 22 10:00:00", "2026-11-22T10:00:00Z", "2026-11-22T10:00:00.123456+01:00",
        "2026-02-30T10:00:00Z", "2026-11-22 10:00:00Z",
        "2026-11-22T10:00:00,123456+01:00", "2026-11-22T10:00:00.1234567890Z",
        "2026-11-22T25:00:00Z", "[   12.000001]", "6,1,2,-;x", "",
    ]
)  # fmt: skip
HOSTS = st.sampled_from(
    [
        "db-1",
        "db-1.example.com",
        "kern.warning",
        "kern.warn",
        "db.local",
        "2019",
        "10.0.0.1",
        "fe80::1",
        "a",
        "x_y",
        "kernel",
        "h" * 256,
        "",
    ]
)
TAGS = st.sampled_from(
    ["kernel:", "kernel[0]:", "kernel", "python[7]:", "kern.warning kernel:", "Kernel:", " kernel:"]
)
STAMPS = st.sampled_from(
    ["[   12.000001]", "[61817741.123456]", "[12.5]", "[1234567890123.000001]", "[  12.000001@3]",
        "[12.000001][T7]", "[12.000001] [ C0]",
     "[12.000001]<4>", "[   12.000001]  ", "", "12.000001"]
)  # fmt: skip
MESSAGES = st.one_of(
    st.sampled_from(
        [
            "python[7]: segfault at 0 ip 0 sp 0 error 4", "BUG: kernel NULL pointer dereference",
            " indented",
            "Call trace:", "x[  13.000001] glued", "a[b", "ab", "a", "<4>level", "(0)[1:x]vendor",
            "-(0)[1:x]v",
            "A[1:comm: 12] vendor", "**",
            "ncfrag=0/3", "ends in blanks  ", "tab\there", "\x1b[31mred\x1b[0m", "Größe",
            "two\nlines", "SUBSYSTEM=x", "carriage\r", "",
            "[ 1.000001] again", "0x12", "\\weird", "x" * 5_000,
        ]
    ),
    st.text(max_size=30),
    st.text(alphabet="abc []<>()=:.0-9\t", max_size=30),
)  # fmt: skip
RECORD = st.builds(
    lambda *parts: " ".join(part for part in parts if part),
    mostly("Nov 22 10:00:00", DATES),
    mostly("db-1", HOSTS),
    mostly("kernel:", TAGS),
    mostly("[   12.000001]", STAMPS),
    mostly("Call trace:", MESSAGES),
)
OTHERS = st.sampled_from(
    [
        "6,339,5140900,-;driver: probed",
        " SUBSYSTEM=acpi",
        " KEY=value",
        "Panic#1 Part2",
        "<6>[    1.000001] raw",
        "{}",
    ]
)
KEYS = st.sampled_from([None, b"db-1", b"other"])


def read(
    texts: list[str], key: bytes | None, **options: Any
) -> tuple[list[object], dict[str, int]]:
    """Everything that comes out, and what was counted."""
    parser = Parser(**options)
    out: list[object] = []
    for number, text in enumerate(texts):
        out += parser.feed(
            Record(text.encode("utf-8", "surrogatepass"), "logs/0", number, key=key), NOW_US
        )
    return out + parser.flush(), dict(parser.counts)


@given(
    texts=st.lists(RECORD | OTHERS, min_size=1, max_size=4),
    key=KEYS,
    host=st.sampled_from([None, "set"]),
    form=st.sampled_from(["auto", "syslog"]),
)
@example(
    texts=["Nov 22 10:00:00 kern.warning kernel: [   12.000001] python[7]: x"],
    key=None,
    host=None,
    form="auto",
)
@example(
    texts=["Nov 22 10:00:00 db-1 kernel: [   12.000001] A[1:      swapper/0:  12] BUG: x"],
    key=None,
    host=None,
    form="auto",
)
@example(
    texts=["Nov 22 10:00:00 db-1 kernel: [   12.000001] ends in blanks  "],
    key=None,
    host=None,
    form="auto",
)
@example(
    texts=["Nov 22 10:00:00 db-1 kernel: [   12.000001] 6,1,2,-,ncfrag=0/9;BUG: x"],
    key=None,
    host=None,
    form="auto",
)
@settings(deadline=None, max_examples=400)
def test_one_expression_reads_as_all_readers_do(
    texts: list[str], key: bytes | None, host: str | None, form: str
) -> None:
    """Lines, in their order, and counts; also between records of other forms."""
    with mock.patch.object(fast_path, "read", return_value=None):
        expected = read(texts, key, host=host, format=form)
    assert read(texts, key, host=host, format=form) == expected


@pytest.mark.parametrize(
    ("text", "wall_us"),
    [
        (
            (
                "Nov 22 10:00:00 db-17 kernel: [61817741.123456] IPv4: Attempt to release TCP "
                "socket in state 10 ffff805624a7b800"
            ),
            None,
        ),
        (
            (
                "2026-09-01T10:00:00.5+02:00 db-17.example.com kernel: [    1.000002] "
                "python[7]: segfault at 0"
            ),
            1_788_249_600_500_000,
        ),
    ],
)
def test_what_files_are_full_of_is_read_so(text: str, wall_us: int | None) -> None:
    """Both dates that syslog daemons write."""
    found = fast_path.read(text, Context(now_us=NOW_US))
    assert found is not None
    assert wall_us in (None, found[3])
    (line,), _ = read([text], None)
    assert isinstance(line, Line)
    assert (line.trust, line.transport, line.wall_time_us) == ("kernel", "syslog", found[3])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "Nov 22 10:00:00 db-1 kernel: [   12.000001]",
        "Nov 22 10:00:00 db-1 python: [   12.000001] abc",
    ],
)
def test_everything_else_is_left_to_the_readers(text: str) -> None:
    """None says so."""
    assert fast_path.read(text, Context(now_us=NOW_US)) is None
