"""Memory operands of decoded x86 instructions, those of the stack included.

In: a capstone instruction and the registers of the report (`rax`…`r15`, `rip`, `rsp`; `eax`…;
`gs`/`fs` bases where printed).
Out: `Operand`s. A fault leaves the registers as they were before the instruction (a `rep` has
advanced them to the element that failed).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.explain.decode.operands import Operand, Term

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
