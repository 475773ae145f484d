"""The loaded parts of a 64-bit little-endian ELF file: addresses and bytes.

In: bytes. Out: `Segment`s and the machine. Names and sections are not read. Raises
UnreadableImageError.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from detector.symbols.errors import UnreadableImageError

_PT_LOAD = 1
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
