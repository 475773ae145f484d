"""Decodes the instructions of a function with capstone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import capstone

from detector.member.kernel import FunctionCode


@cache
def _disassembler(architecture: int, mode: int) -> Any:
    disassembler = capstone.Cs(architecture, mode)
    disassembler.detail = True
    return disassembler


def decode_all(
    architecture: int, mode: int, function: FunctionCode, alignment: int
) -> Mapping[int, Any]:
    """The instructions by address; bytes that are none are passed over."""
    instructions: dict[int, Any] = {}
    position, code = 0, function.code
    while position < len(code):
        start = position
        disassembler = _disassembler(architecture, mode)
        for instruction in disassembler.disasm(code[position:], function.start + position):
            instructions[instruction.address] = instruction
            position = instruction.address - function.start + instruction.size
        if position == start or position < len(code):
            position += alignment
    return instructions
