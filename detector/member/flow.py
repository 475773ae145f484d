"""Follows a function's code and notes the type of every pointer that it uses.

In: a function of a `KernelBuild`. Out: its `MemoryAccess`es by address. This is the walk over the
code, which no architecture changes: from block to block until nothing is new, in rounds of hints.
Calls and memory are in `semantics`.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence

from detector.member.arguments import argument_types, entry_state
from detector.member.blocks import CodeBlock, blocks_of, leading_to
from detector.member.decoding import FlowInstruction, Transfer
from detector.member.fit import fit_containers, may_fit
from detector.member.kernel import FunctionCode, KernelBuild
from detector.member.semantics import MemoryAccess, Semantics
from detector.member.values import (
    MixedValue,
    PointerValue,
    ValueOrigin,
    ValueState,
    origin_address,
)

_ROUNDS = 3
_MOST_VISITS = 12  # of one block: a value that still changes is not going to be named
_NEVER_RETURN = frozenset(
    (
        "__stack_chk_fail",
        "panic",
        "do_exit",
        "make_task_dead",
        "fortify_panic",
        "__ubsan_handle_builtin_unreachable",
        "__reiserfs_panic",
    )
)


class TypeFlow(Semantics, ABC):
    """The analysis of one function; subclasses know an architecture."""

    def __init__(
        self,
        kernel: KernelBuild,
        function: FunctionCode,
        *,
        follows_callers: bool = True,
        fits: bool = True,
    ) -> None:
        super().__init__(kernel, function)
        self.calls: dict[int, tuple[int | None, ValueState]] = {}
        self.instructions: Mapping[int, tuple[int, str]] = self.decode()
        self._apart: dict[int, FlowInstruction] = {}
        self._follows_callers = follows_callers
        self._fits = fits
        self._from_callers: Mapping[str, PointerValue] | None = None

    # What an architecture says.
    @abstractmethod
    def decode(self) -> Mapping[int, tuple[int, str]]:
        """(size, mnemonic) of the function's instructions by address."""

    @abstractmethod
    def take_apart(self, address: int, code: bytes) -> FlowInstruction:
        """An instruction with what it reads, does and writes."""

    @abstractmethod
    def step(self, instruction: FlowInstruction, state: ValueState) -> None:
        """Changes the state as the instruction does, and notes its accesses."""

    @abstractmethod
    def initial(self) -> ValueState:
        """The registers at the entry that hold no arguments."""

    # The walk.
    def analyse(self, rounds: int = _ROUNDS, goal: int | None = None) -> dict[int, MemoryAccess]:
        """Follows the function in rounds, until no use says anything new. With a `goal`, only what
        leads to that instruction.
        """
        blocks = self._blocks()
        places = None if goal is None else leading_to(blocks, goal)
        for _ in range(rounds):
            self._walk(blocks, places)
            if not self.hints.next_round():
                break
        return self._fitted()

    def access_at(self, address: int) -> MemoryAccess | None:
        """The access of one instruction, as `analyse` has it.

        The last round follows only what leads to the instruction, if anything new is about that;
        containers are sought if it needs one.
        """
        blocks = self._blocks()
        for _ in range(_ROUNDS - 1):
            self._walk(blocks, None)
            if not (new := self.hints.next_round()):
                break
        else:
            places = leading_to(blocks, address)
            if self._is_about(new, blocks, places):
                self._walk(blocks, places)
        access = self.access_noted(address)
        if access is None or not may_fit(self, access):
            return access
        self._walk(blocks, None)
        return self._fitted().get(address)

    def _fitted(self) -> dict[int, MemoryAccess]:
        """What the last walk noted, with the containers that fit."""
        noted = map(self.access_noted, self.noted)
        self.accesses = {access.address: access for access in noted if access is not None}
        if self._fits:
            fit_containers(self)
        return self.accesses

    @staticmethod
    def _is_about(
        origins: Collection[ValueOrigin], blocks: Sequence[CodeBlock], places: Collection[int]
    ) -> bool:
        """Tell if a value of some of these blocks has one of these origins."""
        addresses = {each.address for place in places for each in blocks[place].instructions}
        return any(origin_address(origin) in (None, *addresses) for origin in origins)

    def _blocks(self) -> list[CodeBlock]:
        if self.function.start not in self.instructions:
            return []  # it does not begin with an instruction
        order = sorted(self.instructions)
        return blocks_of(self.function.start, order, self._instruction_at, self._ends)

    def _instruction_at(self, address: int) -> FlowInstruction:
        if address not in self._apart:
            place = address - self.function.start
            code = self.function.code[place : place + self.instructions[address][0]]
            self._apart[address] = self.take_apart(address, code)
        return self._apart[address]

    def _walk(self, blocks: Sequence[CodeBlock], places: Collection[int] | None) -> None:
        self.hints.forget_round()
        self.noted, self.calls = {}, {}
        if not blocks:
            return
        states: dict[int, ValueState] = {0: self._entry()}
        heap, waiting = [0], {0}
        visits = [0] * len(blocks)
        while heap:
            place = heapq.heappop(heap)
            waiting.discard(place)
            visits[place] += 1
            if visits[place] > _MOST_VISITS:
                continue
            state = dict(states[place])
            self._follow(blocks[place], state)
            for target in blocks[place].targets:
                if places is not None and target not in places:
                    continue
                if self._meet(states, target, blocks[target], state) and target not in waiting:
                    heapq.heappush(heap, target)
                    waiting.add(target)

    def _follow(self, block: CodeBlock, state: ValueState) -> None:
        """Follows the instructions of a block."""
        for instruction in block.instructions:
            transfer = instruction.transfer
            kind = transfer.kind
            if kind == "next":
                self.step(instruction, state)
            elif kind == "return":
                self.returned(state)
            elif kind == "call":
                self.calls[instruction.address] = transfer.target, dict(state)
                if not self._ends(transfer.target):
                    self.step(instruction, state)
            elif transfer.target is not None and transfer.target not in self.instructions:
                self._tail_call(instruction.address, transfer, state)
            if kind == "branch":
                self.step(instruction, state)

    def _tail_call(self, address: int, transfer: Transfer, state: ValueState) -> None:
        """A jump out of the function: to a return thunk, or to a function with these arguments."""
        assert transfer.target is not None
        name = next(iter(self.kernel.symbols.names_at(transfer.target)), "")
        if transfer.kind == "jump" and name == "__x86_return_thunk":
            self.returned(state)
        elif transfer.kind == "jump" and name in self.types.functions:
            self.pass_arguments(state, self.types.prototypes(name), name)
        self.calls[address] = transfer.target, dict(state)

    def _ends(self, target: int | None) -> bool:
        if target is None:
            return False
        names = self.kernel.symbols.names_at(target)
        return bool(names) and names[0] in _NEVER_RETURN

    def _meet(
        self, states: dict[int, ValueState], place: int, block: CodeBlock, state: ValueState
    ) -> bool:
        """Merges a state into that at the start of a block; whether it changed. What the block and
        those behind it do not read is left out.
        """
        present = states.get(place)
        if present is None:
            live = block.live
            states[place] = {
                name: value
                for name, value in state.items()
                if name in live or isinstance(name, tuple)
            }
            return True
        changed: ValueState = {}
        gone = []
        start = block.instructions[0].address
        for name, value in present.items():
            other = state.get(name)
            if value is other:
                continue
            if other is None:
                gone.append(name)
            elif not (isinstance(value, MixedValue) and value.origin == ("meet", start, name)):
                merged = self.hints.merged(value, other, ("meet", start, name))
                if merged is not value and merged != value:
                    changed[name] = merged
        present.update(changed)
        for name in gone:
            del present[name]
        return bool(changed or gone)

    def _entry(self) -> ValueState:
        entry = entry_state(self)
        state: ValueState = {**entry.state, **self.initial()}
        self.prototypes = entry.prototypes
        if entry.asks_callers and self._follows_callers and self._from_callers is None:
            self._from_callers = argument_types(self)
        for register, pointer in (self._from_callers or {}).items():
            if not isinstance(state[register], PointerValue):
                state[register] = pointer
        return state
