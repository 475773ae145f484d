"""What people put around the lines that they paste."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.sources.files.paste import plain

LINES = (
    b"[136523.743141] Unable to handle kernel paging request at virtual address 00000c08ff000820",
    b"[136523.743174] Internal error: Oops: 96000004 [#1] PREEMPT SMP",
    b"[136523.743226] pc : udp4_lib_lookup2+0x88/0x1d8",
)


def decorated(form: str) -> list[bytes]:
    """Each line in a form, numbered from 7."""
    return [
        form.replace("N", str(k)).encode().replace(b"%", line) for k, line in enumerate(LINES, 7)
    ]


@pytest.mark.parametrize(
    "form",
    ["> %", ">> > %", "> > %", "N: %", "N) %", "N. %", "N| %", "  N\t%", "N  %", "kern.log:N:%",
     '"%"', '"%",', "'%'", "`%`", "“%”", "- %", "* %", '> "%"', "> N: %", "%"],
)  # fmt: skip
def test_what_is_taken_off(form: str):
    """Mail quotes, numbers of editors and searches, quotation marks, bullets."""
    assert plain(decorated(form)) == list(LINES)


def test_numbers_before_a_date():
    """The numbers of a long file, before lines of a daemon."""
    lines = [b"Mar  3 15:04:11 lab-3 kernel: x", b"Mar  3 15:04:11 lab-3 kernel: y"]
    assert plain([b"32789 " + lines[0], b"32790 " + lines[1]]) == lines


def test_escapes_of_markdown():
    """A page of notes writes its brackets and underscores with a backslash."""
    written = [rb"\[ 274.331\] sd 4:0:0:0: \[sdc\] a\_b", rb"\[ 274.332\] x: \[ y"]
    assert plain(written) == [b"[ 274.331] sd 4:0:0:0: [sdc] a_b", b"[ 274.332] x: [ y"]
    assert plain([rb"a path C:\[x\]"]) == [rb"a path C:\[x\]"]


def test_fences_become_blank():
    """The lines keep their numbers."""
    assert plain([b"```text", *LINES, b"```"]) == [b"", *LINES, b""]


@pytest.mark.parametrize(
    "lines",
    [
        [b">ffff888012acf580: fb fb fb", b" ffff888012acf500: fa fa fa", b"Memory state"],
        [b"12,7,1000000,-;text", b"4,8,1000001,-;text"],
        [b"2026-02-24T19:21:10Z lab-3 kernel: x", b"2026-02-24T19:21:11Z lab-3 kernel: y"],
        [b"  ESR = 0x1", b"  pc : x"],
        [b'{"a": "b"}', b'{"a": "c"}'],
        [b""],
        [],
    ],
)
def test_what_is_the_logs_own_stays(lines: list[bytes]):
    """Marks of KASAN, records of /dev/kmsg, dates, JSON."""
    assert plain(lines) == lines


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_lines(lines: list[bytes]):
    """As many come out as went in, none longer than it was."""
    found = plain(lines)
    assert len(found) == len(lines)
    assert all(len(after) <= len(before) for after, before in zip(found, lines, strict=True))


def test_backslashes_of_markdown_without_stamps():
    """Names with underscores, and marks of stacks, tell that they are Markdown's."""
    pasted = [b"RIP: 0010:tcp\\_v4\\_rcv+0x54/0x8c0", b" \\<IRQ\\>", b"Oops: 0000 \\[#1\\] SMP"]
    assert plain(pasted) == [b"RIP: 0010:tcp_v4_rcv+0x54/0x8c0", b" <IRQ>", b"Oops: 0000 [#1] SMP"]


def test_a_backslash_of_the_log_stays():
    """Code and paths of other systems."""
    lines = [b"comm: C:\\_start", b"systemd[1]: dev-disk-by\\x2dlabel.device: x"]
    assert plain(lines) == lines
