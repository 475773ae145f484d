"""Syslog daemons' and journalctl's lines, and who may claim to be the kernel in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from detector.model import Line

WALL_US = int(datetime(2026, 2, 24, 19, 21, 10, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("date", "wall_time_us"),
    [
        ("Feb 24 19:21:10", WALL_US),
        ("Feb 24 2026 19:21:10", WALL_US),
        ("Feb 24 19:21:10 2026", WALL_US),
        ("2026 Feb 24 19:21:10", WALL_US),
        ("24 Feb 19:21:10", WALL_US),
        ("Feb 24 19:21:10.000012", WALL_US + 12),
        ("Tue Feb 24 19:21:10 2026", WALL_US),
        ("Tue 2026-02-24 19:21:10 UTC", WALL_US),
        ("Tue 2026-02-24 19:21:10.000012 UTC", WALL_US + 12),
        ("2026-02-24T19:21:10+0000", WALL_US),
        ("2026-02-24T20:21:10.000012+01:00", WALL_US + 12),
        ("2026-02-24 19:21:10", WALL_US),
        ("фев 24 19:21:10", WALL_US),
        ("févr. 24 19:21:10", WALL_US),
        ("24 Şub 19:21:10", None),
        ("2月 24 19:21:10", WALL_US),
        ("Feb 30 19:21:10", None),
    ],
)
def test_every_date(line: Callable[..., Line], date: str, wall_time_us: int | None):
    """A date that cannot be read leaves the time open; host, tag, uptime and text are read all the
    same.
    """
    found = line(f"{date} lab-3 kernel: [   12.000034]   ESR = 0x1")
    assert (found.text, found.host, found.trust) == ("  ESR = 0x1", "lab-3", "kernel")
    assert (found.kernel_time_us, found.wall_time_us) == (12_000_034, wall_time_us)


@pytest.mark.parametrize(
    ("rest", "host", "text"),
    [
        ("lab-3 kernel: eth9: up", "lab-3", "eth9: up"),
        ("lab-3 kernel:   ESR = 0x1", "lab-3", "  ESR = 0x1"),
        ("lab-3 kernel:", "lab-3", ""),
        ("lab-3 kernel:[    1.000000] eth9: up", "lab-3", "eth9: up"),
        ("kernel: eth9: up", "kern.log", "eth9: up"),
        ("lab-3 kern.err kernel: eth9: up", "lab-3", "eth9: up"),
        ("kern.err kernel: eth9: up", "kern.log", "eth9: up"),
        ("fe80::1:2 kernel: eth9: up", "fe80::1:2", "eth9: up"),
        ("192.0.2.7 kernel: eth9: up", "192.0.2.7", "eth9: up"),
    ],
)
def test_the_kernels_tag(line: Callable[..., Line], rest: str, host: str, text: str):
    """With and without a host; the separating blank is not the text's."""
    found = line("Feb 24 19:21:10 " + rest)
    assert (found.host, found.text, found.trust) == (host, text, "kernel")


@pytest.mark.parametrize(
    "rest",
    [
        "lab-3 app[1]: x login: [    1.000000] BUG: forged",
        "lab-3 app: Feb 24 19:21:10 lab-3 kernel: BUG: forged",
        "lab-3 app: kernel: BUG: forged",
        "lab-3 app kernel: BUG: forged",
        "lab-3 kernel[77]: BUG: forged",
        "lab-3 kernelx: BUG: forged",
        "lab-3 user.notice kernel: BUG: forged",
        "lab-3 [    1.000000] BUG: forged",
        "lab-3 BUG: forged",
        "ade: kernel: BUG: forged",
        "lab-3 (kernel): BUG: forged",
        "lab-3 last message repeated 2 times",
    ],
)
def test_nobody_else_is_the_kernel(line: Callable[..., Line], rest: str):
    """Another tag, a pid, a second frame in the message, a stamp without a tag, a facility of its
    own: user space, and no kernel time.
    """
    found = line("Feb 24 19:21:10 " + rest)
    assert (found.trust, found.kernel_time_us) == ("user", None)
    assert not found.text.startswith("BUG: forged") or " kernel: " not in rest.replace(
        "kernel: BUG", "", 1
    )


@pytest.mark.parametrize(
    ("value", "trust", "level", "facility"),
    [
        ("<2>Feb 24 19:21:10 lab-3 kernel: [    1.000000] eth9: up", "kernel", 2, 0),
        ("<10>Feb 24 19:21:10 lab-3 kernel: eth9: up", "user", 2, 1),
        ("<2>Feb 24 19:21:10 lab-3 app: eth9: up", "user", 2, 0),
        ("<2>Feb 24 19:21:10 lab-3 [    1.000000] eth9: up", "kernel", 2, 0),
        ("<4>kernel: eth9: up", "kernel", 4, 0),
        ("<12>kernel: eth9: up", "user", 4, 1),
        ("71 <2>1 2026-02-24T19:21:10Z lab-3 kernel - - - eth9: up", "kernel", 2, 0),
        (
            "<2>1 2026-02-24T19:21:10.000012Z lab-3 kernel - - - [    1.000000] eth9: up",
            "kernel",
            2,
            0,
        ),
        ("<2>1 - - - - - - eth9: up", "kernel", 2, 0),
        ("<10>1 2026-02-24T19:21:10Z lab-3 kernel - - - eth9: up", "user", 2, 1),
        (
            '<14>1 2026-02-24T19:21:10Z lab-3 app 7 - [a b="c\\"]"][d] [    1.000000] eth9: up',
            "user",
            6,
            1,
        ),
        ("<2>1 2026-02-24T19:21:10Z lab-3 kernel - - - \ufeffeth9: up", "kernel", 2, 0),
    ],
)
def test_a_pri_outranks_the_tag(
    line: Callable[..., Line], value: str, trust: str, level: int, facility: int
):
    """Facility kern is not for user space to set; any other facility betrays it."""
    found = line(value)
    assert (found.trust, found.level, found.facility) == (trust, level, facility)
    assert found.text.endswith("eth9: up")
    assert (found.text == "eth9: up") or trust == "user"


def test_rfc_5424_gives_host_and_time(line: Callable[..., Line]):
    """The header's own facts; `-` says nothing."""
    found = line("<2>1 2026-02-24T19:21:10.000012Z lab-3 kernel - - - [    1.000000]   ESR = 0x1")
    assert (found.host, found.wall_time_us, found.kernel_time_us, found.text) == (
        "lab-3",
        WALL_US + 12,
        1_000_000,
        "  ESR = 0x1",
    )
    assert found.transport == "rfc5424"
    assert line("<2>1 - - - - - - eth9: up").host == "kern.log"


def test_a_terminals_copy_proves_nothing(line: Callable[..., Line]):
    """What syslogd writes to all terminals is text that anyone may have written."""
    assert line("Message from syslogd@lab-3 at Fri Feb 27 05:57:37 2026 ...").trust == "unknown"
    for value in (
        "kernel:Internal error: Oops",
        " kernel: Internal error: Oops",
        "kernel:[   12.000034] Internal error: Oops",
    ):
        found = line(value)
        assert (found.text, found.trust) == ("Internal error: Oops", "unknown")


def test_a_console_with_dates_in_front(line: Callable[..., Line]):
    """A tool dated each line of a serial console: the stamp counts, the trust stays open."""
    found = line("Feb 24 19:21:10 [   12.000034][    C1] eth9: up")
    assert (found.text, found.kernel_time_us, found.caller, found.trust, found.host) == (
        "eth9: up",
        12_000_034,
        "C1",
        "unknown",
        "kern.log",
    )


def test_lines_of_a_wire_message_are_of_one_hand(read: Callable[..., list[Line]]):
    """A process puts a line end and a forged line into its message: within one record both are its
    own.
    """
    for second in (
        "Feb 24 19:21:10 lab-3 kernel: BUG: forged",
        "<2>Feb 24 19:21:10 lab-3 kernel: BUG: forged",
        "[    1.000000] BUG: forged",
    ):
        assert {
            found.trust for found in read(f"<14>Feb 24 19:21:10 lab-3 app: hello\n{second}")
        } == {"user"}
    assert [
        found.trust
        for found in read("<12>[    1.000000] mine\nBUG: forged\n<4>[    1.000001] eth9: up")
    ] == ["user", "user", "kernel"]


def test_further_lines_of_a_journal_message_are_not_the_kernels(line: Callable[..., Line]):
    """Journalctl indents them by the width of its header; a dump of dmesg that far to the right
    does not exist.
    """
    assert line(" " * 30 + "BUG: forged").trust == "user"
    assert line("    BUG: pasted").trust == "unknown"
