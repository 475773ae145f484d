"""x86-64: how instructions move pointers between registers, stack and memory.

In: instructions as capstone decodes them. Out: changed states, noted accesses. What an instruction
does that is not modelled gives its registers a value of no known type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import capstone
from capstone import x86 as cs

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
from detector.symbols.btf import Kind

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
_TRANSPARENT = frozenset(
    (
        "__fentry__",
        "preempt_schedule_thunk",
        "preempt_schedule_notrace_thunk",
        "__x86_return_thunk",
        "__rcu_read_lock",
        "ftrace_stub",
    )
)
"""Functions that keep every register, or all that matter here."""
_THUNK = "__x86_indirect_thunk_"
_VARIANTS = (".isra", ".constprop", ".part")
_SILENT = frozenset(("test", "nop", "endbr64", "ud2", "cmp"))


class X86Flow(TypeFlow):
    """The analysis of a function of x86-64."""

    arguments = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
    result = "rax"
    clobbered = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")

    def decode(self) -> Mapping[int, Any]:
        """The instructions; bytes that are none are passed over."""
        return decode_all(capstone.CS_ARCH_X86, capstone.CS_MODE_64, self.function, 1)

    def initial(self) -> ValueState:
        """Nothing is known of the registers that are kept; the stack begins here."""
        names = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rax", "r10", "r11")
        return {**dict.fromkeys(names, UNKNOWN), "rsp": StackValue(0)}

    def transfer(self, instruction: Any) -> Transfer:
        """Jumps, calls and returns."""
        name, operands = instruction.mnemonic, instruction.operands
        if name[0] == "j" or name.startswith("loop"):
            is_known = bool(operands) and operands[0].type == cs.X86_OP_IMM
            target = operands[0].imm & MASK if is_known else None
            return Transfer("jump" if name == "jmp" else "branch", target)
        if name in ("ret", "int3", "iretq"):
            return Transfer("return")
        if name == "call" and operands[0].type == cs.X86_OP_IMM:
            return Transfer("call", operands[0].imm & MASK)
        return NEXT

    def step(self, instruction: Any, state: ValueState) -> None:
        """Follows one instruction."""
        name = instruction.mnemonic
        if name[0] == "j":
            return
        if name.startswith(("rep", "lock")):
            name = name.rsplit(" ", 1)[-1]
        self._note(instruction, name, state)
        operands = instruction.operands
        wide = bool(operands) and operands[0].size == 8
        is_register = bool(operands) and operands[0].type == cs.X86_OP_REG
        if name == "call":
            self._call(instruction, state)
        elif name in ("mov", "movabs") and len(operands) == 2:
            self._move(instruction, state)
        elif name == "lea":
            self._set(instruction, operands[0], self._lea(instruction, state), state)
        elif name in ("add", "sub") and is_register and wide:
            self._set(instruction, operands[0], self._sum(instruction, name, state), state)
        elif name in ("inc", "dec") and is_register and wide:
            step = 1 if name == "inc" else -1
            moved = add(self._value(instruction, operands[0], state), step)
            self._set(instruction, operands[0], moved, state)
        elif name in ("push", "pop", "leave"):
            self._stack(instruction, name, state)
        elif name == "xchg" and len(operands) == 2:
            self._exchange(instruction, state)
        else:
            self._others(instruction, name, state)

    def _others(self, instruction: Any, name: str, state: ValueState) -> None:
        operands, address = instruction.operands, instruction.address
        registers = [operand for operand in operands if operand.type == cs.X86_OP_REG]
        if name == "xor" and len(registers) == 2 and registers[0].reg == registers[1].reg:
            self._set(instruction, operands[0], ConstantValue(0), state)
        elif name == "and" and _aligns(operands):
            value = self._value(instruction, operands[0], state)
            if not isinstance(value, PointerValue):
                chain = value.chain if isinstance(value, PlainValue) else ("?",)
                plain = self.hints.plain((address,), chain)
                self._set(instruction, operands[0], plain, state)
        elif name.startswith("cmov") and operands[0].size == 8:
            first, second = (self._value(instruction, each, state) for each in operands[:2])
            merged = self.hints.merged(first, second, (address, "cmov"))
            self._set(instruction, operands[0], merged, state)
        elif name == "cmp" and operands[0].size == 8:
            self.compared(*(self._value(instruction, each, state) for each in operands[:2]))
        elif name not in _SILENT:
            self._unmodelled(instruction, state)

    def _note(self, instruction: Any, name: str, state: ValueState) -> None:
        if name in ("lea", "nop") or name.startswith("prefetch"):
            return
        for operand in instruction.operands:
            if operand.type != cs.X86_OP_MEM or not operand.mem.base or operand.mem.segment:
                continue
            base = instruction.reg_name(operand.mem.base)
            if base in ("rip", "rsp"):
                continue
            if not isinstance(state.get(_WHOLE.get(base, base), UNKNOWN), StackValue):
                pointer, scale = self._pointer(instruction, operand, state)
                displacement = operand.mem.disp
                self.note_access(
                    instruction.address, pointer, scale, operand.size, base, displacement
                )

    def _pointer(
        self, instruction: Any, operand: Any, state: ValueState
    ) -> tuple[FlowValue, int | None]:
        """The address of a memory operand, and the factor of an index that is not known."""
        memory = operand.mem
        base = instruction.reg_name(memory.base) if memory.base else ""
        if base == "rip":
            target = instruction.address + instruction.size + memory.disp
            return ConstantValue(target & MASK), None
        value = state.get(_WHOLE.get(base, ""), UNKNOWN) if base else ConstantValue(0)
        if not memory.index:
            return add(value, memory.disp), None
        index = state.get(_WHOLE.get(instruction.reg_name(memory.index), ""), UNKNOWN)
        if isinstance(index, ConstantValue):
            return add(value, memory.disp + index.number * memory.scale), None
        # The pointer may stand in the index, whose factor then is one.
        if isinstance(index, PointerValue) and memory.scale == 1:
            value = value if isinstance(value, PointerValue) else index
        return add(value, memory.disp), memory.scale

    def _load(self, instruction: Any, operand: Any, state: ValueState) -> FlowValue:
        pointer, scale = self._pointer(instruction, operand, state)
        origin = (instruction.address,)
        if operand.mem.segment and instruction.reg_name(operand.mem.segment) == "gs":
            return self._load_per_cpu(pointer, operand.size, origin)
        return self.read(pointer, scale, operand.size, state, origin)

    def _load_per_cpu(self, pointer: FlowValue, size: int, origin: tuple[int]) -> FlowValue:
        variable = (
            self.kernel.per_cpu(pointer.number) if isinstance(pointer, ConstantValue) else None
        )
        if variable is None:
            return self.hints.plain(origin, ("per-CPU",))
        name, number, offset = variable
        if name == "this_cpu_off":
            return PerCpuBase()
        leaf, _ = self.layouts.best(self.layouts.leaves(number, offset, size), size)
        chain = (f"per-CPU {name}",)
        value = self.hints.pointer(leaf.type, chain, origin) if leaf and size == 8 else None
        return value if value is not None else self.hints.plain(origin, ("per-CPU",))

    def _value(self, instruction: Any, operand: Any, state: ValueState) -> FlowValue:
        if operand.type == cs.X86_OP_IMM:
            return ConstantValue(operand.imm & MASK)
        if operand.type == cs.X86_OP_MEM:
            return self._load(instruction, operand, state)
        value = state.get(_WHOLE.get(instruction.reg_name(operand.reg), ""), UNKNOWN)
        if operand.size == 8 or isinstance(value, ConstantValue):
            return value
        return PlainValue((instruction.address, "part"), 0, ("int",))

    def _set(self, instruction: Any, operand: Any, value: FlowValue, state: ValueState) -> None:
        if operand.type != cs.X86_OP_REG:
            return
        register = _WHOLE.get(instruction.reg_name(operand.reg))
        if register is None:
            return
        origin = (instruction.address, register)
        if operand.size == 8 or (operand.size == 4 and isinstance(value, ConstantValue)):
            state[register] = value
        elif operand.size == 4:
            chain = value.chain if isinstance(value, PlainValue) else ("int",)
            state[register] = self.hints.plain(origin, chain)
        else:
            state[register] = PlainValue(origin, 0, ("int",))

    def _move(self, instruction: Any, state: ValueState) -> None:
        target, source = instruction.operands
        value = self._value(instruction, source, state)
        if target.type == cs.X86_OP_REG:
            self._set(instruction, target, value, state)
            return
        pointer, scale = self._pointer(instruction, target, state)
        if isinstance(pointer, StackValue) and not scale:
            part = PlainValue((instruction.address, "stored"), 0, ("int",))
            state["stack", pointer.offset] = value if target.size == 8 else part
        else:
            self.written(pointer, scale, target.size, value)

    def _lea(self, instruction: Any, state: ValueState) -> FlowValue:
        pointer, scale = self._pointer(instruction, instruction.operands[1], state)
        if not scale:
            return pointer
        origin = (instruction.address,)
        if not isinstance(pointer, PointerValue):
            return PlainValue(origin, 0, ("computed",))
        is_struct = self.types.kind(pointer.type) == Kind.STRUCT
        if is_struct and pointer.offset == 0 and self.types.size(pointer.type) == scale:
            return self.element_of(pointer, origin)
        return PlainValue(origin, 0, (*pointer.chain, "indexed"))

    def _sum(self, instruction: Any, name: str, state: ValueState) -> FlowValue:
        first, second = (self._value(instruction, each, state) for each in instruction.operands)
        origin = (instruction.address,)
        if isinstance(second, PerCpuBase):
            if isinstance(first, ConstantValue):
                return self.per_cpu(first.number, origin)
            is_pointer = isinstance(first, PointerValue)
            return first if is_pointer else PlainValue(origin, 0, ("per-CPU",))
        if isinstance(first, PerCpuBase) and isinstance(second, PointerValue):
            return second
        if isinstance(second, ConstantValue):
            distance = signed(second.number)
            return add(first, distance if name == "add" else -distance)
        if name == "add":
            for value, other in ((first, second), (second, first)):
                if (moved := self._indexed(value, other, origin)) is not None:
                    return moved
        chain = first.chain if isinstance(first, PointerValue | PlainValue) else ()
        return self.hints.plain(origin, (*chain, "computed"))

    def _indexed(self, value: FlowValue, other: FlowValue, origin: tuple[int]) -> FlowValue | None:
        """A pointer plus what is not known: an element; a per-CPU offset of some CPU: its copy."""
        if isinstance(value, PlainValue) and isinstance(other, ConstantValue):
            is_copy = value.chain[-1:] == ("global __per_cpu_offset",)
            return self.per_cpu(other.number, origin) if is_copy else None
        return self.element(value, other, origin)

    def _stack(self, instruction: Any, name: str, state: ValueState) -> None:
        pointer = state.get("rsp", UNKNOWN)
        if name == "leave":
            state["rsp"], state["rbp"] = add(state.get("rbp", UNKNOWN), 8), UNKNOWN
        elif name == "push":
            value = self._value(instruction, instruction.operands[0], state)
            if isinstance(pointer, StackValue):
                state["rsp"] = StackValue(pointer.offset - 8)
                state["stack", pointer.offset - 8] = value
        else:
            value = UNKNOWN
            if isinstance(pointer, StackValue):
                value = state.get(("stack", pointer.offset), UNKNOWN)
                state["rsp"] = StackValue(pointer.offset + 8)
            self._set(instruction, instruction.operands[0], value, state)

    def _exchange(self, instruction: Any, state: ValueState) -> None:
        first, second = instruction.operands
        if first.type == second.type == cs.X86_OP_REG:
            if first.size == 8:
                values = [self._value(instruction, each, state) for each in (first, second)]
                self._set(instruction, first, values[1], state)
                self._set(instruction, second, values[0], state)
            return
        register, memory = (first, second) if first.type == cs.X86_OP_REG else (second, first)
        self._set(instruction, register, self._load(instruction, memory, state), state)

    def _unmodelled(self, instruction: Any, state: ValueState) -> None:
        try:
            written = instruction.regs_access()[1]
        except capstone.CsError:
            written = ()
        for register in written:
            name = _WHOLE.get(instruction.reg_name(register))
            if name == "rsp":
                state[name] = UNKNOWN
            elif name:
                state[name] = self.hints.plain((instruction.address, name), ("computed",))
        target = instruction.operands[0] if instruction.operands else None
        if target is not None and target.type == cs.X86_OP_MEM:
            pointer, _ = self._pointer(instruction, target, state)
            if isinstance(pointer, StackValue):
                state["stack", pointer.offset] = UNKNOWN

    def _call(self, instruction: Any, state: ValueState) -> None:
        operand, origin = instruction.operands[0], (instruction.address,)
        if operand.type != cs.X86_OP_IMM:
            self.call_pointer(origin, state, self._value(instruction, operand, state))
            return
        names = self.kernel.symbols.names_at(operand.imm & MASK)
        name = next((each for each in names if each in self.types.functions), "")
        first = names[0] if names else "?"
        if not _TRANSPARENT.isdisjoint(names) or first.startswith("__sanitizer"):
            return
        thunk = next((each for each in names if each.startswith(_THUNK)), "")
        if thunk:
            register = thunk.removeprefix(_THUNK)
            self.call_pointer(origin, state, state.get(register, UNKNOWN))
        elif first.startswith(("__get_user_", "__put_user_")):
            kept = ("rax", "rdx", "rcx", "r8") if first[2] == "g" else ("rcx", "rbx")
            state.update(dict.fromkeys(kept, UNKNOWN))
        elif (name or first) in COPIES:
            self.call_copy(origin, state, name or first)
        elif name:
            self.call(origin, state, self.types.prototypes(name), name)
        elif any(suffix in first for suffix in _VARIANTS):
            self.call_variant(origin, state, first)
        else:
            self.call(origin, state, (), first)


def _aligns(operands: Any) -> bool:
    """Tell if this clears low bits of a register, which marks in pointers are kept in."""
    target, source = operands
    is_whole = target.type == cs.X86_OP_REG and target.size == 8
    return bool(is_whole and source.type == cs.X86_OP_IMM and -16 <= source.imm < 0)
