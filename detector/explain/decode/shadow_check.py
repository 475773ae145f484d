"""Finds the address of KASAN's inline check, in the code before the faulting load.

In: a report of x86_64 whose instruction reads KASAN's shadow, and that instruction's operand. Out:
the address that was to be accessed, the register that holds it, and the pointer that it was made
of. With CONFIG_KASAN_INLINE compilers put before each access `mov X, P; shr X, 3; cmp byte ptr [X +
offset], 0`, and P mostly comes from `lea P, [B + member]` or `add P, member`; every step is held
against the values of the registers, so that a wrong reading of the code says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from detector.explain.decode.operands import Operand
from detector.model import CrashReport

_SHIFT = 3  # a byte of shadow for 8 bytes, arch/x86/Kconfig KASAN_SHADOW_OFFSET
_MASK = (1 << 64) - 1
_MOST = 8  # instructions before the load that are looked at for each step


@dataclass(frozen=True, slots=True)
class Checked:
    """An access that was checked: `address` in `register`, made of `base` + `offset`."""

    register: str
    address: int
    base: int | None = None
    offset: int = 0

    def arithmetic(self) -> str:
        """The difference in words: `rdi = 0x64; 0x64 - 0x70 = 0xfffffffffffffff4`."""
        sign = "-" if self.offset >= 0 else "+"
        difference = f"{self.address:#x} {sign} {abs(self.offset):#x} = {self.base or 0:#x}"
        return f"{self.register} = {self.address:#x}; {difference}"


def checked_access(report: CrashReport, operand: Operand | None) -> Checked | None:
    """The access that the check was made for; None where the code does not show it."""
    code = _before(report) if operand is not None and report.arch == "x86_64" else []
    if operand is None or not code:
        return None
    for term in operand.terms:
        if term.value is None or term.factor != 1:
            continue
        shifted = _shifted(code, term.register)
        if shifted is None:
            continue
        at, source = shifted
        address = report.registers.get(source)
        if address is None or address >> _SHIFT != term.value or _written(code[at + 1 :], source):
            continue
        return _made(report, code[:at], source, address)
    return None


def _shifted(code: Sequence[Any], register: str) -> tuple[int, str] | None:
    """Where `mov register, source` stands that `shr register, 3` follows, and the source."""
    shifts = [at for at in range(len(code)) if _is(code[at], "shr", f"{register}, {_SHIFT}")]
    if not shifts or _written(code[shifts[-1] + 1 :], register):
        return None
    for at in range(shifts[-1] - 1, max(-1, shifts[-1] - _MOST), -1):
        if register in _writes(code[at]):
            _, _, source = code[at].op_str.partition(", ")
            moved = code[at].mnemonic == "mov" and _is(code[at], "mov", f"{register}, {source}")
            return (at, source) if moved and "[" not in source else None
    return None


def _made(report: CrashReport, code: Sequence[Any], register: str, address: int) -> Checked:
    """The access with the pointer that its address was made of, by `lea` or `add`."""
    for at in range(len(code) - 1, max(-1, len(code) - 1 - _MOST), -1):
        if register not in _writes(code[at]):
            continue
        added = _added(code[at], register)
        if added is None:
            break
        offset, source = added
        base = (address - offset) & _MASK
        if source != register and report.registers.get(source) != base:
            break  # the source holds something else by now, or the code was read wrongly
        return Checked(register, address, base, offset)
    return Checked(register, address)


def _added(instruction: Any, register: str) -> tuple[int, str] | None:
    """The constant that the instruction adds to one pointer to make the register's value, and the
    register that the pointer comes from.
    """
    from capstone import x86

    if instruction.mnemonic not in ("add", "lea") or len(instruction.operands) != 2:
        return None
    target, source_operand = instruction.operands
    if target.type != x86.X86_OP_REG or instruction.reg_name(target.reg) != register:
        return None
    if instruction.mnemonic == "add":
        added = source_operand.type == x86.X86_OP_IMM
        return (int(source_operand.imm), register) if added else None
    memory = source_operand.mem
    if memory.index or not memory.base or memory.segment:
        return None
    source = instruction.reg_name(memory.base)
    return None if source == "rip" else (int(memory.disp), source)


def _is(instruction: Any, mnemonic: str, operands: str) -> bool:
    return bool(instruction.mnemonic == mnemonic and instruction.op_str == operands)


def _written(code: Sequence[Any], register: str) -> bool:
    return any(register in _writes(instruction) for instruction in code)


def _writes(instruction: Any) -> set[str]:
    """The 64-bit registers that an instruction may change; after a call, all."""
    from capstone import x86

    if instruction.group(x86.X86_GRP_CALL):
        return set(_WIDE.values())
    _, written = instruction.regs_access()
    names = (instruction.reg_name(number) for number in written)
    return {_WIDE.get(name, name) for name in names}


_WIDE = {
    narrow: f"r{name}"
    for name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")
    for narrow in (f"r{name}", f"e{name}", name, f"{name[0]}l", f"{name}l", f"{name[0]}h")
} | {f"r{n}{suffix}": f"r{n}" for n in range(8, 16) for suffix in ("", "d", "w", "b")}


def _before(report: CrashReport) -> list[Any]:
    """The instructions before the marked one, of the longest reading that ends at the mark."""
    start = report.code_mark
    if start is None:
        start = next((at for at, word in enumerate(report.code) if word[:1] == "<"), None)
    words = [word.strip("<>") for word in report.code[: start or 0]]
    try:
        raw = bytes.fromhex("".join(words)) if all(len(word) == 2 for word in words) else b""
    except ValueError:
        return []
    for skipped in range(min(len(raw), 15)):
        read = list(_disassembler().disasm(raw[skipped:], skipped))
        if sum(instruction.size for instruction in read) == len(raw) - skipped:
            return read
    return []


@cache
def _disassembler() -> Any:
    import capstone

    disassembler = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    disassembler.detail = True
    return disassembler
