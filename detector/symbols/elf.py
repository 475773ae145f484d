"""The parts of a 64-bit little-endian ELF file: addresses and bytes.

In: bytes. Out: the machine, and the loaded `Segment`s of a kernel or the `Section`s of a module.
Raises UnreadableImageError.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from detector.symbols import UnreadableImageError

_PT_LOAD = 1
_RELOCATABLE = 1
_NO_BITS = 8
_SECTIONS = {1: "PROGBITS", 2: "SYMTAB", 3: "STRTAB", 4: "RELA"}
_MACHINES = {62: "x86_64", 183: "arm64"}  # EM_X86_64, EM_AARCH64: include/uapi/linux/elf-em.h


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes of an image: `offset` in the file, `size` bytes, at `address` in memory."""

    address: int
    offset: int
    size: int


def read_elf(data: bytes | bytearray) -> tuple[str, list[Segment]]:
    """The architecture and the loaded segments that have bytes in the file."""
    if len(data) < 64 or data[4:6] != b"\x02\x01":
        raise UnreadableImageError("it is no 64-bit little-endian ELF file")
    kind, machine = struct.unpack_from("<HH", data, 16)
    if machine not in _MACHINES:
        raise UnreadableImageError(
            f"its machine is {machine}: x86-64 (62) and arm64 (183) are read"
        )
    if kind not in (2, 3):
        raise UnreadableImageError("it is an ELF file, but no linked kernel")
    (table,) = struct.unpack_from("<Q", data, 32)
    entry_size, count = struct.unpack_from("<HH", data, 54)
    if entry_size != 56 or table + entry_size * count > len(data):
        raise UnreadableImageError("it is cut, or damaged: its program headers are not all there")
    segments = []
    for index in range(count):
        kind, _flags, offset, address, _physical, size = struct.unpack_from(
            "<IIQQQQ", data, table + 56 * index
        )
        if kind != _PT_LOAD or not size:
            continue
        if offset + size > len(data):
            raise UnreadableImageError(
                f"it is cut: a segment ends at byte {offset + size:,}, there are {len(data):,}"
            )
        segments.append(Segment(address, offset, size))
    return _MACHINES[machine], segments


@dataclass(frozen=True, slots=True)
class Section:
    """A section: `info` is, of relocations, the number of the section that they are for."""

    name: str
    kind: str
    flags: int
    info: int
    alignment: int
    data: bytes


def read_sections(data: bytes) -> tuple[str, list[Section]]:
    """The architecture and the sections of an ELF file that is not linked yet (a module)."""
    if len(data) < 64 or data[4:6] != b"\x02\x01":
        raise UnreadableImageError("it is no 64-bit little-endian ELF file")
    kind, machine = struct.unpack_from("<HH", data, 16)
    if machine not in _MACHINES or kind != _RELOCATABLE:
        raise UnreadableImageError("it is no module of x86-64 or arm64")
    (table,) = struct.unpack_from("<Q", data, 40)
    entry_size, count, names_at = struct.unpack_from("<HHH", data, 58)
    if entry_size != 64 or table + entry_size * count > len(data) or names_at >= count:
        raise UnreadableImageError("it is cut, or damaged: its section headers are not all there")
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, table + 64 * n) for n in range(count)]
    names = data[headers[names_at][4] : headers[names_at][4] + headers[names_at][5]]
    if sum(header[5] for header in headers if header[1] != _NO_BITS) > len(data):
        raise UnreadableImageError("it is cut, or damaged: its sections overlap")
    sections = []
    for name, kind, flags, _, offset, size, _, info, alignment, _ in headers:
        end = names.find(b"\0", name)
        is_there = kind != _NO_BITS
        if is_there and offset + size > len(data):
            raise UnreadableImageError(
                f"it is cut: a section ends at byte {offset + size:,}, there are {len(data):,}"
            )
        sections.append(
            Section(
                names[name:end].decode("latin-1"),
                _SECTIONS.get(kind, "other"),
                flags,
                info,
                alignment,
                data[offset : offset + size] if is_there else b"",
            )
        )
    return _MACHINES[machine], sections
