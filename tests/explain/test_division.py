"""What a divide error's registers prove, and where they prove nothing."""

from __future__ import annotations

import pytest

from detector.explain.kinds.traps import explain_divide
from detector.model import CrashReport

FIT = "[likely] The registers shown do not explain the trap"
LARGE = "[certain] The quotient did not fit"
ZERO = "[certain] The kernel divided by zero"


@pytest.mark.parametrize(
    ("instruction", "registers", "said"),
    [
        ("div rcx", {"rdx": 0, "rax": 0xA, "rcx": 2}, FIT),
        ("div rcx", {"rdx": 1, "rax": 0xA, "rcx": 2}, FIT),
        ("div rcx", {"rdx": 2, "rax": 0, "rcx": 2}, LARGE),
        ("div rcx", {"rdx": 2, "rax": 0, "rcx": 0}, ZERO),
        ("div rcx", {"rcx": 2}, LARGE),
        ("div ecx", {"rdx": 1 << 32 | 1, "rax": 0xA, "rcx": 2}, FIT),
        ("div ecx", {"rdx": 2, "rax": 0xA, "rcx": 7 << 32 | 2}, LARGE),
        ("div r9d", {"rdx": 2, "rax": 0xA, "r9": 0}, ZERO),
        ("div ebx", {"edx": 2, "eax": 0, "ebx": 2}, LARGE),
        ("div cx", {"rdx": 1, "rax": 0, "rcx": 0x1_0001}, LARGE),
        ("div cl", {"rax": 0x0200, "rcx": 2}, LARGE),
        ("div cl", {"rax": 0x01FF, "rcx": 2}, FIT),
        ("div ch", {"rax": 0x01FF, "rcx": 0x02}, ZERO),
        ("div sil", {"rax": 0x01FF, "rsi": 2}, FIT),
        ("idiv rcx", {"rdx": (1 << 64) - 1, "rax": 1 << 63, "rcx": (1 << 64) - 1}, LARGE),
        ("idiv rcx", {"rdx": (1 << 64) - 1, "rax": 1 << 63, "rcx": 1}, FIT),
        ("idiv ecx", {"rdx": 0, "rax": 1 << 31, "rcx": 1}, LARGE),
        ("idiv ecx", {"rdx": 0xFFFF_FFFF, "rax": 0xFFFF_FFF6, "rcx": 2}, FIT),
        ("idiv cl", {"rax": 0xFF80, "rcx": 0xFF}, LARGE),
        ("mov rax, rcx", {"rcx": 0}, "[likely] The kernel divided by zero"),
        ("div dword ptr [rcx]", {"rdx": 0, "rax": 0, "rcx": 2}, ZERO),
    ],
)
def test_what_the_registers_prove(instruction, registers, said):
    """A quotient that fits raises no trap: the registers are then not those of the trap."""
    report = CrashReport(kind="divide-error", instruction=instruction, registers=registers)
    (found,) = explain_divide(report, ())
    assert f"[{found.confidence}] {found.text}".startswith(said)
