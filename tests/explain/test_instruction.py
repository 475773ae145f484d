from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.explain.decode.instruction import decode
from detector.explain.decode.machine import machine_of
from detector.explain.decode.operands import Operand, Term
from detector.model import CrashReport

TOP = 0xFFFF_0000_0000_0000


def decoded(arch, code, mark=None, **registers):
    """The marked instruction of a Code line."""
    report = CrashReport(
        "memory-fault", arch=arch, code=tuple(code.split()), code_mark=mark, registers=registers
    )
    machine = machine_of(report)
    assert machine is not None
    return decode(report, machine)


@pytest.mark.parametrize(
    ("code", "text", "registers", "address", "width"),
    [
        ("(f9401a63)", "ldr x3, [x19, #0x30]", {"x19": 0x194DB}, 0x1950B, 8),
        ("(f85f8020)", "ldur x0, [x1, #-8]", {"x1": 0}, (1 << 64) - 8, 8),
        ("(f8408c20)", "ldr x0, [x1, #8]!", {"x1": 0x1000}, 0x1008, 8),
        ("(f8408420)", "ldr x0, [x1], #8", {"x1": 0x1000}, 0x1000, 8),
        ("(a9410440)", "ldp x0, x1, [x2, #0x10]", {"x2": 0x20}, 0x30, 16),
        ("(a9bf7bfd)", "stp x29, x30, [sp, #-0x10]!", {"sp": TOP}, TOP - 16, 16),
        ("(f8627820)", "ldr x0, [x1, x2, lsl #3]", {"x1": 0x100, "x2": 3}, 0x118, 8),
        ("(b862d820)", "ldr w0, [x1, w2, sxtw #2]", {"x1": 0x1000, "x2": 0xFFFF_FFFF}, 0xFFC, 4),
        ("(b8625820)", "ldr w0, [x1, w2, uxtw #2]", {"x1": 0x1000, "x2": 0x1_0000_0001}, 0x1004, 4),
        ("(c85f7c20)", "ldxr x0, [x1]", {"x1": 0x58}, 0x58, 8),
        ("(885f7c01)", "ldxr w1, [x0]", {"x0": 0x24}, 0x24, 4),
        ("(c8027c20)", "stxr w2, x0, [x1]", {"x1": 0x58}, 0x58, 8),
        ("(f8200041)", "ldadd x0, x1, [x2]", {"x2": 0x58}, 0x58, 8),
        ("(c8a07c41)", "cas x0, x1, [x2]", {"x2": 0x58}, 0x58, 8),
        ("(58000040)", "ldr x0, #8", {}, 8, 8),
        ("(3d800020)", "str q0, [x1]", {"x1": 16}, 16, 16),
        ("(f94003c0)", "ldr x0, [x30]", {"lr": 0x99}, 0x99, 8),
        ("(39400000)", "ldrb w0, [x0]", {"x0": 5}, 5, 1),
    ],
)
def test_arm64_operands(code, text, registers, address, width):
    """Base, displacement, index, extension, writeback, pairs, exclusives, atomics, literals."""
    found = decoded("arm64", code, **registers)
    assert found.text == text
    assert (found.operands[0].address, found.operands[0].width) == (address, width)
    assert found.explaining(address) is not None


@pytest.mark.parametrize(
    ("code", "text", "registers", "address", "width"),
    [
        ("00 <48> 8b 43 30", "mov rax, qword ptr [rbx + 0x30]", {"rbx": 0x10}, 0x40, 8),
        (
            "<8b> 44 c8 10",
            "mov eax, dword ptr [rax + rcx*8 + 0x10]",
            {"rax": 0x1000, "rcx": 2},
            0x1020,
            4,
        ),
        (
            "<48> 8b 80 00 f0 ff ff",
            "mov rax, qword ptr [rax - 0x1000]",
            {"rax": 0x800},
            (1 << 64) - 0x800,
            8,
        ),
        (
            "<48> 8b 05 10 00 00 00",
            "mov rax, qword ptr [rip + 0x10]",
            {"rip": 0xFFFFFFFF81000000},
            0xFFFFFFFF81000017,
            8,
        ),
        (
            "<65> 48 8b 04 25 40 01 00 00",
            "mov rax, qword ptr gs:[0x140]",
            {"gs": 0xFFFF888237C00000},
            0xFFFF888237C00140,
            8,
        ),
        (
            "<65> 48 03 40 10",
            "add rax, qword ptr gs:[rax + 0x10]",
            {"rax": 0x20, "gs": 0xFFFF888237C00000},
            0xFFFF888237C00030,
            8,
        ),
        ("<67> 8b 00", "mov eax, dword ptr [eax]", {"rax": 0xFFFF_FFFF_0000_0058}, 0x58, 4),
        (
            "<f3> a4",
            "rep movsb byte ptr [rdi], byte ptr [rsi]",
            {"rdi": 0x99, "rsi": 0x10},
            0x99,
            1,
        ),
        ("<f0> 48 0f b1 1f", "lock cmpxchg qword ptr [rdi], rbx", {"rdi": 0x18}, 0x18, 8),
        ("<ff> 50 18", "call qword ptr [rax + 0x18]", {"rax": 0, "rsp": TOP}, 0x18, 8),
        ("<50>", "push rax", {"rsp": 0xFFFFC90000000000}, 0xFFFFC8FFFFFFFFF8, 8),
        ("<c9>", "leave", {"rbp": 0x77}, 0x77, 8),
        (
            "<a0> 00 00 00 00 00 fc ff df",
            "movabs al, byte ptr [0xdffffc0000000000]",
            {},
            0xDFFFFC0000000000,
            1,
        ),
        ("<48> 8b 87 90 09 00 00", "mov rax, qword ptr [rdi + 0x990]", {"rdi": 0}, 0x990, 8),
    ],
)
def test_x86_operands(code, text, registers, address, width):
    """Base, index and scale, rip, segment bases, implicit stack, absolute addresses, sign and
    wrap.
    """
    found = decoded("x86_64", code, **registers)
    assert found.text == text
    assert (found.operands[0].address, found.operands[0].width) == (address, width)


def test_i386_wraps_at_32_bits():
    """`mov eax, [ecx - 4]` of 0 is the top of 32 bits."""
    found = decoded("i386", "<8b> 41 fc", ecx=0)
    assert (found.text, found.operands[0].address) == ("mov eax, dword ptr [ecx - 4]", 0xFFFF_FFFC)


@pytest.mark.parametrize(
    ("code", "registers", "address"),
    [
        ("(e5990000)", {"r9": 0x1C}, 0x1C),  # ldr r0, [r9]
        ("(e79a0009)", {"r9": 1, "r10": 0x1C}, 0x1D),  # ldr r0, [r10, r9]
        ("(e5834008)", {"r3": 0}, 8),  # str r4, [r3, #8]
        ("(e7910102)", {"r1": 0x100, "r2": 2}, 0x108),  # ldr r0, [r1, r2, lsl #2]
        ("(e4910004)", {"r1": 0x100}, 0x100),  # ldr r0, [r1], #4
        ("(6813) 4770", {"r2": 0x20}, 0x20),  # ldr r3, [r2], Thumb
        ("(e8910006)", {"r1": 0x40}, 0x40),  # ldm r1, {r1, r2}
        ("(e92d4010)", {"sp": 0x1000}, 0xFF8),  # push {r4, lr}
        ("(e59b0004)", {"fp": 0x10}, 0x14),  # ldr r0, [fp, #4]
    ],
)
def test_arm_operands(code, registers, address):
    """32-bit arm and Thumb: offsets, shifted index, post-index, blocks."""
    assert decoded("arm", code, **registers).operands[0].address == address


@pytest.mark.parametrize("code", ["(f8000000)", "(d50b7420)"])
def test_cache_lines_and_stores(code):
    """A store to x0, and `dc zva, x0`, which touches the whole line around it."""
    found = decoded("arm64", code, x0=0x1234)
    assert found.explaining(0x1234)
    assert bool(found.explaining(0x1200)) == ("zva" in found.text)


def test_what_touches_no_memory_has_no_operand():
    """lea, nop with an operand, prefetch, ud2, brk, prfm."""
    for code in ("<48> 8d 40 10", "<66> 0f 1f 44 00 00", "<0f> 18 08", "<0f> 0b"):
        assert decoded("x86_64", code, rax=0).operands == ()
    for code in ("(d4210000)", "(f9800020)"):
        assert decoded("arm64", code, x1=0).operands == ()


def test_a_missing_register_leaves_the_address_open():
    """Where the report does not print the base, nothing is explained."""
    found = decoded("arm64", "(f9401a63)")
    assert found.operands[0].address is None
    assert found.explaining(0x30) is None
    assert "x19 = ?" in found.operands[0].arithmetic()


@pytest.mark.parametrize(
    ("arch", "code", "mark"),
    [
        ("x86_64", "Bad RIP value.", None),
        ("arm64", "bad PC value", None),
        ("x86_64", "48 8b 43 30", None),  # nothing marked
        ("x86_64", "48 8b", 7),
        ("x86_64", "<ff> ff ff", None),  # no such instruction
        ("arm64", "(zz)", None),
        ("arm64", "(f940)", None),
        ("s390x", "<e310>", None),
        ("arm64", "", 0),
    ],
)
def test_what_cannot_be_decoded(arch, code, mark):
    """Texts in place of code, no mark, a mark outside, bytes that are no instruction: nothing
    rather than something wrong.
    """
    assert decoded(arch, code, mark) is None


def test_mark_by_index_and_by_brackets_agree():
    """The reader may leave the brackets or say the index."""
    assert decoded("x86_64", "90 48 8b 43 30", 1, rbx=1) == decoded(
        "x86_64", "90 <48> 8b 43 30", rbx=1
    )


def test_an_access_that_runs_into_the_next_page():
    """A fault at the page's first byte is the access that began before it; elsewhere only the first
    byte counts.
    """
    operand = Operand((Term("rax", 0xFFC),), 0, 8, 64)
    assert operand.covers(0xFFC)
    assert operand.covers(0x1000)
    assert not operand.covers(0xFFD)
    assert not operand.covers(0x2000)


def test_arithmetic_says_no_more_than_needed():
    """One register without a displacement is just its value; a difference is written as one."""
    assert Operand((Term("x0", 0x24),), 0, 4, 64).arithmetic() == "x0 = 0x24"
    assert Operand((Term("x0", 0x24),), -4, 4, 64).arithmetic() == "x0 = 0x24; 0x24 - 0x4 = 0x20"
    assert Operand((), 0x10, 4, 64).arithmetic() == "0x10"


def test_arm64_reports_addresses_without_their_top_byte():
    """FAR 0x0061…a1 is the access to 0x6161…a1; on x86 all bits count."""
    full = 0x6161_6161_6161_61A1
    found = decoded("arm64", "(f94012c0)", x22=full - 0x20)
    assert found.explaining(full & ~(0xFF << 56)) is not None
    assert decoded("x86_64", "<48> 8b 00", rax=full).explaining(full & ~(0xFF << 56)) is None


@given(
    st.integers(0, (1 << 64) - 1),
    st.integers(0, (1 << 64) - 1),
    st.sampled_from([1, 2, 4, 8]),
    st.integers(-(1 << 31), (1 << 31) - 1),
)
def test_sums_wrap(base, index, factor, displacement):
    """The address is the sum modulo the width, and always explains itself."""
    operand = Operand((Term("a", base), Term("b", index, factor)), displacement, 8, 64)
    assert operand.address == (base + index * factor + displacement) % (1 << 64)
    assert operand.covers(operand.address)
    assert f"= {operand.address:#x}" in operand.arithmetic()
