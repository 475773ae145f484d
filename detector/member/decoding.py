"""Decodes the instructions of a function with capstone, and takes them apart.

In: code. Out: size and name of each instruction; of those that are followed a `FlowInstruction`,
whose operands are read once, as each is followed many times. Equal bytes are taken apart once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import capstone

from detector.member.kernel import FunctionCode

OperandKind = Literal["register", "number", "memory", "other"]
TransferKind = Literal["jump", "branch", "return", "call", "next"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """The way on from an instruction; `target` is None where that is computed."""

    kind: TransferKind
    target: int | None = None


NEXT = Transfer("next")
FlowAction = Callable[..., None]


@dataclass(slots=True)
class FlowOperand:
    """An operand of `size` bytes.

    `register` is the whole register of 64 bits (of memory: the base), empty where it is not
    followed; `name` how it is printed; `number` a constant (of memory: the displacement). `index`
    and `scale` are of memory, `shift` (bits to the left) and `is_extended` of arm64.
    """

    kind: OperandKind
    size: int
    register: str = ""
    name: str = ""
    number: int = 0
    index: str = ""
    has_index: bool = False
    scale: int = 1
    segment: str = ""
    shift: int = 0
    is_extended: bool = False


@dataclass(slots=True)
class FlowInstruction:
    """An instruction, taken apart.

    `action` does what it does, None where nothing that matters is done; `memory` are the operands
    through which it may touch an object. `reads` and `writes` are the registers whose values count
    for the action, and those that have another value after it.
    """

    address: int
    size: int
    mnemonic: str
    operands: tuple[FlowOperand, ...]
    transfer: Transfer
    action: FlowAction | None = None
    memory: tuple[FlowOperand, ...] = ()
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()

    def at(self, address: int) -> FlowInstruction:
        """The same instruction at an address."""
        return FlowInstruction(
            address,
            self.size,
            self.mnemonic,
            self.operands,
            self.transfer,
            self.action,
            self.memory,
            self.reads,
            self.writes,
        )


@cache
def _disassembler(architecture: int, mode: int, *, detail: bool) -> Any:
    disassembler = capstone.Cs(architecture, mode)
    disassembler.detail = detail
    return disassembler


@cache
def register_name(architecture: int, mode: int, number: int) -> str:
    """The name of a register by capstone's number; none for 0."""
    return str(_disassembler(architecture, mode, detail=False).reg_name(number)) if number else ""


def decode_all(
    architecture: int, mode: int, function: FunctionCode, alignment: int
) -> Mapping[int, tuple[int, str]]:
    """(size, mnemonic) of each instruction by address; bytes that are none are passed over."""
    instructions: dict[int, tuple[int, str]] = {}
    position, code = 0, function.code
    disassembler = _disassembler(architecture, mode, detail=False)
    while position < len(code):
        start = position
        decoded = disassembler.disasm_lite(code[position:], function.start + position)
        for address, size, mnemonic, _ in decoded:
            instructions[address] = size, mnemonic
            position = address - function.start + size
        if position == start or position < len(code):
            position += alignment
    return instructions


def decode_one(architecture: int, mode: int, code: bytes, address: int) -> Any:
    """The instruction that these bytes are, with its operands, as capstone's."""
    return next(_disassembler(architecture, mode, detail=True).disasm(code, address, 1))
