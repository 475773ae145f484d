"""Types of a function's arguments: by its prototype, else by those who call it.

In: the analysis of a function. Out: values of the argument registers at its entry. A prototype is
sure where one function has that name and the compiler changed nothing.

Sources: System V AMD64 ABI 3.2.3, AAPCS64 6.4: integers and pointers fill the registers in order, a
struct of up to 16 bytes takes one or two, a larger one is passed in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.member.kernel import base_name
from detector.member.values import Basis, PlainValue, PointerValue, ValueState
from detector.symbols.btf import COMPOSITES, Kind

if TYPE_CHECKING:
    from detector.member.flow import TypeFlow
    from detector.member.semantics import Semantics

RegisterParameters = dict[str, tuple[int, str, int]]
"""Register → (type, name, number from 1 on)."""

_MOST_KEPT = 2_000  # prototypes of a kernel whose registers are kept
_MOST_SITES = 12
_MOST_CALLERS = 4
_MOST_INSTRUCTIONS = 6000
_SYSTEM_CALLS = ("__x64_sys_", "__ia32_", "__do_sys_pt")


@dataclass(frozen=True, slots=True)
class EntryState:
    """The argument registers at the entry; `asks_callers`: no prototype says their types."""

    state: ValueState
    prototypes: Collection[int]
    asks_callers: bool


def arguments_of(flow: Semantics, prototype: int) -> RegisterParameters:
    """The registers of a prototype's parameters."""
    known = flow.kernel.register_parameters
    parameters = known.get(prototype)
    if parameters is None:
        if len(known) >= _MOST_KEPT:
            known.clear()
        parameters = known[prototype] = _arguments_of(flow, prototype)
    return parameters


def _arguments_of(flow: Semantics, prototype: int) -> RegisterParameters:
    types, registers = flow.types, flow.arguments
    place = 0
    parameters: RegisterParameters = {}
    result = types.bare(types.info(prototype).value)
    if flow.result == "rax" and types.kind(result) in COMPOSITES and types.size(result) > 16:
        place = 1  # the caller passes where the result goes
    for number, (name, kind) in enumerate(types.parameters(prototype), 1):
        bare = types.bare(kind)
        if types.kind(bare) in COMPOSITES:
            size = types.size(bare)
            if size <= 16 and place + (size + 7) // 8 <= len(registers):
                place += (size + 7) // 8
            continue
        if types.kind(bare) == Kind.FLOAT:
            continue
        if place < len(registers):
            parameters[registers[place]] = kind, name, number
        place += 1
    return parameters


def entry_state(flow: TypeFlow) -> EntryState:
    """The argument registers, as far as the prototype says their types."""
    name, types = flow.function.name, flow.types
    state: ValueState = {
        register: PlainValue(("argument", register), 0, (f"register {register} on entry",))
        for register in flow.arguments
    }
    prototypes, exact = types.prototypes(name), True
    if not prototypes and "." in name and ".cold" not in name:
        prototypes, exact = types.prototypes(base_name(name)), False
    changed = not exact and (".isra" in name or ".constprop" in name)
    is_shared = len(flow.kernel.symbols.addresses_of(name)) > 1
    basis = Basis.DECLARED if exact and not is_shared else Basis.SOME_PATHS
    lists = [arguments_of(flow, number) for number in prototypes]
    if lists and not changed and all(other == lists[0] for other in lists):
        for register, (kind, parameter, number) in lists[0].items():
            chain = (f"argument {number} `{parameter}`",)
            value = flow.hints.pointer(kind, chain, ("argument", register), basis)
            if value is not None:
                state[register] = value
    known = any(isinstance(value, PointerValue) for value in state.values())
    asks = not known and ".cold" not in name and (not prototypes or not exact)
    _system_call(flow, state)
    for register in flow.arguments:
        if isinstance(plain := state[register], PlainValue):
            state[register] = flow.hints.applied(("argument", register), plain)
    return EntryState(state, prototypes, asks)


def _system_call(flow: TypeFlow, state: ValueState) -> None:
    """System calls take the registers of user space (arch/x86/include/asm/syscall_wrapper.h)."""
    first = flow.arguments[0]
    number = flow.types.struct("pt_regs")
    if number is None or isinstance(state[first], PointerValue):
        return
    if flow.function.name.startswith(_SYSTEM_CALLS):
        origins = frozenset((("argument", first),))
        state[first] = PointerValue(number, 0, ("argument 1 `regs`",), origins, Basis.SOME_PATHS)


def argument_types(flow: TypeFlow) -> Mapping[str, PointerValue]:
    """The types that all examined callers pass in a register."""
    target, seen = flow.function.start, []
    for site in flow.kernel.callers(target)[:_MOST_SITES]:
        function = flow.kernel.function_at(site)
        if function is None or function.start == target:
            continue
        if len(function.code) > 4 * _MOST_INSTRUCTIONS:
            continue
        caller = type(flow)(flow.kernel, function, follows_callers=False, fits=False)
        if site not in caller.instructions:
            continue
        caller.analyse(2, goal=site)
        called, state = caller.calls.get(site, (None, {}))
        if called == target:
            seen.append((function.name, state))
        if len(seen) >= _MOST_CALLERS:
            break
    agreed = {}
    for register in flow.arguments:
        passed = [
            (name, value)
            for name, state in seen
            if isinstance(value := state.get(register), PointerValue) and value.basis < Basis.USE
        ]
        if len({(value.type, value.offset) for _, value in passed}) == 1:
            name, value = passed[0]
            chain = (f"register {register} on entry, typed by its caller {name}",)
            origins = frozenset((("argument", register),))
            agreed[register] = PointerValue(
                value.type, value.offset, chain, origins, Basis.SOME_PATHS
            )
    return agreed
