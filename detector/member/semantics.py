"""Calls and memory as sources of types, whatever the architecture.

In: the state at an instruction. Out: the state after it, hints, noted accesses. Arguments and
results are of the types that a prototype says; a read gives the type of the member that is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import ClassVar

from detector.member.arguments import arguments_of
from detector.member.evidence import Hints
from detector.member.kernel import FunctionCode, KernelBuild, base_name
from detector.member.layout import Place
from detector.member.values import (
    UNKNOWN,
    Basis,
    ConstantValue,
    FlowValue,
    MixedValue,
    PlainValue,
    PointerValue,
    StackValue,
    ValueOrigin,
    ValueState,
)
from detector.symbols.btf import Kind

_STACK_REACH = 128  # bytes that a callee may write behind a pointer to the stack
COPIES = frozenset(
    (
        "memset",
        "__memset",
        "memcpy",
        "__memcpy",
        "memmove",
        "__memmove",
        "__pi_memcpy",
        "__pi_memset",
    )
)
"""Functions that return their first argument and know nothing of its type."""


@dataclass(frozen=True, slots=True)
class MemoryAccess:
    """One access of memory: `size` bytes at `pointer`.

    `scale` is the factor of an index that is added, `base` the register and `displacement` the
    constant of its address, `place` the member where it is named.
    """

    address: int
    pointer: FlowValue
    scale: int | None
    size: int
    place: Place | None
    base: str
    displacement: int


class Semantics:
    """The types of one function's values.

    `noted` is what the last walk saw of each access (pointer, scale, size, base, displacement),
    `accesses` the same with members.
    """

    arguments: ClassVar[tuple[str, ...]]
    """The registers of the arguments, in order."""
    result: ClassVar[str]
    clobbered: ClassVar[tuple[str, ...]]
    """The registers that a call may change."""

    def __init__(self, kernel: KernelBuild, function: FunctionCode) -> None:
        self.kernel = kernel
        self.function = function
        self.types, self.layouts = kernel.types, kernel.layouts
        self.hints = Hints(kernel.layouts)
        self.noted: dict[int, tuple[FlowValue, int | None, int, str, int]] = {}
        self.accesses: dict[int, MemoryAccess] = {}
        self.prototypes: Collection[int] = ()

    def returned(self, state: ValueState) -> None:
        """Uses the result as the function's prototype says."""
        if (number := self.result_type(self.prototypes)) is not None:
            info = self.types.info(self.types.bare(number))
            if info.kind == Kind.PTR:
                self.hints.used_as(state.get(self.result, UNKNOWN), info.value, "returned")

    def result_type(self, prototypes: Collection[int]) -> int | None:
        """The type that all of these return; None where they differ."""
        kinds = {self.types.bare(self.types.info(number).value) for number in prototypes}
        return kinds.pop() if len(kinds) == 1 else None

    def call(
        self, origin: ValueOrigin, state: ValueState, prototypes: Collection[int], name: str
    ) -> None:
        """Calls a function: its arguments are used as declared, its result is of its type."""
        self.pass_arguments(state, prototypes, name)
        for register in self.clobbered:
            state[register] = UNKNOWN
        chain = (f"return of {name}",)
        number = self.result_type(prototypes)
        value = None if number is None else self.hints.pointer(number, chain, origin)
        state[self.result] = value if value is not None else self.hints.plain(origin, chain)

    def call_variant(self, origin: ValueOrigin, state: ValueState, name: str) -> None:
        """Calls a copy of a function that the compiler made (`.isra.0`): its arguments may be
        others, its result is not.
        """
        self.call(origin, state, (), name)
        number = self.result_type(self.types.prototypes(base_name(name)))
        if number is not None:
            value = self.hints.pointer(number, (f"return of {name}",), origin, Basis.SOME_PATHS)
            if value is not None:
                state[self.result] = value

    def call_copy(self, origin: ValueOrigin, state: ValueState, name: str) -> None:
        """Calls a function that returns its first argument."""
        value = state.get(self.arguments[0], UNKNOWN)
        self.call(origin, state, (), name)
        state[self.result] = value

    def call_pointer(self, origin: ValueOrigin, state: ValueState, pointer: FlowValue) -> None:
        """Calls through a pointer to a function."""
        if isinstance(pointer, PointerValue) and self.types.kind(pointer.type) == Kind.FUNC_PROTO:
            self.call(origin, state, (pointer.type,), pointer.chain[-1])
        else:
            self.call(origin, state, (), "a function pointer")

    def pass_arguments(self, state: ValueState, prototypes: Collection[int], callee: str) -> None:
        """Notes what arguments are used as; what the stack holds behind one may be changed."""
        lists = [arguments_of(self, number) for number in prototypes]
        for register, (number, _, _) in lists[0].items() if lists else ():
            bare = self.types.bare(number)
            info = self.types.info(bare)
            if info.kind == Kind.PTR and all(
                register in other and self.types.bare(other[register][0]) == bare for other in lists
            ):
                self.hints.used_as(state.get(register, UNKNOWN), info.value, f"passed to {callee}")
        for register in self.arguments:
            value = state.get(register)
            if isinstance(value, StackValue):
                self._forget_stack(state, value.offset)

    def passed_to(self, names: Iterable[str]) -> frozenset[str]:
        """The argument registers that count for a call of a function: those that its prototypes
        name, or all where there is none, or where it takes more than they name.
        """
        name = next((each for each in names if each in self.types.functions), "")
        lists = [self.types.parameters(number) for number in self.types.prototypes(name)]
        if not lists or any(list_ and not list_[-1][1] for list_ in lists):
            return frozenset(self.arguments)
        return frozenset().union(*(arguments_of(self, n) for n in self.types.prototypes(name)))

    def _forget_stack(self, state: ValueState, start: int) -> None:
        for key, value in state.items():
            if not isinstance(key, tuple) or isinstance(value, StackValue):
                continue
            if start <= key[1] < min(start + _STACK_REACH, 0):
                state[key] = UNKNOWN

    # Memory.
    def note_access(
        self,
        address: int,
        pointer: FlowValue,
        scale: int | None,
        size: int,
        base: str,
        displacement: int,
    ) -> None:
        """Notes an access through a register."""
        self.noted[address] = pointer, scale, size, base, displacement

    def access_noted(self, address: int) -> MemoryAccess | None:
        """The access of an instruction, as the last walk noted it, with its member."""
        if address not in self.noted:
            return None
        pointer, scale, size, base, displacement = self.noted[address]
        place = None
        if isinstance(pointer, PointerValue):
            place = self.layouts.place(pointer.type, pointer.offset, size, scale)
        return MemoryAccess(address, pointer, scale, size, place, base, displacement)

    def read(
        self,
        pointer: FlowValue,
        scale: int | None,
        size: int,
        state: ValueState,
        origin: ValueOrigin,
    ) -> FlowValue:
        """Read memory: the value that comes of it."""
        if isinstance(pointer, StackValue):
            kept = None if scale else state.get(("stack", pointer.offset))
            if kept is not None and size == 8:
                return kept
            return self.hints.plain(origin, ("stack",))
        if not isinstance(pointer, PointerValue):
            return self.hints.plain(origin, self.constant_chain(pointer))
        place = self.layouts.place(pointer.type, pointer.offset, size, scale)
        if place is None:
            return self.hints.plain(origin, ("?",))
        chain = (*pointer.chain[-2:], f"{self.types.name(pointer.type)}.{place.text}")
        if place.type and place.offset == 0 and size == 8:
            value = self.hints.pointer(place.type, chain, origin, pointer.basis)
            if value is not None:
                return value
        return self.hints.plain(origin, chain)

    def constant_chain(self, pointer: FlowValue) -> tuple[str, ...]:
        """The words for a read at a fixed address."""
        if not isinstance(pointer, ConstantValue):
            return ("?",)
        name = next(iter(self.kernel.symbols.names_at(pointer.number)), hex(pointer.number))
        return (f"global {name}",)

    def written(self, pointer: FlowValue, scale: int | None, size: int, value: FlowValue) -> None:
        """A write says what the value is, where the member is a pointer."""
        if not isinstance(pointer, PointerValue) or size != 8:
            return
        if not isinstance(value, PointerValue | PlainValue):
            return
        place = self.layouts.place(pointer.type, pointer.offset, 8, scale)
        if place is not None and place.type and place.offset == 0:
            info = self.types.info(self.types.bare(place.type))
            if info.kind == Kind.PTR:
                self.hints.used_as(value, info.value, f"stored in {place.text}")

    def compared(self, first: FlowValue, second: FlowValue) -> None:
        """Values that are compared are of one type."""
        for value, other in ((first, second), (second, first)):
            if not isinstance(value, PointerValue) or not isinstance(other, PlainValue):
                continue
            if value.offset == 0 and value.basis < Basis.USE:
                self.hints.used_as(other, value.type, "compared with such a pointer")
                return

    def element(self, value: FlowValue, other: FlowValue, origin: ValueOrigin) -> FlowValue | None:
        """A pointer to a struct plus what is not known, or None where it is none."""
        if not isinstance(value, PointerValue) or not isinstance(other, PlainValue | MixedValue):
            return None
        is_struct = self.types.kind(value.type) == Kind.STRUCT
        if value.offset or not is_struct or not self.types.members(value.type):
            return None
        return None if self.layouts.is_flexible(value.type) else self.element_of(value, origin)

    def element_of(self, pointer: PointerValue, origin: ValueOrigin) -> PointerValue:
        """A pointer to an element of an array, whose index is not known."""
        return PointerValue(
            pointer.type,
            0,
            (*pointer.chain, "element"),
            frozenset((origin,)),
            max(pointer.basis, Basis.SOME_PATHS),
        )

    def per_cpu(self, address: int, origin: ValueOrigin) -> FlowValue:
        """The address of a per-CPU variable of this CPU."""
        variable = self.kernel.per_cpu(address)
        if variable is None:
            return self.hints.plain(origin, ("per-CPU",))
        name, number, offset = variable
        origins = frozenset((origin,))
        return PointerValue(self.types.bare(number), offset, (f"per-CPU {name}",), origins)
