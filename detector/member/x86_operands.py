"""x86-64: the operands of instructions, as capstone decodes them.

In: an instruction of capstone's, or its bytes. Out: `FlowOperand`s, the registers that it changes,
the distance of a jump.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import capstone
from capstone import x86 as cs

from detector.member.decoding import FlowOperand, register_name

_WHOLE: Mapping[str, str] = {
    **{
        f"{form}{letter}{end}": f"r{letter}x"
        for letter in "abcd"
        for form, end in (("r", "x"), ("e", "x"), ("", "x"), ("", "l"), ("", "h"))
    },
    **{
        form.format(name): f"r{name}"
        for name in ("si", "di", "bp", "sp")
        for form in ("r{}", "e{}", "{}", "{}l")
    },
    **{f"r{number}{end}": f"r{number}" for number in range(8, 16) for end in ("", "d", "w", "b")},
}


_name = partial(register_name, capstone.CS_ARCH_X86, capstone.CS_MODE_64)


def operand_of(operand: Any) -> FlowOperand:
    """An operand, read out of capstone's."""
    if operand.type == cs.X86_OP_REG:
        name = _name(operand.reg)
        return FlowOperand("register", operand.size, _WHOLE.get(name, ""), name)
    if operand.type == cs.X86_OP_IMM:
        return FlowOperand("number", operand.size, number=operand.imm)
    if operand.type != cs.X86_OP_MEM:
        return FlowOperand("other", operand.size)
    memory = operand.mem
    base = _name(memory.base) if memory.base else ""
    return FlowOperand(
        "memory",
        operand.size,
        _WHOLE.get(base, ""),
        base,
        memory.disp,
        _WHOLE.get(_name(memory.index), "") if memory.index else "",
        bool(memory.index),
        memory.scale,
        _name(memory.segment) if memory.segment else "",
    )


def distance_of(code: bytes) -> int | None:
    """The distance of a jump or call from its end; None of another instruction.

    None, too, where it is computed. Intel SDM 2: CALL rel32, JMP rel8 and rel32, Jcc, LOOPcc and
    JRCXZ rel8.
    """
    first = code[0]
    if first in (0xE8, 0xE9) or (first == 0x0F and code[1] & 0xF0 == 0x80):
        return int.from_bytes(code[-4:], "little", signed=True)
    if first == 0xEB or first & 0xF0 == 0x70 or first & 0xFC == 0xE0:
        return int.from_bytes(code[-1:], "little", signed=True)
    return None


def is_object(operand: FlowOperand) -> bool:
    """Tell if an operand may be of an object: neither of the stack nor at a fixed address."""
    is_memory = operand.kind == "memory" and bool(operand.name) and not operand.segment
    return is_memory and operand.name not in ("rip", "rsp")


def registers_of(operand: FlowOperand) -> tuple[str, str]:
    """The registers that are read for an operand."""
    return operand.register, operand.index


def written_by(raw: Any) -> tuple[str, ...]:
    """The registers that an instruction changes, as capstone says."""
    try:
        written = raw.regs_access()[1]
    except capstone.CsError:
        written = ()
    names = (_WHOLE.get(_name(register)) for register in written)
    return tuple(name for name in names if name)


def aligns(operands: tuple[FlowOperand, ...]) -> bool:
    """Tell if this clears low bits of a register, which marks in pointers are kept in."""
    target, source = operands
    is_whole = target.kind == "register" and target.size == 8
    return is_whole and source.kind == "number" and -16 <= source.number < 0


def is_helper(name: str) -> bool:
    """Tell if a function reads or writes user space and keeps most registers."""
    return name.startswith(("__get_user_", "__put_user_", "__sanitizer"))
