"""Frames in all their forms."""

from __future__ import annotations

import pytest

from detector.crash.frames import frames_of
from detector.model import Frame


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        (
            " [<ffffffff8118a655>] ? fput+0x25/0x30",
            Frame("fput", 0x25, 0x30, None, 0xFFFFFFFF8118A655, reliable=False),
        ),
        (" ? fput+0x25/0x30", Frame("fput", 0x25, 0x30, reliable=False)),
        (" frob_rx.isra.7+0x1/0x2 [frob]", Frame("frob_rx.isra.7", 1, 2, "frob")),
        ("  frob_rx+0x1/0x2 [frob 0c5e3a5c1f5b2c0d]", Frame("frob_rx", 1, 2, "frob")),
        (" frob_rx+0x1/0x2 (P)", Frame("frob_rx", 1, 2)),
        (
            "  <IRQ>  [<ffffffff816a1d2e>] dump_stack+0x19/0x1b",
            Frame("dump_stack", 0x19, 0x1B, None, 0xFFFFFFFF816A1D2E),
        ),
        (
            "[c000000010f930b0] [c000000008068df8] .eeh_dev+0x278/0x390 (unreliable)",
            Frame("eeh_dev", 0x278, 0x390, None, 0xC000000008068DF8, reliable=False),
        ),
        (
            "([<00000000a2a60888>] aead_recvmsg+0x478/0x698)",
            Frame("aead_recvmsg", 0x478, 0x698, None, 0xA2A60888),
        ),
        (" do_bad_area arch/arm64/mm/fault.c:479 [inline]", Frame("do_bad_area", inlined=True)),
        (" tcp_v4_rcv (net/ipv4/tcp_ipv4.c:2204 (discriminator 1)) ", Frame("tcp_v4_rcv")),
    ],
)
def test_one_frame(text: str, frame: Frame) -> None:
    """Address, name, offset, size, module, doubt and inlining are read."""
    assert list(frames_of(text)) == [frame]


def test_arm_names_two() -> None:
    """`x from y` names a function and its caller."""
    found = frames_of("[<801559ec>] (set_task_cpu) from [<80155eb8>] (try_to_wake_up+0x164/0x3a4)")
    assert list(found) == [
        Frame("set_task_cpu", address=0x801559EC),
        Frame("try_to_wake_up", 0x164, 0x3A4),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Code: 48 8b <48> 8b",
        "x29: ffff800011d5bd70",
        "Call trace:",
        "f9c0: 0000000000000000 ffff000008f21b80",
        "RSP: 0018:ffff",
    ],
)
def test_no_frame(text: str) -> None:
    """Registers, dumps and heads are no frames."""
    assert not frames_of(text)
