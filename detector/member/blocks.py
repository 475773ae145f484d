"""Cuts a function's code into basic blocks, in the order in which it is followed.

In: the instructions that an analysis takes apart. Out: the blocks that can be reached from the
entry, in reverse postorder, so that a block comes after those that lead to it but for loops; each
with the registers whose values count behind its start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from detector.member.decoding import FlowInstruction


@dataclass(slots=True)
class CodeBlock:
    """Instructions that are followed in a row.

    `targets` are the blocks that may come after them, by their places in the order. `live`:
    registers that are read later on.
    """

    instructions: tuple[FlowInstruction, ...]
    targets: tuple[int, ...] = ()
    live: frozenset[str] = frozenset()


def blocks_of(
    start: int,
    order: Sequence[int],
    instruction_at: Callable[[int], FlowInstruction],
    ends: Callable[[int | None], bool],
) -> list[CodeBlock]:
    """The blocks that can be reached from `start`, which comes first.

    `order` are the addresses of all instructions; `ends` tells if a called function does not come
    back.
    """
    cutting = _Cutting(order, instruction_at, ends)
    cutting.reach(start)
    numbers = _reverse_postorder(start, cutting.targets)
    blocks = [
        CodeBlock(
            tuple(map(instruction_at, cutting.run(address))),
            tuple(numbers[target] for target in cutting.targets[address]),
        )
        for address in numbers
    ]
    _mark_live(blocks)
    return blocks


def leading_to(blocks: Sequence[CodeBlock], address: int) -> frozenset[int]:
    """The places of the blocks from which an instruction can be reached."""
    before = _before(blocks)
    todo = [
        place
        for place, block in enumerate(blocks)
        if any(instruction.address == address for instruction in block.instructions)
    ]
    reached = set(todo)
    while todo:
        new = [place for place in before[todo.pop()] if place not in reached]
        reached.update(new)
        todo += new
    return frozenset(reached)


class _Cutting:
    """Runs of instructions: first until each ends, then cut where others lead into them."""

    def __init__(
        self,
        order: Sequence[int],
        instruction_at: Callable[[int], FlowInstruction],
        ends: Callable[[int | None], bool],
    ) -> None:
        self._order = order
        self._places = {address: place for place, address in enumerate(order)}
        self._instruction_at, self._ends = instruction_at, ends
        self._end: dict[int, int] = {}  # place of an instruction → place where its run ends
        self._last: dict[int, int] = {}  # leader → place of the run's last instruction
        self.targets: dict[int, list[int]] = {}

    def reach(self, start: int) -> None:
        """Follows every way from an address on."""
        ways: dict[int, tuple[int, list[int]]] = {}
        todo, leaders = [start], {start}
        while todo:
            leader = todo.pop()
            last = self._end_of(self._places[leader])
            targets = self._ways_on(last)
            ways[leader] = last, targets
            new = [target for target in targets if target not in leaders]
            leaders.update(new)
            todo += new
        places = sorted(self._places[leader] for leader in leaders)
        for number, place in enumerate(places):
            leader = self._order[place]
            last, targets = ways[leader]
            if number + 1 < len(places) and places[number + 1] <= last:
                last = places[number + 1] - 1
                targets = [self._order[last + 1]]
            self._last[leader], self.targets[leader] = last, targets

    def run(self, leader: int) -> Sequence[int]:
        """The addresses of the instructions from a leader on."""
        return self._order[self._places[leader] : self._last[leader] + 1]

    def _end_of(self, place: int) -> int:
        """The place of the instruction that ends the run which this one is in."""
        first = place
        while place not in self._end and not self._is_last(place):
            place += 1
        end = self._end.get(place, place)
        self._end.update(dict.fromkeys(range(first, place + 1), end))
        return end

    def _is_last(self, place: int) -> bool:
        if place + 1 == len(self._order):
            return True
        transfer = self._instruction_at(self._order[place]).transfer
        if transfer.kind == "call":
            return self._ends(transfer.target)
        return transfer.kind != "next"

    def _ways_on(self, place: int) -> list[int]:
        """Where the last instruction of a run leads to, within the function."""
        transfer = self._instruction_at(self._order[place]).transfer
        if transfer.kind not in ("jump", "branch"):
            return []
        targets = [transfer.target] if transfer.target in self._places else []
        if transfer.kind == "branch" and place + 1 < len(self._order):
            targets.append(self._order[place + 1])
        return [target for target in targets if target is not None]


def _reverse_postorder(start: int, targets: dict[int, list[int]]) -> dict[int, int]:
    """The places of the leaders in the order: a leader that is left last comes first."""
    left: list[int] = []
    seen, path = {start}, [(start, iter(targets[start]))]
    while path:
        leader, rest = path[-1]
        following = next((target for target in rest if target not in seen), None)
        if following is None:
            left.append(leader)
            path.pop()
        else:
            seen.add(following)
            path.append((following, iter(targets[following])))
    return {leader: place for place, leader in enumerate(reversed(left))}


def _mark_live(blocks: Sequence[CodeBlock]) -> None:
    """Notes which registers are read behind the start of each block before they are written."""
    own = [_read_and_written(block.instructions) for block in blocks]
    before = _before(blocks)
    todo = list(range(len(blocks)))  # the last ones first
    waiting = set(todo)
    while todo:
        place = todo.pop()
        waiting.discard(place)
        block, (read, written) = blocks[place], own[place]
        later = frozenset().union(*(blocks[target].live for target in block.targets))
        live = read | (later - written)
        if live != block.live:
            block.live = live
            new = [earlier for earlier in before[place] if earlier not in waiting]
            todo += new
            waiting.update(new)


def _before(blocks: Sequence[CodeBlock]) -> list[list[int]]:
    """The places of the blocks that lead to each."""
    before: list[list[int]] = [[] for _ in blocks]
    for place, block in enumerate(blocks):
        for target in block.targets:
            before[target].append(place)
    return before


def _read_and_written(
    instructions: Iterable[FlowInstruction],
) -> tuple[frozenset[str], frozenset[str]]:
    read: set[str] = set()
    written: set[str] = set()
    for instruction in instructions:
        read |= instruction.reads - written
        written |= instruction.writes
    return frozenset(read), frozenset(written)
