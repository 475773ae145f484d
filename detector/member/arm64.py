"""arm64: how instructions move pointers between registers, stack and memory.

In: instructions as capstone decodes them. Out: changed states, noted accesses. What an instruction
does that is not modelled gives its registers a value of no known type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import capstone
from capstone import arm64 as cs

from detector.member.decoding import decode_all
from detector.member.flow import NEXT, Transfer, TypeFlow
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
_TRANSPARENT = ("_mcount", "ftrace_caller")
_VARIANTS = (".isra", ".constprop", ".part")
_PAIRS = frozenset(("ldp", "stp", "ldnp", "stnp", "ldxp", "stxp", "ldpsw"))
_LOADS = ("ld", "cas", "swp")
_SINGLE_LOADS = ("ldr", "ldu", "ldar", "ldx", "ldax", "ldtr", "ldapr")
_SILENT = frozenset(("tst", "cmn", "ccmp", "dmb", "dsb", "isb", "brk", "msr", "hlt"))
_NO_EFFECT = frozenset(("b", "nop", "hint", "bti", "paciasp", "autiasp", "xpaclri"))


@dataclass(frozen=True, slots=True)
class _Transfer:
    """A load or store, taken apart: where it begins and what it moves."""

    pointer: FlowValue
    scale: int | None
    size: int
    registers: list[Any]
    is_vector: bool


class Arm64Flow(TypeFlow):
    """The analysis of a function of arm64."""

    arguments = tuple(f"x{number}" for number in range(8))
    result = "x0"
    clobbered = tuple(f"x{number}" for number in range(19))

    def decode(self) -> Mapping[int, Any]:
        """The instructions; words that are none are passed over."""
        return decode_all(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN, self.function, 4)

    def initial(self) -> ValueState:
        """Nothing is known of the registers that are kept; the stack begins here."""
        names = [f"x{number}" for number in range(8, 31)]
        return {**dict.fromkeys(names, UNKNOWN), "sp": StackValue(0)}

    def transfer(self, instruction: Any) -> Transfer:
        """Jumps, calls and returns."""
        name, operands = instruction.mnemonic, instruction.operands
        if name == "b":
            return Transfer("jump", operands[0].imm & MASK)
        if name.startswith("b.") or name in ("cbz", "cbnz", "tbz", "tbnz"):
            return Transfer("branch", operands[-1].imm & MASK)
        if name == "br":
            return Transfer("jump")
        if name in ("ret", "retaa", "eret"):
            return Transfer("return")
        return Transfer("call", operands[0].imm & MASK) if name == "bl" else NEXT

    def step(self, instruction: Any, state: ValueState) -> None:
        """Follows one instruction."""
        name, operands = instruction.mnemonic, instruction.operands
        if name in _NO_EFFECT or name.startswith(("b.", "cb", "tb", "prfm")):
            return
        memory = next((each for each in operands if each.type == cs.ARM64_OP_MEM), None)
        if memory is not None:
            self._memory(instruction, memory, state)
        elif name == "bl":
            self._call(instruction, state)
        elif name == "blr":
            pointer = self._value(instruction, operands[0], state)
            self.call_pointer((instruction.address,), state, pointer)
        elif name in ("mov", "movz") and len(operands) == 2:
            self._set(instruction, operands[0], self._value(instruction, operands[1], state), state)
        elif name in ("adrp", "adr"):
            self._set(instruction, operands[0], ConstantValue(operands[1].imm & MASK), state)
        elif name == "mrs":
            self._set(instruction, operands[0], self._system_register(instruction), state)
        elif name in ("add", "sub") and len(operands) == 3:
            self._set(instruction, operands[0], self._sum(instruction, state), state)
        else:
            self._others(instruction, name, state)

    def _others(self, instruction: Any, name: str, state: ValueState) -> None:
        operands, address = instruction.operands, instruction.address
        if name == "csel":
            first, second = (self._value(instruction, each, state) for each in operands[1:3])
            merged = self.hints.merged(first, second, (address, "csel"))
            self._set(instruction, operands[0], merged, state)
        elif name == "and" and _aligns(operands):
            value = self._value(instruction, operands[1], state)
            if not isinstance(value, PointerValue):
                chain = value.chain if isinstance(value, PlainValue) else ("?",)
                value = self.hints.plain((address,), chain)
            self._set(instruction, operands[0], value, state)
        elif name == "cmp":
            self.compared(*(self._value(instruction, each, state) for each in operands[:2]))
        elif name not in _SILENT and operands and operands[0].type == cs.ARM64_OP_REG:
            value = self.hints.plain((address, "computed"), ("computed",))
            self._set(instruction, operands[0], value, state)

    def _value(self, instruction: Any, operand: Any, state: ValueState) -> FlowValue:
        if operand.type == cs.ARM64_OP_IMM:
            shift = operand.shift.value if operand.shift.type == cs.ARM64_SFT_LSL else 0
            return ConstantValue(operand.imm << shift & MASK)
        name = instruction.reg_name(operand.reg)
        if name in ("xzr", "wzr"):
            return ConstantValue(0)
        register, size = _WHOLE.get(name, ("", 0))
        value = state.get(register, UNKNOWN)
        if isinstance(value, ConstantValue) and not operand.ext:
            return value
        if size == 4:
            return PlainValue((instruction.address, "part"), 0, ("int",))
        if operand.ext or (operand.shift.type and operand.shift.value):
            return PlainValue((instruction.address, "shifted"), 0, ("computed",))
        return value

    def _set(self, instruction: Any, operand: Any, value: FlowValue, state: ValueState) -> None:
        if operand.type != cs.ARM64_OP_REG:
            return
        register, size = _WHOLE.get(instruction.reg_name(operand.reg), ("", 0))
        if not register:
            return
        if size == 8 or isinstance(value, ConstantValue):
            state[register] = value
            return
        chain = value.chain if isinstance(value, PlainValue) else ("int",)
        state[register] = self.hints.plain((instruction.address, register), chain)

    def _pointer(
        self, instruction: Any, operand: Any, state: ValueState
    ) -> tuple[FlowValue, int | None]:
        """The address of a memory operand, and the factor of an index that is not known."""
        memory = operand.mem
        base = _WHOLE.get(instruction.reg_name(memory.base), ("", 0))[0]
        value = state.get(base, UNKNOWN)
        if not memory.index:
            return add(value, memory.disp), None
        index = state.get(_WHOLE.get(instruction.reg_name(memory.index), ("", 0))[0], UNKNOWN)
        shift = operand.shift.value if operand.shift.type else 0
        if isinstance(index, ConstantValue) and not operand.ext:
            return add(value, signed(index.number) << shift), None
        if isinstance(index, PointerValue) and not isinstance(value, PointerValue):
            value = index
        return add(value, memory.disp), 1 << shift

    def _memory(self, instruction: Any, memory: Any, state: ValueState) -> None:
        base = _WHOLE.get(instruction.reg_name(memory.mem.base), ("", 0))[0]
        held = state.get(base, UNKNOWN)
        after = instruction.writeback and not instruction.op_str.rstrip().endswith("!")
        pointer, scale = (held, None) if after else self._pointer(instruction, memory, state)
        registers = [each for each in instruction.operands if each.type == cs.ARM64_OP_REG]
        first = instruction.reg_name(registers[0].reg) if registers else ""
        size = self._size(instruction.mnemonic, first)
        parts = _Transfer(pointer, scale, size, registers, first[:1] in ("q", "d", "s", "v"))
        if base != "sp" and not isinstance(held, StackValue) and not parts.is_vector:
            displacement = 0 if after else memory.mem.disp
            self.note_access(instruction.address, pointer, scale, size, base, displacement)
        if instruction.mnemonic.startswith(_LOADS):
            self._load(instruction, parts, state)
        else:
            self._store(instruction, parts, state)
        if instruction.writeback:
            last = instruction.operands[-1]
            is_number = after and last.type == cs.ARM64_OP_IMM
            state[base] = add(held, last.imm if is_number else memory.mem.disp)

    def _size(self, name: str, register: str) -> int:
        if name.endswith("b"):
            return 1
        if name.endswith("h"):
            return 2
        if name.endswith("sw"):
            return 4
        return 4 if register == "wzr" else _WHOLE.get(register, ("", 8))[1]

    def _load(self, instruction: Any, parts: _Transfer, state: ValueState) -> None:
        name = instruction.mnemonic
        single = name not in _PAIRS and name.startswith(_SINGLE_LOADS)
        targets = parts.registers[: 1 if single else 2]
        values = [
            UNKNOWN
            if parts.is_vector
            else self.read(
                add(parts.pointer, place * parts.size),
                parts.scale,
                parts.size,
                state,
                (instruction.address, place),
            )
            for place in range(len(targets))
        ]
        for target, value in zip(targets, values, strict=True):
            self._set(instruction, target, value, state)

    def _store(self, instruction: Any, parts: _Transfer, state: ValueState) -> None:
        sources = parts.registers[: 2 if instruction.mnemonic in _PAIRS else 1]
        if instruction.mnemonic.startswith(("stx", "stlx")):
            status = PlainValue((instruction.address, "status"), 0, ("int",))
            self._set(instruction, parts.registers[0], status, state)
            sources = parts.registers[1:2]
        for place, source in enumerate(sources):
            target = add(parts.pointer, place * parts.size)
            value = UNKNOWN if parts.is_vector else self._value(instruction, source, state)
            if isinstance(target, StackValue) and not parts.scale:
                state["stack", target.offset] = value
            else:
                self.written(target, parts.scale, parts.size, value)

    def _system_register(self, instruction: Any) -> FlowValue:
        """`current` is in sp_el0, the per-CPU offset in tpidr_el1 or el2 (asm/current.h, 4.10;
        asm/percpu.h).
        """
        name, origin = instruction.op_str.split(",")[1].strip().lower(), (instruction.address,)
        task = self.types.struct("task_struct")
        if name == "sp_el0" and task is not None:
            return PointerValue(task, 0, ("current",), frozenset((origin,)))
        if name in ("tpidr_el1", "tpidr_el2"):
            return PerCpuBase()
        return PlainValue(origin, 0, ("int",))

    def _sum(self, instruction: Any, state: ValueState) -> FlowValue:
        target, *sources = instruction.operands
        first, second = (self._value(instruction, each, state) for each in sources)
        origin, adds = (instruction.address,), instruction.mnemonic == "add"
        if instruction.reg_name(target.reg)[0] == "w":
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

    def _call(self, instruction: Any, state: ValueState) -> None:
        names = self.kernel.symbols.names_at(instruction.operands[0].imm & MASK)
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


def _aligns(operands: Any) -> bool:
    """Tell if this clears low bits, which marks in pointers are kept in."""
    last = operands[-1]
    is_number = len(operands) == 3 and last.type == cs.ARM64_OP_IMM
    return is_number and -16 <= signed(last.imm & MASK) < 0
