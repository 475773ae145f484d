"""What stands before the kernel's text: dmesg's forms and vendors' additions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.model import Line
from detector.parse import printk
from detector.parse.draft import Context

WALL_US = int(datetime(2026, 2, 24, 19, 21, 10, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("value", "text", "kernel_time_us", "caller"),
    [
        ("[    3.000001] eth9: up", "eth9: up", 3_000_001, None),
        ("[61817741.312094] eth9: up", "eth9: up", 61_817_741_312_094, None),
        ("[ 1.0] eth9: up", "eth9: up", 1_000_000, None),
        ("[    3.000001][  T412] eth9: up", "eth9: up", 3_000_001, "T412"),
        ("[    3.000001] [   T0] eth9: up", "eth9: up", 3_000_001, "T0"),
        ("[    3.000001][    C3]   ESR = 0x1", "  ESR = 0x1", 3_000_001, "C3"),
        ("[    3.000001][    C3]", "", 3_000_001, "C3"),
        ("[    3.000001]", "", 3_000_001, None),
        ("[    3.000001 <    0.000012>] eth9: up", "eth9: up", 3_000_001, None),
        ("[    3.000001] <4>eth9: up", "eth9: up", 3_000_001, None),
        ("[  119.156884@1] demo[7]: up", "demo[7]: up", 119_156_884, None),
        ("[    3.000001] I[2:  kworker/u16:3: 2077] eth9: up", "eth9: up", 3_000_001, None),
        (
            "[    3.000001] [2031:07:04 16:55:26][pid:77,cpu1,loadgen]demo[7]: up",
            "demo[7]: up",
            3_000_001,
            None,
        ),
        ("[    3.000001] (0)[77:loadgen]eth9: up", "eth9: up", 3_000_001, None),
        ("  [ 2269s] [    3.000001][ T8318] eth9: up", "eth9: up", 3_000_001, "T8318"),
        ("    [    3.000001] eth9: up", "eth9: up", 3_000_001, None),
        ("[    3.000001] [<c0026fe0>] (show_stack)", "[<c0026fe0>] (show_stack)", 3_000_001, None),
        ("[    3.000001] [0000000000000018] *pgd=0", "[0000000000000018] *pgd=0", 3_000_001, None),
    ],
)
def test_a_stamp_is_cut_off_exactly(
    line: Callable[..., Line], value: str, text: str, kernel_time_us: int, caller: str | None
):
    """One separating blank goes with the stamp; what the kernel indented stays indented."""
    found = line(value)
    assert (found.text, found.kernel_time_us, found.caller) == (text, kernel_time_us, caller)
    assert (found.transport, found.trust, found.wall_time_us) == ("dmesg", "unknown", None)


@pytest.mark.parametrize(
    ("value", "wall_time_us"),
    [
        ("[Tue Feb 24 19:21:10 2026] eth9: up", WALL_US),
        ("[Tue Feb 24 19:21:10 2026 <    0.000012>] eth9: up", WALL_US),
        ("[mar. févr. 24 19:21:10 2026] eth9: up", WALL_US),
        ("[mar. 24 févr. 2026 19:21:10] eth9: up", None),
        ("2026-02-24T19:21:10,000012+00:00 eth9: up", WALL_US + 12),
        ("[Feb24 19:21] eth9: up", WALL_US - 10_000_000),
        ("[Feb24 19:21 +10.000012] eth9: up", WALL_US + 12),
        ("[  +0.000012] eth9: up", None),
        ("[<    0.000012>] eth9: up", None),
    ],
)
def test_dmesg_with_other_clocks(line: Callable[..., Line], value: str, wall_time_us: int | None):
    """-T, iso, -e and -d: a date that cannot be read leaves the time open, the text is read all the
    same.
    """
    found = line(value)
    assert (found.text, found.kernel_time_us, found.wall_time_us, found.transport) == (
        "eth9: up",
        None,
        wall_time_us,
        "dmesg",
    )


@pytest.mark.parametrize(
    ("value", "level", "facility", "trust"),
    [
        ("kern  :warn  : [    3.000001] eth9: up", 4, 0, "kernel"),
        ("user  :notice: [    3.000001] eth9: up", 5, 1, "user"),
        ("daemon:info  : [    3.000001] eth9: up", 6, 3, "user"),
        ("<4>[    3.000001] eth9: up", 4, 0, "kernel"),
        ("<12>[    3.000001] [   T7] eth9: up", 4, 1, "user"),
        ("<30>[    3.000001] eth9: up", 6, 3, "user"),
    ],
)
def test_a_facility_says_who_wrote_the_line(
    line: Callable[..., Line], value: str, level: int, facility: int, trust: str
):
    """Dmesg -x and -r tell the kernel's lines from those that user space wrote to /dev/kmsg."""
    found = line(value)
    assert (found.text, found.kernel_time_us, found.level, found.facility, found.trust) == (
        "eth9: up",
        3_000_001,
        level,
        facility,
        trust,
    )


def test_an_old_priority_alone(line: Callable[..., Line]):
    """Kernels without stamps: `<7>` is glued to the text."""
    found = line("<7>eth9: up")
    assert (found.text, found.level, found.facility, found.trust, found.kernel_time_us) == (
        "eth9: up",
        7,
        0,
        "kernel",
        None,
    )


def test_short_monotonic_proves_nothing(line: Callable[..., Line]):
    """`host kernel:` behind an uptime is journalctl's, or a process's that writes so to /dev/kmsg:
    the trust stays open.
    """
    found = line("[    3.000001] lab-3 kernel:   ESR = 0x1")
    assert (found.text, found.host, found.kernel_time_us, found.trust) == (
        "  ESR = 0x1",
        "lab-3",
        3_000_001,
        "unknown",
    )


def test_lost_brackets_are_put_back(line: Callable[..., Line]):
    """A 3270 console: `c` for `[`, `!` for `]`."""
    found = line("c 1851.721062! Oops: 0004 ilc:3 c#1! SMP")
    assert (found.text, found.kernel_time_us, found.transport) == (
        "Oops: 0004 ilc:3 [#1] SMP",
        1_851_721_062,
        "console",
    )


def test_glued_lines_come_apart(read: Callable[..., list[Line]]):
    """Two CPUs on one console: the second line keeps its own time. A quotation in a message is not
    taken apart.
    """
    first, second = read("[    3.000001] eth9: link[    3.000109] BUG: sleeping function")
    assert (first.text, first.kernel_time_us) == ("eth9: link", 3_000_001)
    assert (second.text, second.kernel_time_us) == ("BUG: sleeping function", 3_000_109)
    (quoted,) = read('[    3.000001] fs: bad label "[    3.000109] BUG: sleeping function"')
    assert quoted.text == 'fs: bad label "[    3.000109] BUG: sleeping function"'
    (far,) = read("[    3.000001] eth9: link[ 9003.000109] BUG: sleeping function")
    assert far.text.startswith("eth9: link[")


@given(
    st.integers(0, 10**9),
    st.integers(0, 999_999),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
)
def test_a_printed_stamp_is_read_back(seconds: int, micro: int, text: str):
    """The kernel's own format string, back and forth."""
    draft = printk.bracketed(f"[{seconds:5d}.{micro:06d}]  {text}", Context())
    assert draft is not None
    assert (draft.kernel_time_us, draft.text) == (seconds * 1_000_000 + micro, " " + text)
