"""Types from use: a value is what it is passed as, stored as, returned as or compared with.

In: uses, met while a function is followed. Out: hints for the next round: (type, offset) of an
origin, where all uses agree.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from detector.member.layout import Layouts
from detector.member.values import (
    SEVERAL_PATHS,
    Basis,
    ConstantValue,
    FlowValue,
    MixedValue,
    PerCpuBase,
    PlainValue,
    PointerValue,
    ValueOrigin,
)
from detector.symbols.btf import COMPOSITES, Kind

_FARTHEST = 65_536  # bytes from a member back to its container
_NO_POINTER = ("int", "computed", "indexed", "constants")


class Hints:
    """The hints in force, and those that this round collects."""

    def __init__(self, layouts: Layouts) -> None:
        self._layouts = layouts
        self._known: dict[ValueOrigin, tuple[int, int]] = {}
        self._seen: dict[ValueOrigin, set[tuple[int, int]]] = {}
        self._uses: dict[ValueOrigin, str] = {}
        self._inputs: dict[ValueOrigin, set[tuple[ValueOrigin, int]]] = {}

    def next_round(self) -> Collection[ValueOrigin]:
        """Puts what was collected in force: the origins of which something new is known."""
        self._spread()
        agreed = {
            origin: next(iter(uses))
            for origin, uses in self._seen.items()
            if origin not in self._known and len(uses) == 1
        }
        self._seen = {}
        self._known |= agreed
        return agreed.keys()

    def forget_round(self) -> None:
        """Begins to collect anew."""
        self._seen, self._inputs = {}, {}

    def _spread(self) -> None:
        """What a value is used as where paths have met, each of these had: one variable of C has
        one type. Where a path's own value is used too, that counts.
        """
        spread: dict[ValueOrigin, set[tuple[int, int]]] = {}
        for met, uses in self._seen.items():
            todo, done = [(met, 0)], {met}
            while todo and met in self._inputs:
                where, moved = todo.pop()
                for origin, offset in self._inputs.get(where, ()):
                    if origin in done:
                        continue
                    done.add(origin)
                    distance = moved + offset
                    todo.append((origin, distance))
                    if origin not in self._seen:
                        back = {(kind, at - distance) for kind, at in uses}
                        spread.setdefault(origin, set()).update(back)
                        self._uses.setdefault(origin, self._uses[met])
        for origin, uses in spread.items():
            if all(0 <= back <= _FARTHEST for _, back in uses):
                self._seen[origin] = uses

    def use_of(self, origins: Iterable[ValueOrigin]) -> str | None:
        """The use that says the type of a value, in words."""
        return next((self._uses[each] for each in origins if each in self._known), None)

    def used_as(self, value: FlowValue, target: int, use: str) -> None:
        """The value was used as a pointer to this type: `use` says how."""
        types = self._layouts.types
        target = types.bare(target)
        info = types.info(target)
        if info.kind not in COMPOSITES or not info.name:
            return
        origins: frozenset[ValueOrigin]
        if isinstance(value, PlainValue):
            origins, back = frozenset((value.origin,)), -value.offset
        elif isinstance(value, MixedValue) and value.origin is not None:
            origins, back = frozenset((value.origin,)), 0
        elif isinstance(value, PointerValue) and value.basis != Basis.USE and value.offset < 0:
            origins, back = value.origins, -value.offset
            if value.type == target:
                return
        else:
            return
        if 0 <= back <= _FARTHEST:
            for origin in origins:
                self._seen.setdefault(origin, set()).add((target, back))
                self._uses.setdefault(origin, use)

    def applied(self, origin: ValueOrigin, value: FlowValue) -> FlowValue:
        """The value, with the type that its use says."""
        hint = self._known.get(origin)
        if hint is None:
            return value
        kind, offset = hint
        origins = frozenset((origin,))
        if isinstance(value, PlainValue):
            return PointerValue(kind, offset, value.chain, origins, Basis.USE)
        if isinstance(value, MixedValue):
            return PointerValue(kind, offset, SEVERAL_PATHS, origins, Basis.USE)
        # A container: what was known must stand at that offset of it.
        if (
            isinstance(value, PointerValue)
            and offset > 0
            and self._layouts.has_at(kind, offset, value.type)
        ):
            return PointerValue(kind, offset, value.chain, origins, Basis.USE)
        return value

    def plain(self, origin: ValueOrigin, chain: tuple[str, ...]) -> FlowValue:
        """A value without a declared type."""
        return self.applied(origin, PlainValue(origin, 0, chain))

    def pointer(
        self,
        number: int,
        chain: tuple[str, ...],
        origin: ValueOrigin,
        basis: Basis = Basis.DECLARED,
    ) -> FlowValue | None:
        """A value of a declared type; None where that is no pointer."""
        types = self._layouts.types
        info = types.info(types.bare(number))
        if info.kind != Kind.PTR:
            return None
        target = types.bare(info.value)
        if target == 0:
            return self.plain(origin, chain)
        pointer = PointerValue(target, 0, chain, frozenset((origin,)), basis)
        return self.applied(origin, pointer)

    def merged(self, first: FlowValue, second: FlowValue, where: ValueOrigin) -> FlowValue:
        """Merge what two paths say of a value."""
        if first == second:
            return first
        if isinstance(first, MixedValue) and first.origin == where and where not in self._known:
            return first if not isinstance(second, PerCpuBase) else MixedValue()
        if isinstance(first, PlainValue) and isinstance(second, PlainValue):
            return self._merged_plain(first, second, where)
        if isinstance(first, PerCpuBase) or isinstance(second, PerCpuBase):
            return MixedValue()
        mixed = MixedValue(where)
        if isinstance(first, MixedValue) or isinstance(second, MixedValue):
            return self.applied(where, mixed)
        if isinstance(first, PointerValue) and isinstance(second, PointerValue):
            return self._merged_pointers(first, second, where)
        if isinstance(second, PointerValue):
            first, second = second, first
        if isinstance(first, PointerValue):
            if isinstance(second, ConstantValue):
                return first
            # One variable of C has one type on both paths, unless a declaration says otherwise.
            if isinstance(second, PlainValue) and not _declared_otherwise(second):
                return replace(first, basis=max(first.basis, Basis.SOME_PATHS))
            return self.applied(where, mixed)
        return self._merged_plain(first, second, where)

    def _merged_pointers(
        self, first: PointerValue, second: PointerValue, where: ValueOrigin
    ) -> FlowValue:
        if (first.type, first.offset) != (second.type, second.offset):
            return self.applied(where, MixedValue(where))
        origins = first.origins | second.origins
        return PointerValue(
            first.type,
            first.offset,
            first.chain if first.chain == second.chain else SEVERAL_PATHS,
            origins if len(origins) <= 6 else first.origins,
            max(first.basis, second.basis),
        )

    def _merged_plain(self, first: FlowValue, second: FlowValue, where: ValueOrigin) -> FlowValue:
        if isinstance(first, ConstantValue) and isinstance(second, PlainValue):
            first, second = second, first
        inputs = self._inputs.setdefault(where, set())
        for value in (first, second):
            if isinstance(value, PlainValue) and value.origin != where:
                inputs.add((value.origin, value.offset))
        if isinstance(first, PlainValue) and isinstance(second, ConstantValue):
            return first if first.origin == where else self.plain(where, first.chain)
        if isinstance(first, PlainValue) and isinstance(second, PlainValue):
            chain = first.chain if first.chain == second.chain else SEVERAL_PATHS
            is_settled = first.origin == where and first.chain == chain and not first.offset
            return first if is_settled else self.plain(where, chain)
        if isinstance(first, ConstantValue) and isinstance(second, ConstantValue):
            return self.plain(where, ("constants",))
        return self.applied(where, MixedValue(where))


def _declared_otherwise(value: PlainValue) -> bool:
    """Tell if a declaration says that a value is not the pointer of the other path."""
    last = value.chain[-1] if value.chain else ""
    return "." in last or last in _NO_POINTER or last.startswith("argument")
