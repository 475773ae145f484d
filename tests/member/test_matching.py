"""The code of the log is held against the kernel's: equal, or nothing is said."""

from __future__ import annotations

import pytest

from detector.member.matching import LoggedCode, locate
from detector.symbols.table import SymbolTable
from tests.member.demo_kernel import X86, kernel
from tests.symbols.images import TEXT

WALK = 64


def located(demo, name, offset, size, data, mark):
    """Where the instruction is, by what is printed."""
    place = locate(demo, name, offset, size, LoggedCode(bytes(data), mark))
    return None if place is None else place.address


def test_equal_code_is_located():
    """Bytes around it, the name, offset and size agree."""
    assert located(kernel(), "demo_lookup", 3, 64, X86["demo_lookup"], 3) == TEXT + 3


@pytest.mark.parametrize("changed", range(11))
def test_any_other_byte_is_another_kernel(changed):
    """Whichever it is."""
    data = bytearray(X86["demo_lookup"])
    data[changed] ^= 8
    assert located(kernel(), "demo_lookup", 3, 64, data, 3) is None


@pytest.mark.parametrize(
    ("name", "offset", "size"),
    [("demo_lookup", 3, 48), ("demo_lookup", 4, 64), ("nobody", 3, 64), ("demo_use", 3, 64)],
)
def test_another_place_is_not_located(name, offset, size):
    """The size is that of the function, the offset an instruction's."""
    assert located(kernel(), name, offset, size, X86["demo_lookup"], 3) is None


def test_what_the_kernel_patches_may_differ():
    """A call that ftrace or a static call rewrites; not the instruction itself."""
    demo = kernel()
    data = bytearray(demo.bytes_at(TEXT + WALK, 19))
    data[8:13] = b"\x0f\x1f\x44\x00\x00"
    assert located(demo, "demo_walk", 13, 64, data, 13) == TEXT + WALK + 13
    assert located(demo, "demo_walk", 8, 64, data, 8) is None


@pytest.mark.parametrize(
    ("first", "second", "agrees"),
    [
        (0x1E00000, 0x1E00000, True),
        (0, 0, True),
        (0x1E00000, 0x2000000, False),
        (0x1000, 0x1000, False),
    ],
)
def test_addresses_may_differ_by_one_slide_of_kaslr(first, second, agrees):
    """By multiples of 2 MB, all by the same."""
    # mov rcx, imm32 (an address); mov rdx, imm32 (another); mov rax, [rdi]; ret
    code = bytes.fromhex("48c7c100002081 48c7c200004081 488b07 c3")
    data = bytearray(code)
    for place, slide in ((3, first), (10, second)):
        address = int.from_bytes(code[place : place + 4], "little") + slide
        data[place : place + 4] = address.to_bytes(4, "little")
    at = located(kernel(demo_lookup=code), "demo_lookup", 14, 64, data, 14)
    assert at == (TEXT + 14 if agrees else None)


def test_arm64_code_is_located():
    """Words; calls may differ."""
    demo = kernel("arm64")
    start = demo.symbols.addresses_of("demo_walk")[0]
    data = bytearray(demo.bytes_at(start, 24))
    assert located(demo, "demo_walk", 20, 64, data, 20) == start + 20
    data[16:20] = b"\x1f\x20\x03\xd5"
    assert located(demo, "demo_walk", 20, 64, data, 20) == start + 20
    data[8] ^= 1
    assert located(demo, "demo_walk", 20, 64, data, 20) is None


@pytest.mark.parametrize(("prefix", "agrees"), [(0x3E, True), (0x2E, False)])
def test_a_machine_with_one_cpu_has_no_lock_prefixes(prefix, agrees):
    """The kernel makes them the prefix of DS (alternatives_smp_unlock)."""
    code = bytes.fromhex("488b07 f0ff08 c3")  # mov rax, [rdi]; lock dec dword [rax]; ret
    demo = kernel(demo_lookup=code)
    start = demo.symbols.addresses_of("demo_lookup")[0]
    data = bytearray(code)
    data[3] = prefix
    assert located(demo, "demo_lookup", 3, 64, data, 3) == (start + 3 if agrees else None)


def test_a_kernel_with_kasan_is_not_read():
    """There the shadow check faults, and not the access."""
    demo = kernel()
    table = demo.symbols
    symbols = zip(table.addresses, table.kinds, table.names, strict=True)
    demo.symbols = SymbolTable.of([*symbols, (5, "t", "__asan_load8")])
    assert located(demo, "demo_lookup", 3, 64, X86["demo_lookup"], 3) is None
