"""arm64: the operands of instructions, as capstone decodes them.

In: an instruction of capstone's, or its word. Out: `FlowOperand`s, what a load or store moves, the
distance of a jump, the address that ADRP gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import capstone
from capstone import arm64 as cs

from detector.member.decoding import FlowOperand, register_name
from detector.member.values import MASK

_WHOLE: Mapping[str, tuple[str, int]] = {
    **{
        f"{letter}{number}": (f"x{number}", size)
        for number in range(31)
        for letter, size in (("x", 8), ("w", 4))
    },
    "fp": ("x29", 8),
    "lr": ("x30", 8),
    "sp": ("sp", 8),
}
_PAIRS = frozenset(("ldp", "stp", "ldnp", "stnp", "ldxp", "stxp", "ldpsw"))
_LOADS = ("ld", "cas", "swp")
_SINGLE_LOADS = ("ldr", "ldu", "ldar", "ldx", "ldax", "ldtr", "ldapr")
_name = partial(register_name, capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)


@dataclass(frozen=True, slots=True)
class Move:
    """A load or store, taken apart.

    `registers` are what is loaded or stored, `status` the register that says if a store was
    exclusive. `moved`: the distance that the base has moved by afterwards, None where it has not;
    `is_after`: it is moved behind the access.
    """

    memory: FlowOperand
    size: int
    registers: tuple[FlowOperand, ...]
    status: FlowOperand | None
    is_load: bool
    is_vector: bool
    moved: int | None
    is_after: bool


def move_of(raw: Any, name: str, operands: tuple[FlowOperand, ...], memory: FlowOperand) -> Move:
    """Reads a load or store: what it moves, and how its base moves."""
    after = raw.writeback and not raw.op_str.rstrip().endswith("!")
    registers = tuple(each for each in operands if each.kind == "register")
    first = registers[0].name if registers else ""
    is_load = name.startswith(_LOADS)
    status = None
    if is_load:
        is_single = name not in _PAIRS and name.startswith(_SINGLE_LOADS)
        moved = registers[: 1 if is_single else 2]
    elif name.startswith(("stx", "stlx")):
        status, moved = registers[0], registers[1:2]
    else:
        moved = registers[: 2 if name in _PAIRS else 1]
    last = operands[-1]
    distance = last.number if after and last.kind == "number" else memory.number
    return Move(
        memory,
        _size(name, first),
        moved,
        status,
        is_load,
        first[:1] in ("q", "d", "s", "v"),
        distance if raw.writeback else None,
        after,
    )


def _size(name: str, register: str) -> int:
    """The bytes that are moved by each register."""
    if name.endswith("b"):
        return 1
    if name.endswith("h"):
        return 2
    if name.endswith("sw"):
        return 4
    return 4 if register == "wzr" else _WHOLE.get(register, ("", 8))[1]


def operand_of(operand: Any) -> FlowOperand:
    """An operand, read out of capstone's."""
    shift = operand.shift.value if operand.shift.type else 0
    is_extended = bool(operand.ext)
    if operand.type == cs.ARM64_OP_REG:
        name = _name(operand.reg)
        register, size = _WHOLE.get(name, ("", 0))
        return FlowOperand("register", size, register, name, shift=shift, is_extended=is_extended)
    if operand.type == cs.ARM64_OP_IMM:
        left = shift if operand.shift.type == cs.ARM64_SFT_LSL else 0
        return FlowOperand("number", 8, number=operand.imm << left)
    if operand.type != cs.ARM64_OP_MEM:
        return FlowOperand("other", 0)
    memory = operand.mem
    base = _WHOLE.get(_name(memory.base), ("", 0))[0]
    index = _WHOLE.get(_name(memory.index), ("", 0))[0] if memory.index else ""
    return FlowOperand(
        "memory",
        8,
        base,
        base,
        memory.disp,
        index,
        bool(memory.index),
        shift=shift,
        is_extended=is_extended,
    )


def distance_of(word: int) -> int | None:
    """The distance of a jump or call; None of another instruction.

    Arm ARM C4.1: B and BL have 26 bits, B.cond, CBZ and CBNZ 19, TBZ and TBNZ 14, in words.
    """
    if word & 0x7C00_0000 == 0x1400_0000:
        return _signed_words(word, 0, 26)
    if word & 0xFF00_0000 == 0x5400_0000 or word & 0x7E00_0000 == 0x3400_0000:
        return _signed_words(word, 5, 19)
    return _signed_words(word, 5, 14) if word & 0x7E00_0000 == 0x3600_0000 else None


def _signed_words(word: int, place: int, bits: int) -> int:
    number = word >> place & ((1 << bits) - 1)
    return 4 * (number - (1 << bits) if number >> (bits - 1) else number)


def page_of(word: int, address: int) -> int | None:
    """The address that ADRP or ADR gives; None of another instruction."""
    if word & 0x1F00_0000 != 0x1000_0000:
        return None
    number = (word >> 3 & 0x1F_FFFC) | (word >> 29 & 3)
    number -= (number >> 20) << 21
    return ((address & ~0xFFF) + (number << 12) if word >> 31 else address + number) & MASK
