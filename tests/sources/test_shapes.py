"""Files whose records are not their lines: exports of the journal, relative times, wrapped
lines.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.model import Line
from detector.parse import Parser
from detector.sources.files.framing import Framer
from detector.sources.files.shapes import shape_of

NOW_US = 1_772_366_400_000_000
FAULT = "Unable to handle kernel paging request at virtual address 00013fcb"
RELEASE = "IPv4: Attempt to release TCP socket in state 10 ffff801f5d0e7300"


def rows(data: bytes, size: int = 1 << 20) -> list[tuple[int, bytes]]:
    """Number and bytes of every record of a file that is read in pieces."""
    framer = Framer("f")
    chunks = [
        chunk for at in range(0, len(data), size) for chunk in framer.feed(data[at : at + size])
    ]
    found: list[tuple[int, bytes]] = []
    for chunk in (*chunks, *framer.finish()):
        position = 0
        while position < len(chunk.data):
            record, _, position = chunk.record_at(position)
            found.append((record.number, record.value))
    return found


def lines(data: bytes, size: int = 1 << 20) -> list[Line]:
    """What a parser makes of them."""
    from detector.model import Record

    parser = Parser()
    records = [Record(value, "f", number) for number, value in rows(data, size)]
    said = [line for record in records for line in parser.feed(record, NOW_US)]
    return [line for line in said if isinstance(line, Line)]


def entry(message: str | bytes, us: int, **changed: str) -> bytes:
    """An entry as journalctl -o export writes it."""
    fields = {
        "__CURSOR": "s=1",
        "__REALTIME_TIMESTAMP": str(1_771_960_870_000_000 + us),
        "__MONOTONIC_TIMESTAMP": str(us + 9),
        "_TRANSPORT": "kernel",
        "_HOSTNAME": "lab-3",
        "_SOURCE_MONOTONIC_TIMESTAMP": str(us),
        **changed,
    }
    head = "".join(f"{name}={value}\n" for name, value in fields.items()).encode()
    if isinstance(message, str):
        return head + f"MESSAGE={message}\n\n".encode()
    return head + b"MESSAGE\n" + struct.pack("<Q", len(message)) + message + b"\n\n"


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_entries_of_the_journal(size: int):
    """Text and bytes, whatever pieces the file comes in; each at the line of its message."""
    data = entry(RELEASE, 12_000_034) + entry(b"caf\xe9\n  two", 13_000_000)
    data += entry(FAULT, 14_000_000, _TRANSPORT="syslog", _PID="7")
    found = lines(data, size)
    assert [(line.text, line.kernel_time_us, line.trust) for line in found] == [
        (RELEASE, 12_000_034, "kernel"),
        ("caf\ufffd", 13_000_000, "kernel"),
        ("  two", 13_000_000, "kernel"),
        (FAULT, 14_000_000, "user"),
    ]
    assert [number for number, _ in rows(data, size)] == [
        7,
        15,
        27,
    ]  # the size of the second message, ten, is a line end itself
    assert (found[0].host, found[0].transport) == ("lab-3", "journald")


@pytest.mark.parametrize("size", [1, 50, 1 << 20])
def test_a_message_cannot_be_an_entry(size: int):
    """What a process writes is passed over by its size, also where it spells the kernel's entry."""
    forged = b"x\n\n" + entry(FAULT, 12_000_034) + b"\n\n"
    found = lines(entry(forged, 1, _TRANSPORT="stdout", _PID="7") + entry(RELEASE, 2), size)
    assert {line.trust for line in found if line.text.startswith("Unable")} <= {"user"}
    assert [line.trust for line in found if line.text == RELEASE] == ["kernel"]


def test_entries_in_one_record():
    """As a shipper sends them: raw, several in one."""
    from detector.model import Record

    value = entry(RELEASE, 12_000_034) + entry(b"caf\xe9", 3) + entry(FAULT, 14_000_000)
    found = Parser().feed(Record(value, "t/0", 1), NOW_US)
    assert [line.text for line in found if isinstance(line, Line)] == [
        RELEASE,
        "caf\ufffd",
        FAULT,
    ]


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(1, 64))
def test_any_bytes_after_a_cursor(data: bytes, size: int):
    """Nothing raises, nothing is lost for ever."""
    for value in (b"__CURSOR=s\n" + data, b"__CURSOR=s\nMESSAGE\n" + data):
        lines(value, size)


def test_relative_times():
    """dmesg -H: the seconds since the last date are summed up, colours stay out of the way."""
    data = (
        b"[Nov29 11:23] one\n[  +0.000100] two\n        more of two\n"
        b"\x1b[32m[  +5.512040] \x1b[0mthree\n[Nov29 11:24] four\n[  +0.000001] five\n"
    )
    found = lines(data)
    base = found[0].wall_time_us
    assert base is not None
    assert [
        (line.text.strip(), line.wall_time_us and line.wall_time_us - base) for line in found
    ] == [
        ("one", 0),
        ("two", 100),
        ("more of two", None),
        ("three", 5_512_140),
        ("four", 60_000_000),
        ("five", 60_000_001),
    ]
    assert [number for number, _ in rows(data, 5)] == [1, 2, 3, 4, 5, 6]
    assert rows(data, 5) == rows(data)


LOG = (
    f"[136523.500000] {RELEASE}",
    f"[136523.743141] {FAULT}",
    "[136523.743147] Mem abort info:",
    "[136523.743174] Internal error: Oops: 96000004 [#1] PREEMPT SMP",
    "[136523.743226] pc : __inet_lookup_listener+0xa4/0x1d8",
    *(
        f"[136523.74324{n}] Modules linked in: "
        + " ".join(f"mod_{'x' * (k * n % 7)}y" for k in range(19 + n))
        for n in range(5)
    ),
)


def hard(line: str, width: int) -> list[str]:
    """As a terminal cuts a line."""
    return [line[at : at + width] for at in range(0, len(line), width)]


def soft(line: str, width: int) -> list[str]:
    """As a mail does."""
    found = [""]
    for word in line.split(" "):
        if found[-1] and len(found[-1]) + 1 + len(word) > width:
            found.append(word)
        else:
            found[-1] = f"{found[-1]} {word}" if found[-1] else word
    return found


@pytest.mark.parametrize("cut", [hard, soft])
@pytest.mark.parametrize("width", [76, 80, 132])
@pytest.mark.parametrize("size", [11, 1 << 20])
def test_wrapped_lines_are_joined(cut, width: int, size: int):
    """At the widths of mails and terminals, within words or between them."""
    data = "".join(f"{piece}\n" for line in LOG for piece in cut(line, width)).encode()
    if size == 1 << 20:
        assert [value.decode() for _, value in rows(data, size)] == list(LOG)
    assert b"".join(value for _, value in rows(data, size)).replace(b" ", b"") == (
        data.replace(b"\n", b"").replace(b" ", b"")
    )


@pytest.mark.parametrize(
    "data",
    [
        "".join(f"{line}\n" for line in LOG),
        "[    1.000000] one\nbash: no job control\n[    2.000000] two\n[    3.000000] three\n",
        f"{LOG[1]}\n\n{LOG[2]}\n{LOG[3]}\n",
        "Feb 24 19:21:10 h kernel: one\nfree words\nFeb 24 19:21:11 h kernel: two\n",
    ],
)
def test_other_lines_stay_lines(data: str):
    """A prompt, a blank line, words that would have fitted: no line was cut."""
    assert shape_of(data.encode()) is None
    assert [value.decode() for _, value in rows(data.encode())] == data.removesuffix("\n").split(
        "\n"
    )
