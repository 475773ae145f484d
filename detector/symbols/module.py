"""Reads a kernel module: its code, symbols and types, as they would be linked.

In: the bytes of a `.ko`, unpacked or not. Out: a `KernelImage` whose types are those of the module
alone (split BTF). Code is placed as the kernel places it, section behind section; what other code
defines stands, by name, at addresses of its own, so that calls lead to names. Bytes that the loader
fills in are listed: a log prints others there. Raises UnreadableImageError.

Sources: kernel/module/main.c layout_sections(), arch/x86/kernel/module.c,
arch/arm64/kernel/module.c apply_relocate_add() (5.4 to 6.12), Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from detector.lazy_regex import lazy_regex
from detector.symbols import UnreadableImageError
from detector.symbols.elf import Section, read_sections
from detector.symbols.image import CodeRange, KernelImage
from detector.symbols.table import SymbolTable
from detector.symbols.unpack import ELF_MAGIC, decompress

_CODE_AT = (
    0xFFFF_FFFF_C000_0000  # where x86-64 loads modules; any place that no kernel uses will do
)
_OTHERS_AT = 0xFFFF_FFFF_E000_0000
_OTHERS_APART = 4096  # bytes: an offset into a variable of another module leads to it
_EXECUTABLE = 0x4
_RELEASE = lazy_regex(rb"(?:^|\0)vermagic=(\d[\w.+~-]{1,100}) ")
_NAME = lazy_regex(rb"(?:^|\0)name=([\w-]{1,64})\0")
# Relocation types → bytes that the loader writes (R_X86_64_*, R_AARCH64_*).
_X86 = {1: 8, 2: 4, 4: 4, 10: 4, 11: 4, 24: 8}
_X86_RELATIVE = frozenset((2, 4))
_ARM_BRANCHES = frozenset((282, 283))  # JUMP26, CALL26
_ARM_ABS64 = 257
_MAPPING = lazy_regex(r"[.$]L|\$[adtx](\.|$)")
_MOST_SYMBOLS = 500_000
_MOST_RELOCATED = 600_000
_LONGEST_NAME = 512  # KSYM_NAME_LEN
_TOO_MANY = f"it has more than {_MOST_RELOCATED:,} places that its loader fills in"


@dataclass(frozen=True, slots=True)
class ModuleImage:
    """A module by the name that logs print.

    `relocated` are the (address, bytes) that the loader fills in.
    """

    name: str
    image: KernelImage
    relocated: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Symbol:
    name: str
    section: int
    value: int


def read_module(data: bytes) -> ModuleImage:
    """Read what a module's file holds."""
    elf = data if data[:4] == ELF_MAGIC else bytes(decompress(memoryview(data)))
    try:
        return _read(elf)
    except (struct.error, IndexError, OverflowError) as error:
        raise UnreadableImageError("it is cut, or damaged: its tables are not all there") from error


def _read(elf: bytes) -> ModuleImage:
    arch, sections = read_sections(elf)
    by_name = {section.name: section for section in sections}
    info = by_name[".modinfo"].data if ".modinfo" in by_name else b""
    release, name = _RELEASE.search(info), _NAME.search(info)
    if release is None or name is None:
        raise UnreadableImageError("it is no kernel module: its .modinfo says no release, no name")
    places = _places(sections)
    symbols = _symbols(by_name)
    others = {
        symbol.name: _OTHERS_AT + _OTHERS_APART * number
        for number, symbol in enumerate(symbols)
        if symbol.section == 0 and symbol.name
    }
    code = {number: bytearray(sections[number].data) for number in places}
    relocated: list[tuple[int, int]] = []
    for section in sections:
        if section.kind == "RELA" and section.info in places:
            if len(section.data) // 24 > _MOST_RELOCATED:
                raise UnreadableImageError(_TOO_MANY)
            targets = (_Targets(symbols, places, others), places[section.info])
            relocated += _relocate(arch, section, code[section.info], *targets)
            if len(relocated) > _MOST_RELOCATED:
                raise UnreadableImageError(_TOO_MANY)
    own = [
        (places[symbol.section] + symbol.value, "t", symbol.name)
        for symbol in symbols
        if symbol.section in places and symbol.name and not _MAPPING.match(symbol.name)
    ]
    ends = [(places[number] + len(code[number]), "T", "_etext") for number in places]
    table = SymbolTable.of([*own, *ends[-1:], *((at, "U", other) for other, at in others.items())])
    btf = by_name[".BTF"].data if ".BTF" in by_name else b""
    ranges = tuple(CodeRange(places[number], bytes(code[number])) for number in places)
    image = KernelImage(arch, release[1].decode(), "", ranges, table, btf)
    return ModuleImage(name[1].decode().replace("-", "_"), image, tuple(sorted(relocated)))


def _places(sections: Sequence[Section]) -> dict[int, int]:
    """The address of each section with code: the core's one behind the other, then the rest, as
    those of the start are freed.
    """
    executable = [
        number
        for number, section in enumerate(sections)
        if section.kind == "PROGBITS" and section.flags & _EXECUTABLE and section.data
    ]
    executable.sort(key=lambda number: sections[number].name.startswith((".init", ".exit")))
    places, at = {}, _CODE_AT
    for number in executable:
        alignment = max(sections[number].alignment, 1)
        if alignment > 1 << 20 or at + len(sections[number].data) > _OTHERS_AT:
            raise UnreadableImageError("its sections are damaged")
        at = -(-at // alignment) * alignment
        places[number] = at
        at += len(sections[number].data)
    return places


def _symbols(by_name: dict[str, Section]) -> list[_Symbol]:
    if ".symtab" not in by_name or ".strtab" not in by_name:
        raise UnreadableImageError("it has no symbols: it was stripped")
    strings, table = by_name[".strtab"].data, by_name[".symtab"].data
    if len(table) // 24 > _MOST_SYMBOLS:
        raise UnreadableImageError(f"it has more than {_MOST_SYMBOLS:,} symbols")
    symbols = []
    for name, _info, _other, section, value, _size in struct.iter_unpack("<IBBHQQ", table):
        end = strings.find(b"\0", name, name + _LONGEST_NAME)
        symbols.append(
            _Symbol(strings[name : max(end, 0)].decode("utf-8", "replace"), section, value)
        )
    return symbols


@dataclass(frozen=True, slots=True)
class _Targets:
    symbols: Sequence[_Symbol]
    places: dict[int, int]
    others: dict[str, int]

    def address(self, number: int) -> int | None:
        """The address of a symbol; None where it is data of the module."""
        symbol = self.symbols[number]
        if symbol.section == 0:
            return self.others.get(symbol.name)
        place = self.places.get(symbol.section)
        return None if place is None else place + symbol.value


def _relocate(
    arch: str, section: Section, code: bytearray, targets: _Targets, base: int
) -> Iterator[tuple[int, int]]:
    """Fill in the addresses that are known; (address, bytes) of every place that is filled in."""
    data = section.data[: len(section.data) // 24 * 24]
    for offset, info, addend in struct.iter_unpack("<QQq", data):
        kind, target = info & 0xFFFF_FFFF, targets.address(info >> 32)
        size = _X86.get(kind, 4) if arch == "x86_64" else 8 if kind == _ARM_ABS64 else 4
        if offset + size > len(code):
            raise UnreadableImageError("its relocations are damaged")
        yield base + offset, size
        if target is None:
            continue
        value = target + addend
        if arch == "x86_64":
            relative = value - base - offset if kind in _X86_RELATIVE else value
            struct.pack_into(
                "<I" if size == 4 else "<Q", code, offset, relative & ((1 << 8 * size) - 1)
            )
        elif kind in _ARM_BRANCHES:
            (word,) = struct.unpack_from("<I", code, offset)
            distance = (value - base - offset) >> 2 & 0x3FF_FFFF
            struct.pack_into("<I", code, offset, word & 0xFC00_0000 | distance)


def encode_places(places: Sequence[tuple[int, int]]) -> bytes:
    """(address, bytes) of places, as a pack keeps them."""
    return array("Q", (number for place in places for number in place)).tobytes()


def decode_places(data: bytes) -> list[tuple[int, int]]:
    """The same back."""
    numbers = array("Q", data[: len(data) // 16 * 16])
    return list(zip(numbers[::2], numbers[1::2], strict=True))
