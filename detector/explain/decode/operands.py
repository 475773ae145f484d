"""A memory operand and its arithmetic: registers, factors and a displacement add up to an
address, wrapping as the machine does.

In: terms as the decoder finds them. Out: addresses, the sums in words. It decodes nothing and knows
no architecture.

A fault leaves the registers as they were before the instruction (a `rep` has advanced them to the
element that failed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Term:
    """One register of an address: `value` as it counts (after narrowing or sign extension),
    None where the report does not print it.
    """

    register: str
    value: int | None
    factor: int = 1


@dataclass(frozen=True, slots=True)
class Operand:
    """A memory operand of an instruction: the sum of `terms` and `displacement`, `width`
    bytes, in addresses of `bits` bits.

    `aligned` is the block a whole-line operation (`dc zva`) touches: the address is rounded down to
    it. `known_bits` is how many of the low bits the kernel reports of a fault address: 56 on arm64,
    where it clears or extends the tag in the top byte (untagged_addr, 5.3).
    """

    terms: tuple[Term, ...]
    displacement: int
    width: int
    bits: int
    aligned: int = 1
    known_bits: int = 64

    @property
    def address(self) -> int | None:
        """The address, or None where a register's value is not known."""
        total = self.displacement
        for term in self.terms:
            if term.value is None:
                return None
            total += term.value * term.factor
        return (total & ((1 << self.bits) - 1)) // self.aligned * self.aligned

    @property
    def base(self) -> Term | None:
        """The first register, which holds the pointer in what compilers emit."""
        return self.terms[0] if self.terms else None

    def covers(self, address: int) -> bool:
        """Returns whether a fault that is reported at `address` is this access, as far as the
        kernel tells the address.
        """
        return self._holds(address, (1 << min(self.bits, self.known_bits)) - 1)

    def spans(self, address: int) -> bool:
        """Returns whether the access holds exactly this address."""
        return self._holds(address, (1 << self.bits) - 1)

    def _holds(self, address: int, mask: int) -> bool:
        """Its first byte, or a later one where the access runs into the next page."""
        start = self.address
        if start is None:
            return False
        distance = (address - start) & mask
        return distance == 0 or (
            distance < self.width and (self.aligned > 1 or address & 0xFFF == 0)
        )

    def arithmetic(self) -> str:
        """The sum in words: `x19 = 0x194db; 0x194db + 0x30 = 0x1950b`."""
        known = "; ".join(f"{term.register} = {_hex(term.value)}" for term in self.terms)
        parts = [
            _hex(term.value) + (f" * {term.factor}" if term.factor != 1 else "")
            for term in self.terms
        ]
        if (
            len(self.terms) == 1
            and self.terms[0].factor == 1
            and not self.displacement
            and self.aligned == 1
        ):
            return known
        total = " + ".join(parts)
        if self.displacement or not parts:
            sign = (" - " if self.displacement < 0 else " + ") if parts else ""
            shown = abs(self.displacement) if parts else self.displacement & ((1 << self.bits) - 1)
            total = f"{total}{sign}{shown:#x}"
        if not self.terms and self.aligned == 1:
            return _hex(self.address)
        rounded = f", rounded down to {self.aligned} bytes," if self.aligned > 1 else ""
        return f"{known}{'; ' if known else ''}{total}{rounded} = {_hex(self.address)}"


def _hex(value: int | None) -> str:
    return "?" if value is None else f"{value:#x}"


_NO_ACCESS = ("nop", "prefetch")
_PUSHES = ("push", "pushf", "pushfq", "pushfd", "call")
_POPS = ("pop", "popf", "popfq", "popfd", "ret", "retf", "retfq", "iretd", "iretq")
_LOW_HALF = {
    f"e{name}": f"r{name}" for name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp", "ip")
} | {f"r{n}d": f"r{n}" for n in range(8, 16)}


def x86(instruction: Any, bits: int, registers: Mapping[str, int]) -> list[Operand]:
    """Returns where an x86 instruction touches memory, explicit operands first."""
    from capstone import x86 as cs

    if instruction.mnemonic == "lea" or instruction.mnemonic.startswith(_NO_ACCESS):
        return []
    explicit = [
        _operand(instruction, item, bits, registers)
        for item in instruction.operands
        if item.type == cs.X86_OP_MEM
    ]
    return explicit + _implicit(instruction.mnemonic.split()[-1], bits, registers)


def _operand(instruction: Any, item: Any, bits: int, registers: Mapping[str, int]) -> Operand:
    terms: list[Term] = []
    if item.mem.base:
        terms.append(_term(instruction, instruction.reg_name(item.mem.base), 1, bits, registers))
    if item.mem.index:
        terms.append(
            _term(
                instruction, instruction.reg_name(item.mem.index), item.mem.scale, bits, registers
            )
        )
    if item.mem.segment and (segment := instruction.reg_name(item.mem.segment)) in ("fs", "gs"):
        terms.append(Term(f"{segment} base", _segment_base(segment, registers)))
    return Operand(tuple(terms), item.mem.disp, item.size, bits)


def _term(
    instruction: Any, name: str, factor: int, bits: int, registers: Mapping[str, int]
) -> Term:
    if name in ("rip", "eip"):  # reads as the address of the next instruction
        value = registers.get(name)
        return Term(name, None if value is None else value + instruction.size, factor)
    if name in ("riz", "eiz"):
        return Term(name, 0, factor)
    full = _LOW_HALF.get(name, name) if bits == 64 else name
    value = registers.get(full)
    if value is not None and full != name:
        value &= 0xFFFF_FFFF
    return Term(full, value, factor)


def _segment_base(segment: str, registers: Mapping[str, int]) -> int | None:
    """The base where the report gives one: `GS:ffff888…(0000)` prints it; a bare selector (two
    bytes) is none.
    """
    for name in (f"{segment}_base", f"{segment}base", segment):
        value = registers.get(name)
        if value is not None and (value > 0xFFFF or name != segment):
            return value
    return None


def _implicit(mnemonic: str, bits: int, registers: Mapping[str, int]) -> list[Operand]:
    size = bits // 8
    stack, frame = ("rsp", "rbp") if bits == 64 else ("esp", "ebp")
    if mnemonic in _PUSHES:
        return [Operand((Term(stack, registers.get(stack)),), -size, size, bits)]
    if mnemonic in _POPS:
        return [
            Operand(
                (Term(stack, registers.get(stack)),),
                0,
                size * (5 if mnemonic.startswith("iret") else 1),
                bits,
            )
        ]
    if mnemonic == "leave":
        return [Operand((Term(frame, registers.get(frame)),), 0, size, bits)]
    return []
