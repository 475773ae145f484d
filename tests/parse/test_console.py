"""Consoles, terminals, mails and what is no text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from detector.model import Line, Record, Unparsed
from detector.parse import Parser


@pytest.mark.parametrize(
    "before",
    [
        "lab-3 login: ",
        "[root@lab-3 dir]# ",
        "root@lab-3:~# ",
        "# ",
        "** 93 printk messages dropped ** ",
        "er run is 0h 15m",
        "[....] Starting enhanced syslogd: rsyslogd",
        "Starting sshd: ",
        "[  OK  ] ",
        "Message from sy",
    ],
)
def test_a_console_mixes_its_own_text_in(line: Callable[..., Line], before: str):
    """The stamp begins the kernel's line, whatever stood there before."""
    found = line(f"{before}[   23.578222] Oops: 0000 [#1] SMP")
    assert (found.text, found.kernel_time_us, found.transport, found.trust) == (
        "Oops: 0000 [#1] SMP",
        23_578_222,
        "console",
        "unknown",
    )


@pytest.mark.parametrize(
    "value",
    [
        "> [   23.578222] Oops: 0000 [#1] SMP",
        ">> > [   23.578222] Oops: 0000 [#1] SMP",
        "kern.log:[   23.578222] Oops: 0000 [#1] SMP",
        "./logs/kern.log:17:[   23.578222] Oops: 0000 [#1] SMP",
        'text: "[   23.578222] Oops: 0000 [#1] SMP"',
        "printed `[   23.578222] Oops: 0000 [#1] SMP`",
        "10:00:00.123 INFO app login: [   23.578222] Oops: 0000 [#1] SMP",
        "worker 10:00:00 got[   23.578222] Oops: 0000 [#1] SMP",
    ],
)
def test_copies_are_not_the_kernels(line: Callable[..., Line], value: str):
    """Mail quotes, search output, quotations, logs of programs: somebody wrote the line down
    again.
    """
    found = line(value)
    assert (found.trust, found.kernel_time_us) == ("user", None)
    assert not found.text.startswith("Oops")


def test_words_before_a_stamp_that_no_console_prints(line: Callable[..., Line]):
    """Prose with a stamp in it stays whole, so nothing anchored at the start finds it."""
    found = line("we saw [   23.578222] Oops: 0000")
    assert (found.text, found.kernel_time_us) == ("we saw [   23.578222] Oops: 0000", None)


def test_a_login_prompt_before_bare_text(line: Callable[..., Line]):
    """Consoles without stamps."""
    assert (
        line("lab-3 login: Unable to handle kernel paging request").text
        == "Unable to handle kernel paging request"
    )


def test_dropped_messages_are_counted(now_us: int):
    """And the notice alone is a line of its own."""
    parser = Parser()
    said = parser.feed(
        Record(
            (
                b"** 93 printk messages dropped ** [    1.000000] x\n** replaying previous "
                b"printk message **"
            ),
            "c",
            1,
        ),
        now_us,
    )
    assert [found.text for found in said] == ["x", "** replaying previous printk message **"]
    assert parser.counts["printk_dropped"] == 93


def test_terminal_controls_are_taken_out(line: Callable[..., Line]):
    """Colours, NULs, carriage returns, blanks on the right."""
    value = b"\x1b[33m[    1.000000] \x1b[0m\x1b[1m\0BUG:\x1b[0m bad \x1b]0;title\x07page   \r\n"
    assert line(value).text == "BUG: bad page"


def test_bare_text(line: Callable[..., Line]):
    """No stamp, no host, no trust; a paste's indentation goes."""
    found = line("   Unable to handle kernel paging request  ")
    assert (found.text, found.transport, found.trust, found.kernel_time_us, found.wall_time_us) == (
        "Unable to handle kernel paging request", "text", "unknown", None, None,
    )  # fmt: skip


def test_marks_of_the_kernel_are_no_quotes(line: Callable[..., Line]):
    """KASAN points at a line with `>`; GHES lines begin with a brace."""
    assert line(">ffff888012acf580: fb fb fb").trust == "unknown"
    assert (
        line("{1}[Hardware Error]: event severity: fatal").text
        == "{1}[Hardware Error]: event severity: fatal"
    )


def test_a_picture_is_not_text(read: Callable[..., list[Unparsed]]):
    """Binary lines are counted with a sample, not taken for messages."""
    said = read(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x00\x01\x02\x03\x04\x05\x06")
    assert {found.reason for found in said} == {"not-text"}
    assert said[0].sample.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "value",
    [
        "{bom}[   23.578222] Oops: 0000 [#1] SMP",
        "{bom}{bom}[   23.578222] Oops: 0000 [#1] SMP",
        "\0{bom}\0[   23.578222] Oops: 0000 [#1] SMP",
        "\x1b[0m{bom}[   23.578222] Oops: 0000 [#1] SMP",
        "{bom}<4>[   23.578222] Oops: 0000 [#1] SMP",
        "{bom}4,12,23578222,-;Oops: 0000 [#1] SMP",
        "{bom}Feb 24 19:21:10 lab-3 kernel: [   23.578222] Oops: 0000 [#1] SMP",
        "Feb 24 19:21:10 lab-3 kernel: {bom}[   23.578222] Oops: 0000 [#1] SMP",
        "<4>1 2026-02-24T19:21:10Z lab-3 kernel - - - {bom}[   23.578222] Oops: 0000 [#1] SMP",
        '{bom}{{"message":"[   23.578222] Oops: 0000 [#1] SMP","host":"lab-3"}}',
        '{{"message":"{bom}[   23.578222] Oops: 0000 [#1] SMP","host":"lab-3"}}',
        '{{"message":"\\ufeff[   23.578222] Oops: 0000 [#1] SMP","host":"lab-3"}}',
    ],
)
def test_a_byte_order_mark_hides_nothing(line: Callable[..., Line], value: str):
    """At the start of a file or of any line: editors, and files that were put together."""
    found = line(value.format(bom="\ufeff"))
    assert (found.text, found.kernel_time_us) == ("Oops: 0000 [#1] SMP", 23_578_222)


def test_a_byte_order_mark_inside_a_record_hides_nothing(read: Callable[..., list[Line]]):
    """A record of many lines, of files that were put together."""
    marked = "\ufeff[    1.000000] eth0: up\n"
    assert [found.text for found in read(marked * 2)] == ["eth0: up"] * 2


def test_a_record_of_many_unread_parts_is_counted_once(read: Callable[..., list[Unparsed]]):
    """Counts are of records: "3,500 selected records not read" of one would be wrong."""
    noise = b"\x89\x01\x02\x03\x04\x05\x06\x07\x80\n" * 50
    said = read(noise, noise)
    assert [(found.reason, found.number) for found in said] == [("not-text", 1), ("not-text", 2)]
    said = read(b'[{"a":1},{"b":2},7]')
    assert len(said) == 1


def test_broken_utf8_in_a_message(line: Callable[..., Line]):
    """A comm of any bytes does not cost the line."""
    found = line(b"[    1.000000] caf\xe9\xff[7]: segfault at 0")
    assert found.text.startswith("caf\ufffd")
    assert found.kernel_time_us == 1_000_000
