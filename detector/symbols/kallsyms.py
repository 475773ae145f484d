"""Decodes kallsyms: the names and addresses of all functions, as the kernel carries them.

In: the bytes of an unpacked kernel. Out: symbols in the order of their addresses. The tables have
no header, so they are searched for by what must hold of them: a token table with its index, markers
that agree with a walk over the names, addresses that ascend. That covers the layouts of 5.4 to 6.x:
offsets in front of the names (up to 6.4) or behind the tokens (6.5 on), with or without sequence
numbers, with names longer than 127 bytes (6.1 on), with per-CPU symbols as absolute ones.
Raises UnreadableImageError.

Sources: scripts/kallsyms.c write_src(), kernel/kallsyms.c kallsyms_expand_symbol() and
kallsyms_sym_address() (5.4 to 6.12).
"""

from __future__ import annotations

import heapq
import struct
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

from detector.lazy_regex import lazy_regex
from detector.symbols import UnreadableImageError
from detector.symbols.table import SymbolTable

_DIGITS = b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00"
_FIRST_MARKERS = lazy_regex(
    rb"(?=\x00{4}[\x00-\xff][\x01-\x7f]\x00\x00[\x00-\xff]{2}[\x00\x01]\x00)"
)
_BLOCK = 256  # names between two markers
_LONGEST_BLOCK = _BLOCK * 514
_MOST_SYMBOLS = 400_000
_MOST_LETTERS = 16 * 1024 * 1024  # of all names; Debian's 6.1 has 2 MB
_MOST_PLACES = 4  # that are tried: a hostile image may hold many that nearly agree
_MOST_WALKED = 4_000_000  # names that are walked over in all; a kernel's are 50,000 to 300,000
_DEFAULT_BASE = 0xFFFF_8000_8000_0000  # arm64's, where the image leaves relocations to the boot


@dataclass(frozen=True, slots=True)
class _Names:
    """The table of names: `count` of them from `start` on; `head` is where their number stands."""

    head: int
    start: int
    count: int


class _Walk:
    """Walks over names, and gives up where an image is made to be walked over without end."""

    def __init__(self) -> None:
        self._left = _MOST_WALKED

    def agrees(self, data: bytes | bytearray, names: _Names, markers: list[int], end: int) -> bool:
        """Tell if the names meet every marker and end where the markers begin."""
        position = names.start
        for number in range(names.count):
            if number % _BLOCK == 0:
                if position - names.start != markers[number // _BLOCK]:
                    return False
                self._left -= _BLOCK
                if self._left < 0:
                    raise UnreadableImageError("its symbols (kallsyms) cannot be told apart")
            length, position = _length(data, position)
            position += length
            if not length or position > end:
                return False
        return end - position < 8


def decode_kallsyms(data: bytes | bytearray) -> SymbolTable:
    """All symbols; addresses are those of the image as linked."""
    walk = _Walk()
    for digits in _places_of_digits(data):
        tokens = _token_table(data, digits)
        if tokens is None:
            continue
        words, table, index_end = tokens
        names = _names_before(data, table, walk)
        if names is None:
            continue
        addresses = _addresses(data, names, index_end)
        if addresses is not None:
            return _table(data, names, words, addresses)
    raise UnreadableImageError(
        "no table of symbols (kallsyms) is in it: a kernel has one where CONFIG_KALLSYMS is set"
    )


def _places_of_digits(data: bytes | bytearray) -> Iterator[int]:
    """Where the tokens "0" to "9" stand in a row, as digits are always tokens of their own."""
    position = data.find(_DIGITS)
    for _ in range(_MOST_PLACES):
        if position < 0:
            return
        yield position
        position = data.find(_DIGITS, position + 1)


def _token_table(data: bytes | bytearray, digits: int) -> tuple[list[bytes], int, int] | None:
    """The 256 tokens, where their table begins, and where the index behind it ends; None where the
    index does not agree. What stands before the first token need not be zero, so the index says
    where that begins.
    """
    second = digits - 1
    for _ in range(ord("0") - 1):
        second = data.rfind(b"\0", max(0, second - 512), second)
        if second < 0:
            return None
    second += 1
    words = bytes(data[second : second + 16_384]).split(b"\0", 255)[:255]
    end = second + sum(len(word) + 1 for word in words)
    for alignment in (8, 4):
        at = -(-end // alignment) * alignment
        index = array("H", bytes(data[at : at + 512]).ljust(512, b"\0"))
        start = second - index[1]
        if start < 0 or not index[1]:
            continue
        words_here = [bytes(data[start : second - 1]), *words]
        offsets = accumulate((len(word) + 1 for word in words_here), initial=0)
        if list(index) == list(offsets)[:256]:
            return words_here, start, at + 512
    return None


def _names_before(data: bytes | bytearray, end: int, walk: _Walk) -> _Names | None:
    """The names whose markers stand before `end`. Chance makes short runs that look like markers,
    so the longest are tried first.
    """
    for reach in (4 * 1024 * 1024, 16 * 1024 * 1024):
        low = max(0, end - reach)
        runs = [
            (markers, at)
            for match in _FIRST_MARKERS.finditer(data, low, end)
            if (at := match.start()) % 4 == 0 and len(markers := _markers(data, at, end)) > 2
        ]
        for markers, at in heapq.nlargest(_MOST_PLACES, runs, key=lambda run: len(run[0])):
            if names := _names_of(data, at, markers, walk):
                return names
    return None


def _markers(data: bytes | bytearray, start: int, end: int) -> list[int]:
    """The longest run of words from `start` on that may be markers."""
    markers, last = [0], 0
    for position in range(start + 4, end - 3, 4):
        value = int.from_bytes(data[position : position + 4], "little")
        if not 2 * _BLOCK <= value - last <= _LONGEST_BLOCK:
            break
        markers.append(value)
        last = value
    return markers


def _names_of(
    data: bytes | bytearray, markers_at: int, markers: list[int], walk: _Walk
) -> _Names | None:
    """The table of names in front of these markers."""
    blocks = len(markers)
    for used in (blocks, blocks - 1):  # the word behind the last marker may look like another
        latest = markers_at - markers[used - 1]
        for start in range(latest & ~7, max(7, latest - _LONGEST_BLOCK), -8):
            count = int.from_bytes(data[start - 8 : start - 4], "little")
            if not (used - 1) * _BLOCK < count <= min(used * _BLOCK, _MOST_SYMBOLS):
                continue
            names = _Names(start - 8, start, count)
            if data[start - 4 : start] == b"\0\0\0\0" and walk.agrees(
                data, names, markers[:used], markers_at
            ):
                return names
    return None


def _length(data: bytes | bytearray, position: int) -> tuple[int, int]:
    """The number of tokens of a name, and where they begin: one byte, or two from 6.1 on."""
    length = data[position]
    if length & 0x80:
        return length & 0x7F | data[position + 1] << 7, position + 2
    return length, position + 1


def _addresses(data: bytes | bytearray, names: _Names, index_end: int) -> array[int] | None:
    """The address of each name, in the first of the known layouts that gives ascending ones."""
    count, size = names.count, -(-names.count * 4 // 8) * 8
    behind = -(-index_end // 8) * 8
    for offsets_at, base_at in (
        (names.head - 8 - size, names.head - 8),
        (behind, behind + size),
    ):
        if offsets_at < 0 or base_at + 8 > len(data):
            continue
        (base,) = struct.unpack_from("<Q", data, base_at)
        for signed in (True, False):
            addresses = _relative(data, offsets_at, count, base, signed=signed)
            if addresses is not None:
                return addresses
    absolute = names.head - 8 * count
    if absolute < 0:
        return None
    addresses = array("Q", data[absolute : names.head])
    return addresses if addresses[-1] >> 63 and _ascends(addresses) else None


def _relative(
    data: bytes | bytearray, start: int, count: int, base: int, *, signed: bool
) -> array[int] | None:
    """Addresses from offsets. `signed`: CONFIG_KALLSYMS_ABSOLUTE_PERCPU, where what is not negative
    is the address of a per-CPU symbol.
    """
    offsets = array("i" if signed else "I", data[start : start + 4 * count])
    if base and base >> 47 != 0x1FFFF:
        return None
    base = base or _DEFAULT_BASE
    try:
        if not signed:
            addresses = array("Q", (base + offset for offset in offsets))
        elif sum(offset < 0 for offset in offsets) * 2 > count:
            addresses = array("Q", (o if o >= 0 else base - 1 - o for o in offsets))
        else:
            return None
    except OverflowError:
        return None
    return addresses if _ascends(addresses) and _differing(addresses) * 2 > count else None


def _ascends(addresses: array[int]) -> bool:
    """Whether the addresses ascend but for the per-CPU ones, which newer tables sort otherwise."""
    falls = sum(earlier > later for earlier, later in pairwise(addresses))
    return falls <= len(addresses) // 1000 + 1


def _differing(addresses: array[int]) -> int:
    """The number of addresses, where equal ones stand side by side."""
    return sum(earlier != later for earlier, later in pairwise(addresses)) + 1


def _table(
    data: bytes | bytearray, names: _Names, words: list[bytes], addresses: array[int]
) -> SymbolTable:
    texts = [word.decode("ascii", "replace") for word in words]
    expanded = _expanded(texts, _packed(data, names))
    return SymbolTable.of(
        (address, name[:1], name[1:]) for address, name in zip(addresses, expanded, strict=True)
    )


def _expanded(texts: list[str], packed: Iterable[bytes | bytearray]) -> Iterator[str]:
    letters = [len(text) for text in texts]
    left = _MOST_LETTERS
    for name in packed:
        left -= sum(map(letters.__getitem__, name))
        if left < 0:
            raise UnreadableImageError(f"its symbols have more than {_MOST_LETTERS >> 20} MB")
        yield "".join(map(texts.__getitem__, name))


def _packed(data: bytes | bytearray, names: _Names) -> Iterator[bytes | bytearray]:
    position = names.start
    for _ in range(names.count):
        length, position = _length(data, position)
        yield data[position : position + length]
        position += length
