"""The traps of kernel logs that reading lines can fall into, by their numbers in the project's list
of 25.

The others (1 to 5, 8, 9, 19 to 21, 23, 25) are about what a text means and are held by the tests of
matching, reports and rules.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from detector.model import Line, Record
from detector.parse import Parser

Read = Callable[..., list[Line]]


def test_trap_06_pieces_of_two_processes_keep_their_places(read: Read):
    """Two processes' lines interleave; a kernel's own lines inside a user fault are read like any
    other, in order.
    """
    values = [
        "Feb 24 06:34:46 kernel: Flags: nZCv  IRQs on  FIQs on  Mode USER_32",
        "Feb 24 06:34:46 kernel: CPU: 1 PID: 306 Comm: dcd Tainted: P           O    4.1.52 #1",
        (
            "Feb 24 06:34:46 kernel: [<c0026fe0>] (unwind_backtrace) from [<c0022c38>] "
            "(show_stack+0x10/0x14)"
        ),
    ]
    assert [(found.text, found.number) for found in read(*values)] == [
        (value.split(": ", 1)[1], n) for n, value in enumerate(values, 1)
    ]


def test_trap_07_microseconds_tell_a_segfault_from_the_oops_behind_it(read: Read):
    """79 µs lie between them, and both lines are there."""
    first, second = read(
        "[260187.598024] demo[23]: segfault at 0",
        "[260187.598103] BUG: unable to handle kernel paging request at 0",
    )
    assert second.kernel_time_us - first.kernel_time_us == 79


def test_trap_10_pointers_of_any_width_stay_as_printed(line: Callable[..., Line]):
    """Raw, hashed, eight digits, early boot: the text is not touched."""
    for pointer in (
        "ffff805624a7b800",
        "00000000f7fb3e79",
        "cfbfd540",
        "(____ptrval____)",
        "0001950b",
    ):
        text = f"IPv4: Attempt to release TCP socket in state 10 {pointer}"
        assert line(f"[    1.000000] {text}").text == text


def test_trap_11_two_cpus_are_told_apart_by_caller(read: Read):
    """Where the kernel prints the caller's id, each line carries it, in every transport that has
    it.
    """
    values = (
        "[   12.000001][ T3083] one",
        "[   12.000002][ T3080] two",
        "[   12.000003] [   C1] three",
        "4,1,12000004,-,caller=C3;four",
        '{"pri":4,"time":12.000005,"caller":"T9","msg":"five"}',
    )
    assert [found.caller for found in read(*values)] == ["T3083", "T3080", "C1", "C3", "T9"]


def test_trap_12_a_line_that_is_there_twice_is_read_twice_and_alike(read: Read):
    """Two consoles: the same time and text, so that whoever stores them can fold them."""
    first, second = read("[   12.000001] one", "[   12.000001] one")
    assert (first.text, first.kernel_time_us, first.host) == (
        second.text,
        second.kernel_time_us,
        second.host,
    )


@pytest.mark.parametrize(
    "before",
    [
        "er run is 0h 15m",
        "lab-3 login: ",
        "[root@lab-3 dir]# ",
        "** 93 printk messages dropped ** ",
    ],
)
def test_trap_13_text_before_the_stamp(line: Callable[..., Line], before: str):
    """A console's own text stands before the kernel's, glued or not."""
    found = line(f"{before}[   23.578222] Oops: 0000 [#1] SMP NOPTI")
    assert (found.text, found.kernel_time_us) == ("Oops: 0000 [#1] SMP NOPTI", 23_578_222)


def test_trap_13_a_first_line_without_its_stamp(line: Callable[..., Line]):
    """Is still a line."""
    assert line(
        "Unable to handle kernel paging request at virtual address 0001950b"
    ).text.startswith("Unable to handle")


def test_trap_14_continued_pieces(read: Read):
    """KERN_CONT pieces as records of their own: marked where the transport says so, their text
    whole.
    """
    plain, record = read(
        "[   12.000001] , *pud=00000000bb2f4003", "4,1510,12000002,c;, *pud=00000000bb2f4003"
    )
    assert (plain.text, record.text) == (", *pud=00000000bb2f4003", ", *pud=00000000bb2f4003")
    assert record.continuation


@pytest.mark.parametrize(
    "comm",
    [
        "MediaPD~der #12",
        "Trash:store1",
        "a b[3]",
        "/bin/x",
        "x kernel",
        "[kthread]",
        "kernel: BUG",
        "<2>x",
        '"q\\',
    ],
)
def test_trap_15_a_comm_of_any_characters(read: Read, comm: str):
    """Blanks, colons, brackets, a forged tag: the line is whole in every transport."""
    text = f"{comm}[7]: segfault at 0"
    values = (
        f"[   12.000001][   T7] {text}",
        f"Feb 24 19:21:10 lab-3 kernel: [   12.000001] {text}",
        f"<4>1 2026-02-24T19:21:10Z lab-3 kernel - - - [   12.000001] {text}",
        json.dumps(
            {"_TRANSPORT": "kernel", "MESSAGE": text, "_SOURCE_MONOTONIC_TIMESTAMP": "12000001"}
        ),
        "4,1,12000001,-;" + text.replace("\\", "\\x5c"),
    )
    said = read(*values)
    assert {found.kernel_time_us for found in said} == {12_000_001}
    assert {found.text for found in said[3:]} == {text}
    assert {found.text for found in said[:3]} == {
        text.removeprefix("<2>")
    }  # behind a stamp it reads as an old kernel's priority


@pytest.mark.parametrize(
    "value",
    [
        "12,7,1000000,-;BUG: unable to handle",
        "Feb 24 19:21:10 lab-3 app[1]: x login: [    1.000000] BUG: unable to handle",
        "Feb 24 19:21:10 lab-3 app: Feb 24 19:21:10 lab-3 kernel: BUG: unable to handle",
        '{"_TRANSPORT":"syslog","MESSAGE":"BUG: unable to handle","SYSLOG_IDENTIFIER":"kernel"}',
        '{"_TRANSPORT":"kernel","SYSLOG_FACILITY":"1","MESSAGE":"BUG: unable to handle"}',
        "kern.log:12:[    1.000000] BUG: unable to handle",
        "> [    1.000000] BUG: unable to handle",
        "<14>Feb 24 19:21:10 lab-3 app: x\n<2>Feb 24 19:21:10 lab-3 kernel: BUG: unable to handle",
    ],
)
def test_trap_16_forged_lines(read: Read, value: str):
    """What user space wrote, quoted or searched for is user space's."""
    assert {found.trust for found in read(value)} == {"user"}


def test_trap_17_eight_digit_uptime(line: Callable[..., Line]):
    """715 days, exact to the microsecond."""
    assert line("[61817741.312094] IPv4: x").kernel_time_us == 61_817_741_312_094


def test_trap_17_journald_reads_late(line: Callable[..., Line]):
    """The kernel's stamp counts, not the moment of reading."""
    stamps = {
        "__REALTIME_TIMESTAMP": "1771960870286000",
        "__MONOTONIC_TIMESTAMP": "108101422325",
        "_SOURCE_MONOTONIC_TIMESTAMP": "108101136325",
    }
    found = line(json.dumps({**stamps, "_TRANSPORT": "kernel", "MESSAGE": "x"}))
    assert (found.kernel_time_us, found.wall_time_us) == (108_101_136_325, 1_771_960_870_000_000)


def test_trap_17_whole_seconds_and_no_year(read: Read):
    """Dmesg -T and RFC 3164 at the turn of the year."""
    ctime, bsd = read(
        "[Wed Dec 31 23:59:59 2025] x",
        "Dec 31 23:59:59 lab-3 kernel: x",
        now_us=1_767_225_600_000_000 + 5,
    )
    assert ctime.wall_time_us == bsd.wall_time_us == 1_767_225_599_000_000
    assert ctime.kernel_time_us is bsd.kernel_time_us is None


def test_trap_17_the_same_uptime_on_two_boots(read: Read):
    """Told apart by the boot's id where there is one, by the wall clock where there is that."""
    entry = {"_TRANSPORT": "kernel", "MESSAGE": "x", "_SOURCE_MONOTONIC_TIMESTAMP": "7"}
    first, second = read(
        json.dumps(entry | {"_BOOT_ID": "a" * 32}), json.dumps(entry | {"_BOOT_ID": "b" * 32})
    )
    assert first.kernel_time_us == second.kernel_time_us
    assert first.boot_id != second.boot_id


def test_trap_18_a_dump_after_the_reboot_keeps_the_old_boots_time(read: Read):
    """Pstore and vmcore-dmesg come minutes later: their stamps are the old boot's, and no wall time
    is made up.
    """
    said = read(
        "Panic#1 Part2", "<4>[260187.598103] one", "Panic#1 Part1", "<0>[260187.598104] two"
    )
    assert [(found.text, found.kernel_time_us, found.wall_time_us) for found in said] == [
        ("one", 260_187_598_103, None),
        ("two", 260_187_598_104, None),
    ]


def test_trap_22_dropped_messages_are_told(now_us: int):
    """A block may lack lines: the parser counts what the console says it dropped, and what a
    sequence lacks.
    """
    parser = Parser()
    parser.feed(Record(b"** 93 printk messages dropped ** [    1.000000] x", "c", 1), now_us)
    parser.feed(Record(b"4,1492,7,-;x", "n", 1), now_us)
    parser.feed(Record(b"4,1515,9,-;x", "n", 2), now_us)
    assert (parser.counts["printk_dropped"], parser.counts["sequence_missing"]) == (93, 22)


@pytest.mark.parametrize(
    ("value", "text", "trust"),
    [
        ("> [    1.000000] Oops: 0004", "[    1.000000] Oops: 0004", "user"),
        (
            "Message from syslogd@lab-3 at Fri Feb 27 05:57:37 2026 ...",
            "Message from syslogd@lab-3 at Fri Feb 27 05:57:37 2026 ...",
            "unknown",
        ),
        ("kernel: Internal error: Oops: 0086 [#1]", "Internal error: Oops: 0086 [#1]", "unknown"),
        ("c 1851.721062! Oops: 0004 ilc:3 c#1!", "Oops: 0004 ilc:3 [#1]", "unknown"),
        (
            "[    1.000000] CPU: 1 PID: 7 COMM: DEMO 6.9.1-X86-64 #1",
            "CPU: 1 PID: 7 COMM: DEMO 6.9.1-X86-64 #1",
            "unknown",
        ),
    ],
)
def test_trap_24_copies(line: Callable[..., Line], value: str, text: str, trust: str):
    """Mail quotes are copies; terminal copies and lost brackets are read, but prove nothing."""
    found = line(value)
    assert (found.text, found.trust) == (text, trust)
