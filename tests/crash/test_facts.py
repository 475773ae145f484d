"""Facts of single lines that need no block around them."""

from __future__ import annotations

import time

import pytest

from detector.crash.facts import facts


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("Unhandled fault: page domain fault (0x01b) at 0x00000010", 0x10),
        ("Unhandled prefetch abort: breakpoint debug exception (0x222) at 0x8000f1e0", 0x8000F1E0),
        ("Unhandled fault: external abort on non-linefetch (0x1008) at 0xfa0ab060", 0xFA0AB060),
    ],
)
def test_the_address_of_an_abort_that_arm32_does_not_handle(line: str, address: int) -> None:
    """arch/arm/mm/fault.c do_DataAbort and do_PrefetchAbort name status and address on their
    line.
    """
    assert facts([line]).fault_address == address


@pytest.mark.parametrize(
    ("line", "kernel", "tainted", "comm"),
    [
        (
            "CPU: 5 PID: 817 Comm: frobd Tainted: G           OE  ------------ T 4.14.9-frob #1",
            "4.14.9-frob",
            "GOET",
            "frobd",
        ),
        (
            (
                "Pid: 84, comm: frobd Tainted: G           --L------------    "
                "2.6.32-642.el6.x86_64 #1 Acme R7/0WC"
            ),
            "2.6.32-642.el6.x86_64",
            "GL",
            "frobd",
        ),
        (
            "CPU: 1 PID: 9 Comm: frob d Not tainted ------------   3.10.0-957.el7.ppc64 #1",
            "3.10.0-957.el7.ppc64",
            "",
            "frob d",
        ),
        (
            (
                "CPU: 1 PID: 9 Comm: frobd Kdump: loaded Tainted: G        W        --------- -t - "
                "4.18.0-9.el8 #1"
            ),
            "4.18.0-9.el8",
            "GW",
            "frobd",
        ),
    ],
)
def test_red_hats_taint_flags(line: str, kernel: str, tainted: str, comm: str) -> None:
    """Letters and dashes stand mixed between the process and the release."""
    said = facts([line])
    assert (said.kernel, said.tainted, said.comm) == (kernel, tainted, comm)


def test_hardware_behind_the_release() -> None:
    """x86 to 3.8 printed vendor and product in the line of the process (show_regs_common)."""
    said = facts(["Pid: 8, comm: a Not tainted 2.6.32-431.el6.x86_64 #1 Acme Server R7/0WC"])
    assert (said.kernel, said.hardware) == ("2.6.32-431.el6.x86_64", "Acme Server R7/0WC")


def test_debians_package() -> None:
    """Debian's release names no patch level; its package does."""
    said = facts(["CPU: 1 PID: 9 Comm: a Not tainted 6.1.0-28-amd64 #1  Debian 6.1.119-1"])
    assert (said.kernel, said.package) == ("6.1.0-28-amd64", "Debian 6.1.119-1")


def test_a_line_end_in_a_process_name() -> None:
    """prctl(PR_SET_NAME) takes any byte, and printk prints it."""
    said = facts(["CPU: 1 PID: 9 Comm: two", "lines Not tainted 6.6.0 #1"])
    assert (said.comm, said.kernel, said.pid) == ("two\nlines", "6.6.0", 9)


def test_many_blanks_take_no_time() -> None:
    """A long line of blanks behind the taint is read in one pass."""
    begun = time.perf_counter()
    facts(["CPU: 1 PID: 9 Comm: a Tainted: G" + " " * 280 + "x"] * 200)
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize(
    ("line", "kernel", "comm", "pid"),
    [
        ("Not tainted 5.15.0-91-generic #101-Ubuntu", "5.15.0-91-generic", None, None),
        ("3.0.0-rc2 #9", "3.0.0-rc2", None, None),
        (
            "PID: 4410 Comm: frob d Not tainted 5.4.0-26-generic #30",
            "5.4.0-26-generic",
            "frob d",
            4410,
        ),
        ("1 PID: 4410 Comm: frobd Tainted: G           O 6.6.0 #1", "6.6.0", "frobd", 4410),
        (
            "4410 Comm: frobd Not tainted 5.3.6-300.fc31.x86_64 #1",
            "5.3.6-300.fc31.x86_64",
            "frobd",
            None,
        ),
        ("id: 4410, comm: frobd Not tainted 3.4.0+ #288", "3.4.0+", "frobd", 4410),
        (
            "CPU: 0 PID: p Comm: frob/u2:0Tainted: G        W        5.18.0-rc7 #5",
            "5.18.0-rc7",
            "frob/u2:0",
            None,
        ),
        ("Copyright (C) 2.4.1 #9 of them", None, None, None),
    ],
)
def test_lines_that_lost_their_front(
    line: str, kernel: str | None, comm: str | None, pid: int | None
) -> None:
    """A paste without indentation, lockdep to 3.1, and a line that was cut at its front."""
    read = facts([line])
    assert (read.kernel, read.comm, read.pid) == (kernel, comm, pid)
