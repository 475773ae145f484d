"""x86-64: how instructions move pointers between registers, stack and memory.

In: instructions that are taken apart. Out: changed states, noted accesses. What an instruction does
that is not modelled gives its registers a value of no known type.
"""

from __future__ import annotations

from detector.member.decoding import FlowInstruction, FlowOperand
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
from detector.member.x86_operands import is_helper
from detector.symbols.btf import Kind

TRANSPARENT = frozenset(
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
THUNK = "__x86_indirect_thunk_"
_VARIANTS = (".isra", ".constprop", ".part")


class X86Moves(TypeFlow):
    """The state as instructions of x86-64 change it."""

    arguments = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
    result = "rax"
    clobbered = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")

    def step(self, instruction: FlowInstruction, state: ValueState) -> None:
        """Follows one instruction."""
        for operand in instruction.memory:
            if not isinstance(state.get(operand.register or operand.name), StackValue):
                pointer, scale = self._pointer(instruction, operand, state)
                self.note_access(
                    instruction.address, pointer, scale, operand.size, operand.name, operand.number
                )
        if instruction.action is not None:
            instruction.action(self, instruction, state)

    def _count(self, instruction: FlowInstruction, state: ValueState) -> None:
        step = 1 if instruction.mnemonic == "inc" else -1
        operand = instruction.operands[0]
        moved = add(self._value(instruction, operand, state), step)
        self._set(instruction, operand, moved, state)

    def _clear(self, instruction: FlowInstruction, state: ValueState) -> None:
        self._set(instruction, instruction.operands[0], ConstantValue(0), state)

    def _align(self, instruction: FlowInstruction, state: ValueState) -> None:
        operand = instruction.operands[0]
        value = self._value(instruction, operand, state)
        if not isinstance(value, PointerValue):
            chain = value.chain if isinstance(value, PlainValue) else ("?",)
            plain = self.hints.plain((instruction.address,), chain)
            self._set(instruction, operand, plain, state)

    def _choose(self, instruction: FlowInstruction, state: ValueState) -> None:
        target, source = instruction.operands[:2]
        first = self._value(instruction, target, state)
        second = self._value(instruction, source, state)
        merged = self.hints.merged(first, second, (instruction.address, "cmov"))
        self._set(instruction, target, merged, state)

    def _compare(self, instruction: FlowInstruction, state: ValueState) -> None:
        first, second = (self._value(instruction, each, state) for each in instruction.operands[:2])
        self.compared(first, second)

    def _pointer(
        self, instruction: FlowInstruction, operand: FlowOperand, state: ValueState
    ) -> tuple[FlowValue, int | None]:
        """The address of a memory operand, and the factor of an index that is not known."""
        displacement = operand.number
        if operand.name == "rip":
            target = instruction.address + instruction.size + displacement
            return ConstantValue(target & MASK), None
        value = state.get(operand.register, UNKNOWN) if operand.name else ConstantValue(0)
        if not operand.has_index:
            return add(value, displacement), None
        index = state.get(operand.index, UNKNOWN)
        if isinstance(index, ConstantValue):
            return add(value, displacement + index.number * operand.scale), None
        # The pointer may stand in the index, whose factor then is one.
        if isinstance(index, PointerValue) and operand.scale == 1:
            value = value if isinstance(value, PointerValue) else index
        return add(value, displacement), operand.scale

    def _load(
        self, instruction: FlowInstruction, operand: FlowOperand, state: ValueState
    ) -> FlowValue:
        pointer, scale = self._pointer(instruction, operand, state)
        origin = (instruction.address,)
        if operand.segment == "gs":
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

    def _value(
        self, instruction: FlowInstruction, operand: FlowOperand, state: ValueState
    ) -> FlowValue:
        if operand.kind == "number":
            return ConstantValue(operand.number & MASK)
        if operand.kind == "memory":
            return self._load(instruction, operand, state)
        value = state.get(operand.register, UNKNOWN)
        if operand.size == 8 or isinstance(value, ConstantValue):
            return value
        return PlainValue((instruction.address, "part"), 0, ("int",))

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
        origin = (instruction.address, register)
        if operand.size == 8 or (operand.size == 4 and isinstance(value, ConstantValue)):
            state[register] = value
        elif operand.size == 4:
            chain = value.chain if isinstance(value, PlainValue) else ("int",)
            state[register] = self.hints.plain(origin, chain)
        else:
            state[register] = PlainValue(origin, 0, ("int",))

    def _move(self, instruction: FlowInstruction, state: ValueState) -> None:
        target, source = instruction.operands
        value = self._value(instruction, source, state)
        if target.kind == "register":
            self._set(instruction, target, value, state)
            return
        pointer, scale = self._pointer(instruction, target, state)
        if isinstance(pointer, StackValue) and not scale:
            part = PlainValue((instruction.address, "stored"), 0, ("int",))
            state["stack", pointer.offset] = value if target.size == 8 else part
        else:
            self.written(pointer, scale, target.size, value)

    def _lea(self, instruction: FlowInstruction, state: ValueState) -> None:
        target, source = instruction.operands
        self._set(instruction, target, self._address(instruction, source, state), state)

    def _address(
        self, instruction: FlowInstruction, source: FlowOperand, state: ValueState
    ) -> FlowValue:
        pointer, scale = self._pointer(instruction, source, state)
        if not scale:
            return pointer
        origin = (instruction.address,)
        if not isinstance(pointer, PointerValue):
            return PlainValue(origin, 0, ("computed",))
        is_struct = self.types.kind(pointer.type) == Kind.STRUCT
        if is_struct and pointer.offset == 0 and self.types.size(pointer.type) == scale:
            return self.element_of(pointer, origin)
        return PlainValue(origin, 0, (*pointer.chain, "indexed"))

    def _sum(self, instruction: FlowInstruction, state: ValueState) -> None:
        first, second = (self._value(instruction, each, state) for each in instruction.operands)
        total = self._total(instruction, first, second)
        self._set(instruction, instruction.operands[0], total, state)

    def _total(
        self, instruction: FlowInstruction, first: FlowValue, second: FlowValue
    ) -> FlowValue:
        name, origin = instruction.mnemonic, (instruction.address,)
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

    def _stack(self, instruction: FlowInstruction, state: ValueState) -> None:
        name, pointer = instruction.mnemonic, state.get("rsp", UNKNOWN)
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

    def _exchange(self, instruction: FlowInstruction, state: ValueState) -> None:
        first, second = instruction.operands
        if first.kind == second.kind == "register":
            if first.size == 8:
                values = [self._value(instruction, each, state) for each in (first, second)]
                self._set(instruction, first, values[1], state)
                self._set(instruction, second, values[0], state)
            return
        register, memory = (first, second) if first.kind == "register" else (second, first)
        self._set(instruction, register, self._load(instruction, memory, state), state)

    def _unmodelled(
        self,
        instruction: FlowInstruction,
        state: ValueState,
        written: tuple[str, ...],
        target: FlowOperand | None,
    ) -> None:
        for name in written:
            if name == "rsp":
                state[name] = UNKNOWN
            else:
                state[name] = self.hints.plain((instruction.address, name), ("computed",))
        if target is not None:
            pointer, _ = self._pointer(instruction, target, state)
            if isinstance(pointer, StackValue):
                state["stack", pointer.offset] = UNKNOWN

    def _call(self, instruction: FlowInstruction, state: ValueState) -> None:
        operand, origin = instruction.operands[0], (instruction.address,)
        if operand.kind != "number":
            self.call_pointer(origin, state, self._value(instruction, operand, state))
            return
        names = self.kernel.symbols.names_at(operand.number & MASK)
        name = next((each for each in names if each in self.types.functions), "")
        first = names[0] if names else "?"
        if not TRANSPARENT.isdisjoint(names) or first.startswith("__sanitizer"):
            return
        thunk = next((each for each in names if each.startswith(THUNK)), "")
        if thunk:
            register = thunk.removeprefix(THUNK)
            self.call_pointer(origin, state, state.get(register, UNKNOWN))
        elif is_helper(first):
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
