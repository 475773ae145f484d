"""What KASAN's inline check was made for follows from code and registers, or is not said."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.explain.decode.operands import Operand, Term
from detector.explain.decode.shadow_check import checked_access
from detector.model import CrashReport

OFFSET = 0xDFFF_FC00_0000_0000
MOVE = bytes.fromhex("4889fa48c1ea03")  # mov rdx, rdi; shr rdx, 3
CHECK = ["<80>", "3c", "02", "00"]  # cmp byte ptr [rdx + rax], 0


def report(before: bytes, **registers: int) -> CrashReport:
    """A general protection fault of the check, with this code before it."""
    code = (*(f"{byte:02x}" for byte in before), *CHECK)
    return CrashReport("general-protection", arch="x86_64", code=code, registers=registers)


def operand(index: int) -> Operand:
    """The operand of the check."""
    return Operand((Term("rdx", index), Term("rax", OFFSET)), 0, 1, 64)


@settings(deadline=None)  # the first call imports capstone
@given(
    before=st.binary(max_size=43),
    address=st.integers(0, (1 << 64) - 1),
    rbx=st.integers(0, (1 << 64) - 1),
)
def test_any_code_before(before: bytes, address: int, rbx: int) -> None:
    """Hostile bytes break nothing; what is said adds up."""
    crash = report(before + MOVE, rdi=address, rbx=rbx)
    found = checked_access(crash, operand(address >> 3))
    if found is not None:
        assert crash.registers[found.register] == found.address
        assert found.address >> 3 == address >> 3
        assert found.base is None or (found.base + found.offset) % (1 << 64) == found.address


@settings(deadline=None)  # the first call imports capstone
@given(base=st.integers(0, (1 << 64) - 1), member=st.integers(-128, 127))
def test_lea_shows_the_pointer(base: int, member: int) -> None:
    """`lea rdi, [rbx + member]` before the check gives the pointer and the member."""
    address = (base + member) % (1 << 64)
    lea = bytes((0x48, 0x8D, 0x7B, member % 256))
    found = checked_access(report(lea + MOVE, rdi=address, rbx=base), operand(address >> 3))
    assert found is not None
    assert (found.base, found.offset) == (base, member)


def test_a_register_that_was_written_since_shows_nothing() -> None:
    """The copy is taken, and then the register gets another value."""
    later = bytes.fromhex("4889cf")  # mov rdi, rcx
    assert checked_access(report(MOVE + later, rdi=0x64), operand(0xC)) is None
    shifted = bytes.fromhex("4889ca")  # mov rdx, rcx
    assert checked_access(report(MOVE + shifted, rdi=0x64), operand(0xC)) is None


def test_other_architectures_show_nothing() -> None:
    """Other machines have other checks."""
    crash = CrashReport("oops", arch="arm64", code=tuple(CHECK), registers={"x0": 1})
    assert checked_access(crash, operand(1)) is None
    assert checked_access(crash, None) is None
