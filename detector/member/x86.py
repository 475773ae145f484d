"""x86-64: takes instructions apart: what each reads, does and writes.

In: a function's code, decoded by capstone. Out: `FlowInstruction`s; what they do to the state is in
`x86_moves`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import capstone

from detector.member.decoding import (
    NEXT,
    FlowAction,
    FlowInstruction,
    FlowOperand,
    Transfer,
    decode_all,
    decode_one,
)
from detector.member.values import MASK, UNKNOWN, StackValue, ValueState
from detector.member.x86_moves import THUNK, TRANSPARENT, X86Moves
from detector.member.x86_operands import (
    aligns,
    distance_of,
    is_helper,
    is_object,
    operand_of,
    registers_of,
    written_by,
)

_SILENT = frozenset(("test", "nop", "endbr64", "ud2", "cmp"))
_MOST_PATTERNS = 8192


class X86Flow(X86Moves):
    """The analysis of a function of x86-64."""

    def decode(self) -> Mapping[int, tuple[int, str]]:
        """The instructions; bytes that are none are passed over."""
        return decode_all(capstone.CS_ARCH_X86, capstone.CS_MODE_64, self.function, 1)

    def initial(self) -> ValueState:
        """Nothing is known of the registers that are kept; the stack begins here."""
        names = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rax", "r10", "r11")
        return {**dict.fromkeys(names, UNKNOWN), "rsp": StackValue(0)}

    def take_apart(self, address: int, code: bytes) -> FlowInstruction:
        """An instruction with what it reads, does and writes."""
        distance = distance_of(code)
        if distance is None:
            return self._pattern(code).at(address)
        size, name = self.instructions[address]
        target = (address + size + distance) & MASK
        operands = (FlowOperand("number", 8, number=target),)
        if name == "call":
            reads, writes = self._changed_by_call(target)
            transfer, action = Transfer("call", target), X86Flow._call
            return FlowInstruction(
                address, size, name, operands, transfer, action, reads=reads, writes=writes
            )
        transfer = Transfer("jump" if name == "jmp" else "branch", target)
        is_outside = target not in self.instructions
        reads = frozenset((*self.arguments, self.result)) if is_outside else frozenset()
        return FlowInstruction(address, size, name, operands, transfer, reads=reads)

    def _changed_by_call(self, target: int) -> tuple[frozenset[str], frozenset[str]]:
        """The registers that count for a call, and those that have another value after it."""
        names = self.kernel.symbols.names_at(target)
        if not TRANSPARENT.isdisjoint(names) or any(map(is_helper, names)):
            return frozenset(), frozenset()
        thunked = {name.removeprefix(THUNK) for name in names if name.startswith(THUNK)}
        return self.passed_to(names) | thunked, frozenset(self.clobbered)

    @staticmethod
    @lru_cache(maxsize=_MOST_PATTERNS)
    def _pattern(code: bytes) -> FlowInstruction:
        """The instruction that these bytes are, wherever it stands; `distance_of` is for others."""
        raw = decode_one(capstone.CS_ARCH_X86, capstone.CS_MODE_64, code, 0)
        operands = tuple(operand_of(operand) for operand in raw.operands)
        name = raw.mnemonic
        transfer = _transfer(name)
        if name.startswith(("rep", "lock")):
            name = name.rsplit(" ", 1)[-1]
        pattern = FlowInstruction(0, raw.size, name, operands, transfer)
        used = {register for each in operands for register in registers_of(each)}
        if name[0] == "j":
            pattern.reads = frozenset(used - {""})
            return pattern
        if name not in ("lea", "nop") and not name.startswith("prefetch"):
            pattern.memory = tuple(filter(is_object, operands))
        pattern.action, reads, writes = X86Flow._action(raw, name, operands, used)
        bases = {register for each in pattern.memory for register in registers_of(each)}
        results = {X86Flow.result} if transfer.kind == "return" else set()
        pattern.reads = frozenset((bases | reads | results) - {""})
        pattern.writes = frozenset(writes - {""})
        return pattern

    @staticmethod
    def _action(
        raw: Any, name: str, operands: tuple[FlowOperand, ...], used: set[str]
    ) -> tuple[FlowAction | None, set[str], set[str]]:
        """What an instruction does, the registers whose values count for it, and those that have
        another value after it.
        """
        first = operands[0] if operands else FlowOperand("other", 0)
        behind = {register for each in operands[1:] for register in registers_of(each)}
        written = {first.register} if first.kind == "register" else set()
        wide = first.size == 8
        if name == "call":
            return X86Flow._call, used | {*X86Flow.arguments}, {*X86Flow.clobbered}
        if name in ("mov", "movabs") and len(operands) == 2:
            return X86Flow._move, behind if written else used, written
        if name == "lea":
            return X86Flow._lea, behind, written
        if name in ("add", "sub") and written and wide:
            return X86Flow._sum, used, set()
        if name in ("inc", "dec") and written and wide:
            return X86Flow._count, used, set()
        if name in ("push", "pop", "leave"):
            return X86Flow._stack, used | {"rsp", "rbp"}, written if name == "pop" else set()
        if name == "xchg" and len(operands) == 2:
            return X86Flow._exchange, used, set()
        if name == "and" and aligns(operands):
            return X86Flow._align, used, set()
        if name.startswith("cmov") and wide:
            return X86Flow._choose, used, set()
        if name == "cmp" and wide:
            return X86Flow._compare, used, set()
        if name in _SILENT:
            return None, set(), set()
        if (
            name == "xor"
            and len(operands) == 2
            and written
            and operands[0].name == operands[1].name
        ):
            return X86Flow._clear, set(), written
        overwritten = written_by(raw)
        target = first if first.kind == "memory" else None
        action = partial(X86Flow._unmodelled, written=overwritten, target=target)
        return action, set(registers_of(first)) if target else set(), {*overwritten} - {"rsp"}


def _transfer(name: str) -> Transfer:
    """The way on from an instruction; jumps and calls over a distance are read by `distance_of`."""
    if name[0] == "j" or name.startswith("loop"):
        return Transfer("jump" if name == "jmp" else "branch")
    return Transfer("return") if name in ("ret", "int3", "iretq") else NEXT
