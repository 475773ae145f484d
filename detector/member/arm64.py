"""arm64: how instructions move pointers between registers, stack and memory.

In: instructions as capstone decodes them. Out: changed states, noted accesses. What an instruction
does that is not modelled gives its registers a value of no known type.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import capstone

from detector.member.arm64_operands import Move, distance_of, move_of, operand_of, page_of
from detector.member.decoding import (
    NEXT,
    FlowAction,
    FlowInstruction,
    FlowOperand,
    Transfer,
    decode_all,
    decode_one,
)
from detector.member.flow import TypeFlow
from detector.member.semantics import COPIES
from detector.member.values import (
    MASK,
    UNKNOWN,
    ConstantValue,
    FlowValue,
    PerCpuBase,
    PlainValue,
    PointerValue,
    StackValue,
    ValueState,
    add,
    signed,
)

_CAPSTONE = capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN
_MOST_PATTERNS = 8192

_TRANSPARENT = ("_mcount", "ftrace_caller")
_VARIANTS = (".isra", ".constprop", ".part")
_SILENT = frozenset(("tst", "cmn", "ccmp", "dmb", "dsb", "isb", "brk", "msr", "hlt"))
_NO_EFFECT = frozenset(("b", "nop", "hint", "bti", "paciasp", "autiasp", "xpaclri"))


class Arm64Flow(TypeFlow):
    """The analysis of a function of arm64."""

    arguments = tuple(f"x{number}" for number in range(8))
    result = "x0"
    clobbered = tuple(f"x{number}" for number in range(19))

    def decode(self) -> Mapping[int, tuple[int, str]]:
        """The instructions; words that are none are passed over."""
        return decode_all(*_CAPSTONE, self.function, 4)

    def initial(self) -> ValueState:
        """Nothing is known of the registers that are kept; the stack begins here."""
        names = [f"x{number}" for number in range(8, 31)]
        return {**dict.fromkeys(names, UNKNOWN), "sp": StackValue(0)}

    def take_apart(self, address: int, code: bytes) -> FlowInstruction:
        """An instruction with what it reads, does and writes."""
        word = int.from_bytes(code, "little")
        name = self.instructions[address][1]
        distance = distance_of(word)
        if distance is None:
            page = page_of(word, address)
            pattern = self._pattern(code).at(address)
            if page is not None:
                pattern.operands = (pattern.operands[0], FlowOperand("number", 8, number=page))
            return pattern
        target = (address + distance) & MASK
        operands = (FlowOperand("number", 8, number=target),)
        if name == "bl":
            reads, writes = self._changed_by_call(target)
            transfer, action = Transfer("call", target), Arm64Flow._call
            return FlowInstruction(
                address, 4, name, operands, transfer, action, reads=reads, writes=writes
            )
        transfer = Transfer("jump" if name == "b" else "branch", target)
        is_outside = target not in self.instructions
        reads = frozenset((*self.arguments, self.result)) if is_outside else frozenset()
        return FlowInstruction(address, 4, name, operands, transfer, reads=reads)

    def _changed_by_call(self, target: int) -> tuple[frozenset[str], frozenset[str]]:
        """The registers that count for a call, and those that have another value after it."""
        names = self.kernel.symbols.names_at(target)
        if names and (names[0] in _TRANSPARENT or names[0].startswith("__sanitizer")):
            return frozenset(), frozenset()
        return self.passed_to(names), frozenset(self.clobbered)

    def step(self, instruction: FlowInstruction, state: ValueState) -> None:
        """Follows one instruction."""
        if instruction.action is not None:
            instruction.action(self, instruction, state)

    def _copy(self, instruction: FlowInstruction, state: ValueState) -> None:
        target, source = instruction.operands
        self._set(instruction, target, self._value(instruction, source, state), state)

    def _compute(self, instruction: FlowInstruction, state: ValueState) -> None:
        value = self.hints.plain((instruction.address, "computed"), ("computed",))
        self._set(instruction, instruction.operands[0], value, state)

    def _choose(self, instruction: FlowInstruction, state: ValueState) -> None:
        target, *sources = instruction.operands[:3]
        first, second = (self._value(instruction, each, state) for each in sources)
        merged = self.hints.merged(first, second, (instruction.address, "csel"))
        self._set(instruction, target, merged, state)

    def _align(self, instruction: FlowInstruction, state: ValueState) -> None:
        value = self._value(instruction, instruction.operands[1], state)
        if not isinstance(value, PointerValue):
            chain = value.chain if isinstance(value, PlainValue) else ("?",)
            value = self.hints.plain((instruction.address,), chain)
        self._set(instruction, instruction.operands[0], value, state)

    def _compare(self, instruction: FlowInstruction, state: ValueState) -> None:
        first, second = (self._value(instruction, each, state) for each in instruction.operands[:2])
        self.compared(first, second)

    def _call_register(self, instruction: FlowInstruction, state: ValueState) -> None:
        pointer = self._value(instruction, instruction.operands[0], state)
        self.call_pointer((instruction.address,), state, pointer)

    def _value(
        self, instruction: FlowInstruction, operand: FlowOperand, state: ValueState
    ) -> FlowValue:
        if operand.kind == "number" or operand.name in ("xzr", "wzr"):
            return ConstantValue(operand.number & MASK)
        value = state.get(operand.register, UNKNOWN)
        if isinstance(value, ConstantValue) and not operand.is_extended:
            return value
        if operand.size == 4:
            return PlainValue((instruction.address, "part"), 0, ("int",))
        if operand.is_extended or operand.shift:
            return PlainValue((instruction.address, "shifted"), 0, ("computed",))
        return value

    def _set(
        self,
        instruction: FlowInstruction,
        operand: FlowOperand,
        value: FlowValue,
        state: ValueState,
    ) -> None:
        register = operand.register
        if operand.kind != "register" or not register:
            return
        if operand.size == 8 or isinstance(value, ConstantValue):
            state[register] = value
            return
        chain = value.chain if isinstance(value, PlainValue) else ("int",)
        state[register] = self.hints.plain((instruction.address, register), chain)

    def _pointer(self, operand: FlowOperand, state: ValueState) -> tuple[FlowValue, int | None]:
        """The address of a memory operand, and the factor of an index that is not known."""
        value = state.get(operand.register, UNKNOWN)
        if not operand.has_index:
            return add(value, operand.number), None
        index = state.get(operand.index, UNKNOWN)
        if isinstance(index, ConstantValue) and not operand.is_extended:
            return add(value, signed(index.number) << operand.shift), None
        if isinstance(index, PointerValue) and not isinstance(value, PointerValue):
            value = index
        return add(value, operand.number), 1 << operand.shift

    def _memory(self, instruction: FlowInstruction, state: ValueState, move: Move) -> None:
        base = move.memory.register
        held = state.get(base, UNKNOWN)
        pointer, scale = (held, None) if move.is_after else self._pointer(move.memory, state)
        if base != "sp" and not isinstance(held, StackValue) and not move.is_vector:
            displacement = 0 if move.is_after else move.memory.number
            self.note_access(instruction.address, pointer, scale, move.size, base, displacement)
        if move.is_load:
            self._load(instruction, move, pointer, scale, state)
        else:
            self._store(instruction, move, pointer, scale, state)
        if move.moved is not None:
            state[base] = add(held, move.moved)

    def _load(
        self,
        instruction: FlowInstruction,
        move: Move,
        pointer: FlowValue,
        scale: int | None,
        state: ValueState,
    ) -> None:
        values = [
            UNKNOWN
            if move.is_vector
            else self.read(
                add(pointer, place * move.size),
                scale,
                move.size,
                state,
                (instruction.address, place),
            )
            for place in range(len(move.registers))
        ]
        for target, value in zip(move.registers, values, strict=True):
            self._set(instruction, target, value, state)

    def _store(
        self,
        instruction: FlowInstruction,
        move: Move,
        pointer: FlowValue,
        scale: int | None,
        state: ValueState,
    ) -> None:
        if move.status is not None:
            status = PlainValue((instruction.address, "status"), 0, ("int",))
            self._set(instruction, move.status, status, state)
        for place, source in enumerate(move.registers):
            target = add(pointer, place * move.size)
            value = UNKNOWN if move.is_vector else self._value(instruction, source, state)
            if isinstance(target, StackValue) and not scale:
                state["stack", target.offset] = value
            else:
                self.written(target, scale, move.size, value)

    def _system_register(self, instruction: FlowInstruction, state: ValueState, name: str) -> None:
        """`current` is in sp_el0, the per-CPU offset in tpidr_el1 or el2 (asm/current.h, 4.10;
        asm/percpu.h).
        """
        origin, task = (instruction.address,), self.types.struct("task_struct")
        value: FlowValue = PlainValue(origin, 0, ("int",))
        if name == "sp_el0" and task is not None:
            value = PointerValue(task, 0, ("current",), frozenset((origin,)))
        elif name in ("tpidr_el1", "tpidr_el2"):
            value = PerCpuBase()
        self._set(instruction, instruction.operands[0], value, state)

    def _sum(self, instruction: FlowInstruction, state: ValueState) -> None:
        target = instruction.operands[0]
        self._set(instruction, target, self._total(instruction, state), state)

    def _total(self, instruction: FlowInstruction, state: ValueState) -> FlowValue:
        target, *sources = instruction.operands
        first, second = (self._value(instruction, each, state) for each in sources)
        origin, adds = (instruction.address,), instruction.mnemonic == "add"
        if target.name[0] == "w":
            return PlainValue(origin, 0, ("int",))
        if isinstance(second, PerCpuBase):
            first, second = second, first
        if isinstance(first, PerCpuBase):
            if isinstance(second, ConstantValue):
                return self.per_cpu(second.number, origin)
            is_pointer = isinstance(second, PointerValue)
            return second if is_pointer else PlainValue(origin, 0, ("per-CPU",))
        if isinstance(second, ConstantValue):
            distance = signed(second.number)
            return add(first, distance if adds else -distance)
        if adds:
            for value, other in ((first, second), (second, first)):
                if (moved := self.element(value, other, origin)) is not None:
                    return moved
        chain = first.chain if isinstance(first, PointerValue | PlainValue) else ()
        return self.hints.plain(origin, (*chain, "computed"))

    def _call(self, instruction: FlowInstruction, state: ValueState) -> None:
        names = self.kernel.symbols.names_at(instruction.operands[0].number & MASK)
        name, origin = names[0] if names else "?", (instruction.address,)
        if name in _TRANSPARENT or name.startswith("__sanitizer"):
            return
        declared = next((each for each in names if each in self.types.functions), "")
        name = declared or name
        if name in COPIES:
            self.call_copy(origin, state, name)
        elif not declared and any(suffix in name for suffix in _VARIANTS):
            self.call_variant(origin, state, name)
        else:
            self.call(origin, state, self.types.prototypes(name), name)

    @staticmethod
    @lru_cache(maxsize=_MOST_PATTERNS)
    def _pattern(code: bytes) -> FlowInstruction:
        """The instruction that these bytes are, wherever it stands; `distance_of` is for others."""
        raw = decode_one(*_CAPSTONE, code, 0)
        operands = tuple(operand_of(operand) for operand in raw.operands)
        name = raw.mnemonic
        transfer = NEXT
        if name == "br":
            transfer = Transfer("jump")
        elif name in ("ret", "retaa", "eret"):
            transfer = Transfer("return")
        action, reads, writes = Arm64Flow._action(raw, name, operands)
        results = {Arm64Flow.result} if transfer.kind == "return" else set()
        return FlowInstruction(
            0,
            4,
            name,
            operands,
            transfer,
            action,
            reads=frozenset((reads | results) - {""}),
            writes=frozenset(writes - {""}),
        )

    @staticmethod
    def _action(
        raw: Any, name: str, operands: tuple[FlowOperand, ...]
    ) -> tuple[FlowAction | None, set[str], set[str]]:
        """What an instruction does, the registers whose values count for it, and those that have
        another value after it.
        """
        first = operands[0].register if operands else ""
        behind = {each.register for each in operands[1:]}
        if name in _NO_EFFECT or name.startswith("prfm"):
            return None, set(), set()
        memory = next((each for each in operands if each.kind == "memory"), None)
        if memory is not None:
            return Arm64Flow._moving(move_of(raw, name, operands, memory))
        if name == "blr":
            return Arm64Flow._call_register, {first, *Arm64Flow.arguments}, {*Arm64Flow.clobbered}
        if name in ("mov", "movz", "adrp", "adr") and len(operands) == 2:
            return Arm64Flow._copy, behind, {first}
        if name == "mrs":
            register = raw.op_str.split(",")[1].strip().lower()
            return partial(Arm64Flow._system_register, name=register), set(), {first}
        if name in ("add", "sub") and len(operands) == 3:
            return Arm64Flow._sum, behind, {first}
        if name == "csel":
            return Arm64Flow._choose, behind, {first}
        if name == "and" and _aligns(operands):
            return Arm64Flow._align, behind, {first}
        if name == "cmp":
            return Arm64Flow._compare, {first} | behind, set()
        if name not in _SILENT and operands and operands[0].kind == "register":
            return Arm64Flow._compute, set(), {first}
        return None, set(), set()

    @staticmethod
    def _moving(move: Move) -> tuple[FlowAction, set[str], set[str]]:
        reads, writes = {move.memory.register, move.memory.index}, set()
        moved = {each.register for each in move.registers}
        if move.is_load:
            writes |= moved
        else:
            reads |= moved
        if move.status is not None:
            writes.add(move.status.register)
        return partial(Arm64Flow._memory, move=move), reads, writes


def _aligns(operands: tuple[FlowOperand, ...]) -> bool:
    """Tell if this clears low bits, which marks in pointers are kept in."""
    last = operands[-1]
    is_number = len(operands) == 3 and last.kind == "number"
    return is_number and -16 <= signed(last.number & MASK) < 0
