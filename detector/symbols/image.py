"""Reads a kernel image: release, build, code, symbols and types of one kernel.

In: the bytes of /boot/vmlinuz-RELEASE, an Image or a vmlinux. Out: a `KernelImage`. Raises
UnreadableImageError with what is wrong. Pure.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from detector.lazy_regex import lazy_regex
from detector.symbols import UnreadableImageError
from detector.symbols.btf import HEADER, Btf, find_btf
from detector.symbols.elf import Segment, read_elf
from detector.symbols.kallsyms import decode_kallsyms
from detector.symbols.table import SymbolTable
from detector.symbols.unpack import is_arm64_image, unpack

_BANNER_BEGINS = b"Linux version "
_BANNER = lazy_regex(rb"Linux version (\d[\w.+~-]{1,100}) (\([^\n\0]{1,600})\n")
# Where the code begins and ends, and that of the boot (include/asm-generic/sections.h).
_LARGEST_HEAD = 2 * 1024 * 1024
_LARGEST_CODE = 40 * 1024 * 1024  # Debian's 6.12 has 17 MB
_MOST_HELD = 120 * 1024 * 1024  # the image, its code and its types twice: 100 MB of Debian's 6.12
_MOST_BANNERS = 1000  # what begins like one: a kernel holds a few
_SAMPLED_CALLS = 400
_CODE = (("_stext", "_etext"), ("_sinittext", "_einittext"))


@dataclass(frozen=True, slots=True)
class CodeRange:
    """Code as it was linked: the bytes from an address on."""

    address: int
    data: bytes


@dataclass(frozen=True, slots=True)
class KernelImage:
    """One kernel build. `build` is its banner behind the release, `btf` its types as they
    stand in the image, empty where it was built without.
    """

    arch: str
    release: str
    build: str
    code: tuple[CodeRange, ...]
    symbols: SymbolTable
    btf: bytes


def read_image(data: bytes | bytearray) -> KernelImage:
    """Read what a kernel image holds."""
    if data.startswith(HEADER[:2]):
        raise UnreadableImageError("these are types alone (BTF): --release says of which kernel")
    kernel = unpack(data)
    # The kernel holds it twice; the shorter one is without the build's number.
    banner = max(_banners(kernel), key=lambda match: len(match[0]), default=None)
    if banner is None:
        raise UnreadableImageError("no kernel's banner (Linux version …) is in it")
    symbols = decode_kallsyms(kernel)
    arch, segments = _segments(kernel, symbols)
    btf = find_btf(kernel) or b""
    if btf:
        Btf(btf, keeps_names=False)  # damaged ones are refused here, not when a crash is explained
    code = tuple(_code(kernel, segments, symbols, _MOST_HELD - len(kernel) - 2 * len(btf)))
    if not code:
        raise UnreadableImageError("its code is not where its symbols say")
    return KernelImage(
        arch, banner[1].decode(), banner[2].decode("utf-8", "replace"), code, symbols, btf
    )


def _banners(kernel: bytes | bytearray) -> Iterator[re.Match[bytes]]:
    position = kernel.find(_BANNER_BEGINS)
    for _ in range(_MOST_BANNERS):
        if position < 0:
            return
        if (match := _BANNER.match(kernel, position)) is not None:
            yield match
        position = kernel.find(_BANNER_BEGINS, position + 1)


def read_types(data: bytes, release: str) -> KernelImage:
    """The types of a running kernel (/sys/kernel/btf/vmlinux): layouts of structs without code."""
    if not data.startswith(HEADER[:2]):
        raise UnreadableImageError("--release is for types alone, such as /sys/kernel/btf/vmlinux")
    Btf(data, keeps_names=False)
    return KernelImage("", release, "", (), SymbolTable.of(()), data)


def _segments(kernel: bytes | bytearray, symbols: SymbolTable) -> tuple[str, list[Segment]]:
    if not is_arm64_image(kernel):
        return read_elf(kernel)
    start = symbols.addresses_of("_text")
    begins = start[0] if start else _begin_of_image(kernel, symbols)
    return "arm64", [Segment(begins, 0, len(kernel))]


def _begin_of_image(kernel: bytes | bytearray, symbols: SymbolTable) -> int:
    """The address of the first byte, where the symbols are those of code alone (CONFIG_KALLSYMS_ALL
    is not set): the one with which calls lead to functions. `_stext` stands behind a head of up to
    2 MB that ends on a page (arch/arm64/kernel/vmlinux.lds.S).
    """
    first = next(iter(symbols.addresses_of("_stext")), None)
    if first is None:
        raise UnreadableImageError("its symbols do not say where its code begins (_stext)")
    known = frozenset(address - first for address in symbols.addresses)
    targets = list(_call_targets(kernel))
    targets = targets[:: len(targets) // _SAMPLED_CALLS + 1]
    best, hits = 0, 0
    for head in range(0, _LARGEST_HEAD, 4096):
        reached = sum(target - head in known for target in targets)
        if reached > hits:
            best, hits = head, reached
    if hits * 2 < len(targets) or not targets:
        raise UnreadableImageError("its calls do not lead to its symbols: it is damaged")
    return first - best


def _call_targets(kernel: bytes | bytearray) -> Iterator[int]:
    """Where the `bl` instructions of the first megabytes lead to, as offsets in the image."""
    size = min(len(kernel), 2 * _LARGEST_HEAD) & ~3
    for index, word in enumerate(array("I", kernel[:size])):
        if word >> 26 == 0x25:
            distance = word & 0x3FF_FFFF
            yield 4 * (index + (distance - (1 << 26) if distance >> 25 else distance))


def _code(
    kernel: bytes | bytearray, segments: list[Segment], symbols: SymbolTable, most: int
) -> list[CodeRange]:
    ranges: list[CodeRange] = []
    most = min(most, _LARGEST_CODE)
    for first, last in _CODE:
        starts, ends = symbols.addresses_of(first), symbols.addresses_of(last)
        if not starts or not ends:
            continue
        start, end = starts[0], ends[0]
        for segment in segments:
            if end - start + sum(len(part.data) for part in ranges) > most:
                raise UnreadableImageError(
                    f"its code has more than {_LARGEST_CODE >> 20} MB, or image, code and types "
                    f"have more than {_MOST_HELD >> 20} MB together"
                )
            if segment.address <= start < end <= segment.address + segment.size:
                offset = segment.offset + start - segment.address
                ranges.append(CodeRange(start, bytes(kernel[offset : offset + end - start])))
                break
    return ranges
