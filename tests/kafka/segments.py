"""A partition's files on a broker's disk: where a batch lies, and how one is damaged."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

# Where in a batch of format 2 a byte within its records lies (KIP-98).
RECORDS = 70


def starts_of(log: Path) -> dict[int, int]:
    """Where each batch starts in a file, by its first offset."""
    data, at, starts = log.read_bytes(), 0, {}
    while at + 12 <= len(data):
        first, length = struct.unpack_from(">qi", data, at)
        if not length:
            break
        starts[first] = at
        at += 12 + length
    return starts


def batch_at(logs: Sequence[Path], offset: int) -> tuple[Path, int]:
    """The file, and the place of a byte within the batch that begins at an offset."""
    for log in logs:
        starts = starts_of(log)
        if offset in starts:
            return log, starts[offset] + RECORDS
    raise LookupError(f"no batch begins at {offset}")


def flip(log: Path, at: int, bits: int = 0x55) -> None:
    """Damages one byte, under the broker's hands; the same again mends it."""
    with log.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ bits]))
