"""BTF: the types of a kernel, decoded on demand.

In: the bytes of `.BTF` or of /sys/kernel/btf/vmlinux. Out: `Btf`, which walks the types once and
notes where each stands. Damaged bytes raise UnreadableImageError, when they are read.

Source: Documentation/bpf/btf.rst, include/uapi/linux/btf.h (5.4 to 6.12).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from detector.symbols import UnreadableImageError

HEADER = b"\x9f\xeb\x01\x00\x18\x00\x00\x00"
"""Magic, version 1, no flags, 24 bytes of header: how the kernel's own BTF begins."""

_LARGEST = 16 * 1024 * 1024  # Debian's 6.12 has 6 MB
_MOST_TYPES = 400_000  # Debian's 6.1 has 100,800
_LONGEST_NAME = 512  # KSYM_NAME_LEN, which kernel/bpf/btf.c btf_name_valid_identifier() asks for
_MOST_HEADS = 1000  # what begins like types, in an image: a kernel has one
_POINTER_SIZE = 8
_DEEPEST = 32  # names for names: more is a loop


class Kind(IntEnum):
    """The kinds of types, as BTF numbers them."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


ALIASES = frozenset((Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG))
COMPOSITES = frozenset((Kind.STRUCT, Kind.UNION))
_FIXED = {Kind.INT: 4, Kind.ARRAY: 12, Kind.VAR: 4, Kind.DECL_TAG: 4}
_EACH = {
    Kind.STRUCT: 12,
    Kind.UNION: 12,
    Kind.ENUM: 8,
    Kind.FUNC_PROTO: 8,
    Kind.DATASEC: 12,
    Kind.ENUM64: 12,
}


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """One type. `value` is its size or the type that it refers to, `count` the number of its
    members, `flag` BTF's kind_flag, `extra` where the members stand.
    """

    kind: int
    name: str
    value: int
    count: int = 0
    flag: bool = False
    extra: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union: type, offset in bits, width in bits of a bit-field (else
    0).
    """

    name: str
    type: int
    bit_offset: int
    bits: int = 0

    @property
    def offset(self) -> int:
        """The offset in bytes."""
        return self.bit_offset // 8


_VOID = TypeInfo(Kind.VOID, "void", 0)


class Btf:
    """The types by their numbers; 0 is void. Functions, structs and variables by name.

    `bare` is
    a type without typedefs and qualifiers, `size` its bytes, 0 where it has none, as a flexible
    array; `parameters` are (name, type) of each of a FUNC_PROTO's.

    Without `keeps_names` nothing is found by name: they are only looked through for damage. With
    `base` these are a module's, which go on from the types and the names of its kernel (split
    BTF).
    """

    def __init__(self, data: bytes, base: Btf | None = None, *, keeps_names: bool = True) -> None:
        if len(data) > _LARGEST:
            raise UnreadableImageError(f"its types have more than {_LARGEST >> 20} MB")
        (start, end), strings = _parts(data)
        self.strings: bytes = strings if base is None else base.strings + strings
        self.data: bytes = data[start:end] if base is None else base.data + data[start:end]
        self.places: array[int] = array("I", (0,) if base is None else base.places)
        self.kinds: bytearray = bytearray(1) if base is None else base.kinds[:]
        self.functions: dict[str, tuple[int, ...]] = dict(base.functions) if base else {}
        self.composites: dict[str, tuple[int, ...]] = dict(base.composites) if base else {}
        self.variables: dict[str, tuple[int, ...]] = dict(base.variables) if base else {}
        self._keeps_names = keeps_names
        self._walk(0 if base is None else len(base.data), len(self.data))
        self.info = lru_cache(maxsize=65_536)(self._info)
        self.members = lru_cache(maxsize=16_384)(self._members)
        self.parameters = lru_cache(maxsize=16_384)(self._parameters)
        self.bare = lru_cache(maxsize=65_536)(self._bare)
        self.size = lru_cache(maxsize=65_536)(self._sized)

    def _walk(self, position: int, end: int) -> None:
        tables = {
            int(Kind.FUNC): self.functions,
            int(Kind.STRUCT): self.composites,
            int(Kind.UNION): self.composites,
            int(Kind.VAR): self.variables,
        }
        sizes = [12 + _FIXED.get(Kind(kind), 0) for kind in Kind]
        each = [_EACH.get(Kind(kind), 0) for kind in Kind]
        unpack = struct.Struct("<III").unpack_from
        data, places, kinds = self.data, self.places, self.kinds
        try:
            while position < end:
                name, head, _ = unpack(data, position)
                kind = head >> 24 & 0x1F
                if kind in tables and name:
                    text = self._string(name)
                    if self._keeps_names:
                        tables[kind][text] = (*tables[kind].get(text, ()), len(places))
                places.append(position)
                kinds.append(kind)
                position += sizes[kind] + each[kind] * (head & 0xFFFF)
                if len(places) > _MOST_TYPES:
                    raise UnreadableImageError(f"it has more than {_MOST_TYPES:,} types")
        except (struct.error, IndexError) as error:
            raise UnreadableImageError("its types (BTF) are damaged") from error
        if position != end:
            raise UnreadableImageError("its types (BTF) are damaged: the last one is cut")

    def __len__(self) -> int:
        return len(self.places)

    def belongs_to(self, base: Btf) -> bool:
        """Tell if these types of a module go on from those of this kernel, and of no other build:
        its names begin where names of the kernel begin, its functions have prototypes.
        """
        for number in range(len(base), len(self)):
            info = self.info(number)
            place = self.places[number]
            names = [place]
            if info.kind in COMPOSITES or info.kind == Kind.FUNC_PROTO:
                step = _EACH[Kind(info.kind)]
                names += range(info.extra, info.extra + step * info.count, step)
            for at in names:
                (name,) = struct.unpack_from("<I", self.data, at)
                if 0 < name < len(base.strings) and self.strings[name - 1]:
                    return False
            if info.kind == Kind.FUNC and self.kind(info.value) != Kind.FUNC_PROTO:
                return False
        return True

    def _string(self, offset: int) -> str:
        if not offset < len(self.strings):
            raise UnreadableImageError("its types (BTF) are damaged: a name is outside of them")
        end = self.strings.find(b"\0", offset, offset + _LONGEST_NAME)
        if end < 0:
            raise UnreadableImageError(
                f"its types (BTF) are damaged: a name has more than {_LONGEST_NAME} bytes"
            )
        return self.strings[offset:end].decode("utf-8", "replace")

    def _info(self, number: int) -> TypeInfo:
        if number == 0:
            return _VOID
        if number >= len(self.places):
            raise UnreadableImageError(f"its types (BTF) are damaged: there is no type {number}")
        place = self.places[number]
        name, head, value = struct.unpack_from("<III", self.data, place)
        return TypeInfo(
            head >> 24 & 0x1F,
            self._string(name),
            value,
            head & 0xFFFF,
            bool(head >> 31),
            place + 12,
        )

    def _bare(self, number: int) -> int:
        for _ in range(_DEEPEST):
            info = self.info(number)
            if info.kind not in ALIASES:
                return number
            number = info.value
        raise UnreadableImageError("its types (BTF) are damaged: a name stands for itself")

    def kind(self, number: int) -> int:
        """The kind of a type that has been made bare."""
        return self.kinds[number] if number < len(self.kinds) else 0

    def _members(self, number: int) -> tuple[Member, ...]:
        info = self.info(number)
        members = []
        for index in range(info.count if info.kind in COMPOSITES else 0):
            name, kind, offset = struct.unpack_from("<III", self.data, info.extra + 12 * index)
            bits = offset >> 24 if info.flag else 0
            offset = offset & 0xFF_FFFF if info.flag else offset
            members.append(Member(self._string(name), kind, offset, bits))
        return tuple(members)

    def embedded(self, number: int) -> Iterator[tuple[int, int]]:
        """(type, offset in bytes) of the structs and unions that are members of a type.

        For going through all types once: names are not read, nothing is kept.
        """
        _, head, _ = struct.unpack_from("<III", self.data, self.places[number])
        start, end = self.places[number] + 12, self.places[number] + 12 * (1 + (head & 0xFFFF))
        for _, kind, offset in struct.iter_unpack("<III", self.data[start:end]):
            bare = self._bare(kind) if self.kind(kind) in ALIASES else kind
            is_bits = bool(head >> 31) and offset >> 24
            if self.kind(bare) in COMPOSITES and not is_bits:
                yield bare, (offset & 0xFF_FFFF if head >> 31 else offset) // 8

    def _parameters(self, prototype: int) -> tuple[tuple[str, int], ...]:
        info = self.info(prototype)
        pairs = (
            struct.unpack_from("<II", self.data, info.extra + 8 * index)
            for index in range(info.count)
        )
        return tuple((self._string(name), kind) for name, kind in pairs)

    def array(self, number: int) -> tuple[int, int]:
        """(type of an element, number of elements) of an ARRAY."""
        element, _, count = struct.unpack_from("<III", self.data, self.info(number).extra)
        return element, count

    def _sized(self, number: int, depth: int = 0) -> int:
        number = self.bare(number)
        info = self.info(number)
        if info.kind == Kind.PTR:
            return _POINTER_SIZE
        if info.kind == Kind.ARRAY:
            element, count = self.array(number)
            return 0 if depth > _DEEPEST else count * self._sized(element, depth + 1)
        return 0 if info.kind in (Kind.FUNC_PROTO, Kind.VOID, Kind.FWD) else info.value

    def name(self, number: int, depth: int = 0) -> str:
        """A type in C: `struct sock *`."""
        info = self.info(number)
        if depth > _DEEPEST or info.kind == Kind.VOID:
            return "void"
        if info.kind == Kind.PTR:
            pointed = self.name(info.value, depth + 1)
            return f"{pointed}*" if pointed.endswith("*") else f"{pointed} *"
        if info.kind in (Kind.STRUCT, Kind.UNION, Kind.FWD):
            is_union = info.kind == Kind.UNION or (info.kind == Kind.FWD and info.flag)
            return f"{'union' if is_union else 'struct'} {info.name or '(anonymous)'}"
        if info.kind in ALIASES:
            is_name = info.kind == Kind.TYPEDEF
            return info.name if is_name else self.name(info.value, depth + 1)
        if info.kind == Kind.ARRAY:
            return f"{self.name(self.array(number)[0], depth + 1)}[]"
        return info.name or ("function" if info.kind == Kind.FUNC_PROTO else "void")

    def prototypes(self, function: str) -> frozenset[int]:
        """The FUNC_PROTOs of a function's name; several files may have one each."""
        return frozenset(self.info(number).value for number in self.functions.get(function, ()))

    def struct(self, name: str) -> int | None:
        """The first struct of a name that has members."""
        return next((n for n in self.composites.get(name, ()) if self.info(n).count), None)


def find_btf(data: bytes | bytearray) -> bytes | None:
    """The kernel's BTF among the bytes of an image: the largest that its header describes."""
    best: tuple[int, int] | None = None
    position = data.find(HEADER)
    for _ in range(_MOST_HEADS):
        if position < 0:
            break
        if (size := _size(data, position)) and (best is None or size > best[1]):
            best = position, size
        position = data.find(HEADER, position + 1)
    return bytes(data[best[0] : best[0] + best[1]]) if best else None


def _size(data: bytes | bytearray, position: int) -> int:
    """The size of the BTF that begins here; 0 where none does."""
    if position + 24 > len(data):
        return 0
    types_at, types, strings_at, strings = struct.unpack_from("<IIII", data, position + 8)
    size = 24 + strings_at + strings
    if types_at or strings_at != types or not types or not strings or position + size > len(data):
        return 0
    first, last = position + 24 + strings_at, position + size - 1
    return size if not data[first] and not data[last] else 0


def _parts(data: bytes) -> tuple[tuple[int, int], bytes]:
    """Where the types begin and end, and the strings."""
    if len(data) < 24 or data[:2] != HEADER[:2]:
        raise UnreadableImageError("these are no types (BTF)")
    header, types_at, types, strings_at, strings = struct.unpack_from("<IIIII", data, 4)
    start, first = header + types_at, header + strings_at
    if start + types > len(data) or first + strings > len(data) or not strings:
        raise UnreadableImageError("its types (BTF) are cut")
    if data[first + strings - 1]:
        raise UnreadableImageError("its types (BTF) are damaged: a name has no end")
    return (start, start + types), data[first : first + strings]
