from __future__ import annotations

import pytest

from detector.explain.decode.address import meanings
from detector.explain.decode.machine import Architecture, machine_of
from detector.explain.decode.operands import Operand, Term
from detector.model import CrashReport

X86 = machine_of(CrashReport("", arch="x86_64"))
ARM64 = machine_of(CrashReport("", arch="aarch64"))
I386 = machine_of(CrashReport("", arch="i386"))


def first(address, machine, operand=None):
    """The most telling reading."""
    return meanings(address, machine, operand)[0]


def operand(base, displacement=0):
    """A read of eight bytes through one register."""
    return Operand((Term("rax", base),), displacement, 8, 64)


@pytest.mark.parametrize(
    ("address", "mark", "part"),
    [
        (0x0, "null", "NULL + 0x0"),
        (0x58, "null", "NULL + 0x58"),
        (0xDEAD000000000100, "list-poison", "LIST_POISON1"),
        (0xDEAD000000000108, "list-poison", "LIST_POISON1"),
        (0xDEAD000000000122, "list-poison", "LIST_POISON2"),
        (0xDEAD00000000012A, "list-poison", "LIST_POISON2"),
        (0xDEAD000000100100, "list-poison", "LIST_POISON1"),
        (0xDEAD000000200208, "list-poison", "LIST_POISON2"),
        (0xDEAD000000000300, "timer-poison", "TIMER_ENTRY_STATIC"),
        (0xDEAD000000000500, "mutex-poison", "MUTEX_POISON_WW_CTX"),
        (0xDEAD4EAD00000198, "lock-magic", "SPINLOCK_MAGIC"),
        (0x57AC6E9D, "stack-end", "STACK_END_MAGIC"),
        (0x57AC6EA5, "stack-end", "STACK_END_MAGIC"),
        (0x6B6B6B6B6B6B6B6B, "slab-poison", "POISON_FREE"),
        (0x6B6B6B6B6B6B6BA3, "slab-poison", "POISON_FREE"),
        (0x5A5A5A5A5A5A5A5A, "slab-poison", "POISON_INUSE"),
        (0xA56B6B6B6B6B6B6B, "non-canonical", "not canonical"),
        (0xAAAAAAAAAAAAAAAA, "page-poison", "PAGE_POISON"),
        (0xDFFFFC0000000000, "kasan-shadow", "0x0 up to 0x7"),
        (0xDFFFFC0000000013, "kasan-shadow", "0x98 up to 0x9f"),
        (0xFFFFFFFFFFFFFFF4, "error-pointer", "ENOMEM"),
        (0x1950B, "small", "too small"),
        (0x7FFC12345678, "user-range", "user space"),
        (0x8000000000000000, "non-canonical", "not canonical"),
        (0x6F6C6C65682F2F2F, "ascii", "///hello"),
    ],
)
def test_readings_on_x86_64(address, mark, part):
    """Each kind of bad address, by value alone."""
    found = first(address, X86)
    assert found.mark == mark
    assert part in found.text + " ".join(found.evidence)
    assert found.confidence != "certain" or mark == "user-range"


def test_the_pointer_tells_more_than_the_address():
    """A NULL, an error pointer or poison in the base register, whatever is added to it."""
    null = first(0x990, X86, operand(0, 0x990))
    assert (null.mark, null.confidence) == ("null", "certain")
    assert "0x0 + 0x990 = 0x990" in null.evidence[0]
    container = first(8, X86, operand((1 << 64) - 0x68, 0x70))
    assert (container.mark, container.confidence) == ("null", "likely")
    error = first(0x34, X86, operand((1 << 64) - 12, 0x40))
    assert "NULL" in error.text
    assert meanings(0x34, X86, operand((1 << 64) - 12, 0x40))[1].mark == "error-pointer"
    freed = first(0x6B6B6B6B6B6B7000, X86, operand(0x6B6B6B6B6B6B6B6B, 0x495))
    assert freed.mark == "slab-poison"


def test_shadow_of_any_address_where_the_offset_is_in_a_register():
    """The shadow of a wild pointer is told by the offset in the other register."""
    shadowed = 0x6B6B6B6B6B6B6B68
    access = Operand((Term("rdx", shadowed >> 3), Term("rax", 0xDFFFFC0000000000)), 0, 1, 64)
    assert access.address is not None
    found = next(
        reading
        for reading in meanings(access.address, X86, access)
        if reading.mark == "kasan-shadow"
    )
    assert f"{shadowed:#x}" in found.text
    assert "POISON_FREE" in found.text


@pytest.mark.parametrize(
    ("address", "mark"),
    [
        (0xDEAD000000000110, "list-poison"),
        (0xDFFF800000000002, "kasan-shadow"),
        (0xEFFF800000000137, "kasan-shadow"),
        (0x00616161616161A1, "non-canonical"),
        (0xFFFF800012345678, None),
    ],
)
def test_readings_on_arm64(address, mark):
    """The same poison, other shadow offsets; a kernel address says nothing by itself."""
    assert [reading.mark for reading in meanings(address, ARM64, None)] == ([mark] if mark else [])


def test_readings_on_32_bit():
    """Poison bytes of four, and text; the small list poison of 32 bit is a NULL plus an offset to
    the eye.
    """
    assert first(0x6B6B6B6B, I386).mark == "slab-poison"
    assert first(0x00100104, I386).mark == "list-poison"
    assert first(0x100, I386).mark == "null"
    assert '"Xist"' in first(0x74736958, I386).text


def test_unaligned_access_of_a_whole_word():
    """Eight bytes at an odd address is said; one byte is not."""
    assert meanings(0x1950B, ARM64, operand(0x194DB, 0x30))[-1].mark == "unaligned"
    assert all(
        reading.mark != "unaligned"
        for reading in meanings(0x1950B, ARM64, Operand((Term("x1", 0x1950B),), 0, 1, 64))
    )


def test_other_machines_are_not_guessed_about():
    """Without a known layout of addresses nothing is called user or non-canonical."""
    assert meanings(0x8000000041A25F20, Architecture("other", 64), None) == ()
