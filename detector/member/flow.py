"""Follows a function's code and notes the type of every pointer that it uses.

In: a function of a `KernelBuild`. Out: its `MemoryAccess`es by address. This is the walk over the
code, which no architecture changes: from block to block until nothing is new, in rounds of hints.
Calls and memory are in `semantics`.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from detector.member.arguments import argument_types, entry_state
from detector.member.fit import fit_containers
from detector.member.kernel import FunctionCode, KernelBuild
from detector.member.semantics import MemoryAccess, Semantics
from detector.member.values import PointerValue, ValueState

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
TransferKind = Literal["jump", "branch", "return", "call", "next"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """The way on from an instruction; `target` is None where that is computed."""

    kind: TransferKind
    target: int | None = None


NEXT = Transfer("next")


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
        self.instructions: Mapping[int, Any] = self.decode()
        self.order = sorted(self.instructions)
        self._follows_callers = follows_callers
        self._fits = fits
        self._from_callers: Mapping[str, PointerValue] | None = None

    # What an architecture says.
    @abstractmethod
    def decode(self) -> Mapping[int, Any]:
        """The function's instructions by address."""

    @abstractmethod
    def transfer(self, instruction: Any) -> Transfer:
        """The way on from an instruction."""

    @abstractmethod
    def step(self, instruction: Any, state: ValueState) -> None:
        """Changes the state as the instruction does, and notes its accesses."""

    @abstractmethod
    def initial(self) -> ValueState:
        """The registers at the entry that hold no arguments."""

    # The walk.
    def analyse(self, rounds: int = 3) -> dict[int, MemoryAccess]:
        """Follows the function in rounds, until no use says anything new."""
        for _ in range(rounds):
            self._walk()
            if not self.hints.next_round():
                break
        if self._fits:
            fit_containers(self)
        return self.accesses

    def _walk(self) -> None:
        self.hints.forget_round()
        self.accesses, self.calls = {}, {}
        if self.function.start not in self.instructions:
            return  # it does not begin with an instruction
        rank = {address: place for place, address in enumerate(self.order)}
        leaders = self._leaders(rank)
        start = self.function.start
        states: dict[int, ValueState] = {start: self._entry()}
        heap, waiting = [(0, start)], {start}
        visits: dict[int, int] = {}
        while heap:
            block = heapq.heappop(heap)[1]
            waiting.discard(block)
            visits[block] = visits.get(block, 0) + 1
            if visits[block] > _MOST_VISITS:
                continue
            state = dict(states[block])
            for target in self._block(block, state, rank, leaders):
                if self._meet(states, target, state) and target not in waiting:
                    heapq.heappush(heap, (rank[target], target))
                    waiting.add(target)

    def _leaders(self, rank: Mapping[int, int]) -> set[int]:
        leaders = {self.function.start}
        for place, address in enumerate(self.order):
            transfer = self.transfer(self.instructions[address])
            if transfer.kind in ("jump", "branch", "return"):
                if transfer.target in rank:
                    leaders.add(transfer.target)  # type: ignore[arg-type]
                if place + 1 < len(self.order):
                    leaders.add(self.order[place + 1])
        return leaders

    def _block(
        self, address: int, state: ValueState, rank: Mapping[int, int], leaders: set[int]
    ) -> list[int]:
        """Follows the code from a leader to the next one; the leaders that may come after it."""
        place = rank[address]
        while True:
            address = self.order[place]
            instruction = self.instructions[address]
            transfer = self.transfer(instruction)
            place += 1
            following = self.order[place] if place < len(self.order) else None
            if transfer.kind in ("jump", "branch"):
                return self._after_jump(address, transfer, state, rank, following)
            if transfer.kind == "return":
                self.returned(state)
                return []
            if transfer.kind == "call":
                self.calls[address] = transfer.target, dict(state)
                if self._ends(transfer.target):
                    return []
            self.step(instruction, state)
            if following is None:
                return []
            if following in leaders:
                return [following]

    def _after_jump(
        self,
        address: int,
        transfer: Transfer,
        state: ValueState,
        rank: Mapping[int, int],
        following: int | None,
    ) -> list[int]:
        targets = []
        if transfer.target in rank:
            targets.append(transfer.target)
        elif transfer.target is not None:
            self._tail_call(address, transfer, state)
        if transfer.kind == "branch":
            self.step(self.instructions[address], state)
            if following is not None:
                targets.append(following)
        return [target for target in targets if target is not None]

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

    def _meet(self, states: dict[int, ValueState], target: int, state: ValueState) -> bool:
        """Merges a state into that of a block; whether it changed."""
        present = states.get(target)
        if present is None:
            states[target] = dict(state)
            return True
        merged: ValueState = {}
        changed = False
        for name, value in present.items():
            if name not in state:
                changed = True
                continue
            other = state[name]
            if value is other or value == other:
                merged[name] = value
                continue
            merged[name] = self.hints.merged(value, other, ("meet", target, name))
            changed = changed or merged[name] != value
        if changed:
            states[target] = merged
        return changed

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
