"""Names containers by what fits: accesses outside of a known struct that it is embedded in.

In: an analysis whose accesses are noted. Out: the same, with pointers of basis `ONLY_FIT` where one
container fits all accesses through one pointer. Generic nodes (`list_head`) are embedded
everywhere, and are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from detector.member.kernel import KernelBuild
from detector.member.layout import Leaf, key_of
from detector.member.values import Basis, PointerValue
from detector.symbols.btf import COMPOSITES, Kind

if TYPE_CHECKING:
    from detector.member.semantics import MemoryAccess, Semantics

GENERIC = frozenset(
    (
        "list_head",
        "hlist_node",
        "hlist_head",
        "rb_node",
        "hlist_bl_node",
        "callback_head",
        "klist_node",
        "llist_node",
        "kref",
        "work_struct",
    )
)
"""Structs that are parts of so many others that what fits says nothing."""

_MOST_CONTAINERS = 4000
_FARTHEST_BACK = 4096


def fit_containers(flow: Semantics) -> None:
    """Names what only one container explains."""
    groups: dict[tuple[int, frozenset[object]], list[MemoryAccess]] = {}
    for access in flow.accesses.values():
        pointer = access.pointer
        if not isinstance(pointer, PointerValue) or access.scale:
            continue
        if flow.types.kind(pointer.type) in COMPOSITES:
            groups.setdefault((pointer.type, pointer.origins), []).append(access)
    for (inner, _), accesses in groups.items():
        if not all(access.place for access in accesses):
            _fit(flow, inner, accesses)


def may_fit(flow: Semantics, access: MemoryAccess) -> bool:
    """Tell if `fit_containers` may name this access."""
    pointer = access.pointer
    if access.place is not None or access.scale or not isinstance(pointer, PointerValue):
        return False
    info = flow.types.info(pointer.type)
    return info.kind in COMPOSITES and info.name not in GENERIC


def _fit(flow: Semantics, inner: int, accesses: list[MemoryAccess]) -> None:
    info = flow.types.info(inner)
    spots = {(_offset(access), access.size) for access in accesses}
    lowest = min(offset for offset, _ in spots)
    inside = lowest >= 0 and all(offset < info.value for offset, _ in spots)
    if info.name in GENERIC or inside or lowest < -_FARTHEST_BACK:
        return
    fitting = [
        (outer, at)
        for outer, at in _containers(flow.kernel, inner)
        if flow.types.info(outer).name
        and (at == 0 or lowest < 0)
        and lowest + at >= 0
        and _fits(flow, outer, at, spots)
    ]
    chosen = _chosen(flow, fitting, spots, lowest)
    if chosen is None:
        return
    outer, at = chosen
    for access in accesses:
        pointer = access.pointer
        if access.place is None and isinstance(pointer, PointerValue):
            offset = pointer.offset + at
            place = flow.layouts.place(outer, offset, access.size, access.scale)
            moved = replace(pointer, type=outer, offset=offset, basis=Basis.ONLY_FIT)
            flow.accesses[access.address] = replace(access, pointer=moved, place=place)


def _offset(access: MemoryAccess) -> int:
    assert isinstance(access.pointer, PointerValue)
    return access.pointer.offset


def _fits(flow: Semantics, outer: int, at: int, spots: Iterable[tuple[int, int]]) -> bool:
    """Tell if each access is a member of its own size, or a part of a number: a compiler tests
    one bit of a long by its byte.
    """
    return all(
        any(_holds(flow, leaf, size) for leaf in flow.layouts.leaves(outer, offset + at, size))
        for offset, size in spots
    )


def _holds(flow: Semantics, leaf: Leaf, size: int) -> bool:
    width = flow.types.size(leaf.type) if leaf.type else size
    is_part = leaf.type and flow.types.kind(leaf.type) == Kind.INT and leaf.offset + size < width
    return bool(is_part) or (leaf.offset == 0 and width == size)


def _chosen(
    flow: Semantics, fitting: list[tuple[int, int]], spots: set[tuple[int, int]], lowest: int
) -> tuple[int, int] | None:
    """The container; of several that nest, and so name the same member, the smallest."""
    if len(fitting) <= 1:
        return fitting[0] if fitting else None
    offset, size = sorted(spots)[-1 if lowest >= 0 else 0]
    keys = set()
    for outer, at in fitting:
        leaf, _ = flow.layouts.best(flow.layouts.leaves(outer, offset + at, size), size)
        keys.add(key_of(leaf.path) if leaf else ())
    return min(fitting, key=lambda pair: flow.types.size(pair[0])) if len(keys) == 1 else None


def _containers(kernel: KernelBuild, inner: int) -> list[tuple[int, int]]:
    """(struct, offset) of every struct that embeds a type, directly or not."""
    if kernel.containers is None:
        kernel.containers = _index(kernel)
    containers: list[tuple[int, int]] = []
    todo, seen = [(inner, 0)], set()
    while todo and len(containers) < _MOST_CONTAINERS:
        number, offset = todo.pop()
        for outer, at in kernel.containers.get(number, ()):
            pair = outer, offset + at
            if pair not in seen:
                seen.add(pair)
                containers.append(pair)
                todo.append(pair)
    return containers


def _index(kernel: KernelBuild) -> dict[int, tuple[tuple[int, int], ...]]:
    types = kernel.types
    index: dict[int, list[tuple[int, int]]] = {}
    for number, kind in enumerate(types.kinds):
        if kind in COMPOSITES:
            for inner, offset in types.embedded(number):
                index.setdefault(inner, []).append((number, offset))
    # Tuples of numbers are nothing that the collector of garbage has to look through.
    return {inner: tuple(outer) for inner, outer in index.items()}
