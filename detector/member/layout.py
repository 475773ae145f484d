"""Layouts of structs: the member at an offset.

In: types, an offset, the size of an access. Out: a `Place`: the path of members and the type there.
Bytes whose content another layer defines (`cb[48]`, `privdata[]`) are named as the array alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from detector.symbols.btf import COMPOSITES, Btf, Kind

_DEEPEST = 12
_MOST_LEAVES = 512
_MOST_KEPT = 2_000  # offsets: bounds memory where thousands of explanations share a pack
_PRIVATE = frozenset(
    (
        "cb",
        "privdata",
        "priv",
        "args",
        "ctx",
        "__ctx",
        "data",
        "__data",
        "private",
        "driver_priv",
        "icsk_ca_priv",
        "drv_priv",
    )
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: a member of a struct, or (no name) an element of an array.

    `is_flexible`: the member is an array without a length.
    """

    struct: str
    member: str
    index: int | None = None
    is_element: bool = False
    is_flexible: bool = False


@dataclass(frozen=True, slots=True)
class Leaf:
    """Something at an offset: `type` is 0 for a bit-field, `offset` is into that type."""

    path: tuple[Step, ...]
    type: int
    offset: int


@dataclass(frozen=True, slots=True)
class Place:
    """The member that an access touches; `shared`: a union has others there."""

    path: tuple[Step, ...]
    type: int
    offset: int
    shared: bool = False

    @property
    def text(self) -> str:
        """The path in C: `__sk_common.skc_net.net`."""
        return path_text(self.path)


class Layouts:
    """Layouts of the structs of other kernel."""

    def __init__(self, types: Btf) -> None:
        self.types = types
        self._leaves: dict[tuple[int, int, int], tuple[Leaf, ...]] = {}
        self.place = lru_cache(maxsize=_MOST_KEPT)(self._place)

    def leaves(self, number: int, offset: int, size: int) -> tuple[Leaf, ...]:
        """Everything that stands at an offset, all members of unions included."""
        key = number, offset, size
        if key not in self._leaves:
            if len(self._leaves) > _MOST_KEPT:
                self._leaves.clear()
            self._leaves[key] = tuple(islice(self._at(number, offset, size, 0), _MOST_LEAVES))
        return self._leaves[key]

    def _at(self, number: int, offset: int, size: int, depth: int) -> Iterator[Leaf]:
        types = self.types
        number = types.bare(number)
        info = types.info(number)
        if depth > _DEEPEST:
            return
        if info.kind == Kind.ARRAY:
            yield from self._element(number, offset, size, depth)
            return
        if info.kind not in COMPOSITES:
            yield Leaf((), number, offset)
            return
        for member in types.members(number):
            start = member.offset
            if member.bits:
                end = (member.bit_offset + member.bits + 7) // 8
                if start <= offset < end or (size and offset <= start < offset + size):
                    yield Leaf((Step(info.name, member.name or "(bits)"),), 0, 0)
                continue
            within = types.size(member.type)
            flexible = not within and types.kind(types.bare(member.type)) == Kind.ARRAY
            step = Step(info.name, member.name, is_flexible=flexible)
            tail = flexible and info.kind == Kind.STRUCT and start >= info.value - 8
            if start <= offset < start + within or (tail and offset >= start):
                for leaf in self._at(member.type, offset - start, size, depth + 1):
                    yield Leaf((step, *leaf.path), leaf.type, leaf.offset)

    def _element(self, number: int, offset: int, size: int, depth: int) -> Iterator[Leaf]:
        element, _ = self.types.array(number)
        width = self.types.size(element)
        if width:
            step = Step("", "", offset // width, is_element=True)
            for leaf in self._at(element, offset % width, size, depth + 1):
                yield Leaf((step, *leaf.path), leaf.type, leaf.offset)

    def best(self, leaves: tuple[Leaf, ...], size: int) -> tuple[Leaf | None, bool]:
        """The leaf that begins here and has the size of the access, before others; whether
        several are as good.
        """
        if not leaves:
            return None, False
        ranks = [self._rank(leaf, size) for leaf in leaves]
        top = max(ranks)
        return leaves[ranks.index(top)], ranks.count(top) > 1

    def _rank(self, leaf: Leaf, size: int) -> tuple[bool, bool]:
        width = self.types.size(leaf.type) if leaf.type else 0
        return leaf.offset == 0 and width == size, leaf.offset == 0

    def _place(self, number: int, offset: int, size: int, scale: int | None) -> Place | None:
        """The member at an offset of a type; `scale`: an index is added, so it is an array's."""
        info = self.types.info(number)
        if info.kind not in COMPOSITES:
            element = Step("", "", None, is_element=True)
            return Place((element,), number, 0) if info.kind in (Kind.PTR, Kind.ARRAY) else None
        if offset < 0 or (offset >= info.value and not self.is_flexible(number)):
            return None
        leaves = self.leaves(number, offset, size)
        leaf, shared = self.best(leaves, size)
        if leaf is None or self._is_private(leaf, size):
            return None
        path = leaf.path
        if scale:
            if not any(step.is_element for step in path):
                return None
            path = tuple(Step("", "", None, is_element=True) if s.is_element else s for s in path)
        if not shared:
            return Place(path, leaf.type, leaf.offset)
        width = self.types.size(leaf.type) if leaf.type else -1
        kinds = {
            other.type
            for other in leaves
            if other.offset == leaf.offset and leaf.type and self.types.size(other.type) == width
        }
        return Place(path, leaf.type if len(kinds) == 1 else 0, leaf.offset, shared=True)

    def aliases(self, place: Place, number: int, offset: int, size: int) -> list[str]:
        """The other members of unions that have the same bytes."""
        texts = {
            path_text(leaf.path)
            for leaf in self.leaves(number, offset, size)
            if leaf.type and leaf.offset == 0
        }
        return sorted(texts - {place.text})

    def _is_private(self, leaf: Leaf, size: int) -> bool:
        """Bytes of an array whose content another layer defines: they are not named."""
        if not leaf.path or not leaf.path[-1].is_element:
            return False
        kind = self.types.kind(leaf.type)
        is_number = bool(leaf.type) and kind == Kind.INT
        is_void = kind == Kind.PTR and not self._pointed(leaf.type)
        if not is_number and not is_void:
            return False
        array = next((step for step in reversed(leaf.path) if not step.is_element), None)
        if array is None:
            return False
        is_part = bool(leaf.offset) or self.types.size(leaf.type) != size
        is_room = is_void and array.is_flexible  # for another layer's struct
        return array.member in _PRIVATE or is_room or (is_number and is_part)

    def _pointed(self, pointer: int) -> int:
        """The type that a pointer leads to; 0 for void."""
        return self.types.bare(self.types.info(pointer).value)

    def private_area(self, number: int, offset: int) -> str | None:
        """The path of the private array at an offset, or None where there is none."""
        leaf, _ = self.best(self.leaves(number, offset, 1), 1)
        if leaf is None or not leaf.path or not leaf.path[-1].is_element:
            return None
        return path_text(leaf.path[:-1])

    def neighbours(self, number: int, offset: int, size: int) -> tuple[str, str] | None:
        """The members before and behind bytes of a struct where it has none: in a hole of it."""
        before, behind = "", ""
        for member in self.types.members(number):
            end = member.offset + self.types.size(member.type)
            name = member.name or "an unnamed part"
            if member.bits or (member.offset < offset + size and offset < end):
                return None
            if end <= offset:
                before = f"{name} (to {end:#x})"
            elif not behind:
                behind = f"{name} (from {member.offset:#x})"
        return (before, behind) if before and behind else None

    def offset_of(self, struct: str, member: str) -> int | None:
        """The offset of a member of a struct, also of one in an unnamed part of it; None where
        there is none.
        """
        number = self.types.struct(struct)
        return None if number is None else self._offset_in(number, member, 0)

    def _offset_in(self, number: int, name: str, depth: int) -> int | None:
        for member in self.types.members(number):
            if member.name == name:
                return member.offset
            bare = self.types.bare(member.type)
            if member.name or depth > _DEEPEST or self.types.kind(bare) not in COMPOSITES:
                continue
            inner = self._offset_in(bare, name, depth + 1)
            if inner is not None:
                return member.offset + inner
        return None

    def is_flexible(self, number: int) -> bool:
        """Tell if a struct ends in an array without a length."""
        members = self.types.members(number)
        if not members:
            return False
        last = self.types.bare(members[-1].type)
        return self.types.kind(last) == Kind.ARRAY and self.types.size(last) == 0

    def has_at(self, number: int, offset: int, inner: int, depth: int = 0) -> bool:
        """Tell if an object of type `inner` begins at an offset of a type."""
        number = self.types.bare(number)
        if offset == 0 and number == inner:
            return True
        if depth > _DEEPEST:
            return False
        if self.types.kind(number) == Kind.ARRAY:
            element, _ = self.types.array(number)
            width = self.types.size(element)
            return bool(width) and self.has_at(element, offset % width, inner, depth + 1)
        return any(
            member.offset <= offset < member.offset + max(self.types.size(member.type), 1)
            and self.has_at(member.type, offset - member.offset, inner, depth + 1)
            for member in self.types.members(number)
            if not member.bits
        )


def path_text(path: tuple[Step, ...]) -> str:
    """A path in C; an element whose index is not known is `[]`."""
    text = ""
    for step in path:
        if step.is_element:
            text += "[]" if step.index is None else f"[{step.index}]"
        elif step.member:
            text += f".{step.member}" if text else step.member
    return text


def key_of(path: tuple[Step, ...]) -> tuple[tuple[str, str], ...]:
    """The innermost named struct and what follows: what is compared where structs nest."""
    steps = [(step.struct, step.member) for step in path if not step.is_element]
    named = [place for place, (struct, _) in enumerate(steps) if struct]
    return tuple(steps[named[-1] if named else 0 :])
