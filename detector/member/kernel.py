"""A kernel as the analysis sees it: code, symbols, types, and who calls whom.

In: the parts of a symbols pack. Out: functions by name and address. What is derived of the whole
image (the index of callers) is made when it is first needed, and kept.
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from detector.member.layout import Layouts
from detector.symbols.btf import Btf
from detector.symbols.image import CodeRange
from detector.symbols.table import SymbolTable

_SUFFIXES = (".isra", ".part", ".constprop", ".cold", ".llvm")
# Bytes of a function: those of kernels are 15 KiB at most; what is longer is padding behind a mark.
_LONGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """One function: its bytes from `start` on."""

    name: str
    start: int
    code: bytes


class KernelBuild:
    """One kernel build, or a module of one.

    `relocated` are the (address, bytes) that a module's loader fills in; `modules` gives the
    modules by name, where they are at hand.
    """

    def __init__(
        self,
        arch: str,
        code: Sequence[CodeRange],
        symbols: SymbolTable,
        types: Btf,
        *,
        relocated: Sequence[tuple[int, int]] = (),
        modules: Callable[[str], KernelBuild | None] | None = None,
    ) -> None:
        self.arch = arch
        self.symbols = symbols
        self.types = types
        self.layouts = Layouts(types)
        self.code = tuple(code)
        self._relocated = frozenset(
            address + byte for address, size in relocated for byte in range(size)
        )
        self.module = modules or _no_module
        self.register_parameters: dict[int, dict[str, tuple[int, str, int]]] = {}  # by prototype
        self.containers: dict[int, tuple[tuple[int, int], ...]] | None = None

    def function_at(self, address: int) -> FunctionCode | None:
        """The function that holds an address; None for what is too long for one."""
        start = self.symbols.containing(address)
        if start is None:
            return None
        size = self.symbols.end_of(start) - start
        if size > _LONGEST:
            return None
        code = self.bytes_at(start, size)
        names = self.symbols.names_at(start)
        known = (name for name in names if name in self.types.functions)
        return FunctionCode(next(known, names[0]), start, code) if code else None

    def bytes_at(self, address: int, size: int) -> bytes:
        """The code at an address; less than asked for at the end of a range."""
        for part in self.code:
            if part.address <= address < part.address + len(part.data):
                start = address - part.address
                return part.data[start : start + size]
        return b""

    def is_relocated(self, address: int) -> bool:
        """Tell if a module's loader fills in this byte."""
        return address in self._relocated

    def per_cpu(self, address: int) -> tuple[str, int, int] | None:
        """(name, type, offset) of the per-CPU variable at an address."""
        start = self.symbols.containing(address)
        if start is None:
            return None
        for name in self.symbols.names_at(start):
            for number in self.types.variables.get(name, ()):
                kind = self.types.info(number).value
                if address < start + max(self.types.size(kind), 1):
                    return name, kind, address - start
        return None

    def callers(self, target: int) -> Sequence[int]:
        """The addresses of the instructions that call or jump to a function, in order."""
        return self._calls.get(target, ())

    @cached_property
    def _calls(self) -> dict[int, tuple[int, ...]]:
        known = frozenset(self.symbols.addresses)
        scan: Callable[[CodeRange], Iterator[tuple[int, int]]]
        scan = _arm64_calls if self.arch == "arm64" else _x86_calls
        calls: dict[int, list[int]] = {}
        for part in self.code:
            for site, target in scan(part):
                if target in known:
                    calls.setdefault(target, []).append(site)
        # Tuples of numbers are nothing that the collector of garbage has to look through.
        return {target: tuple(sites) for target, sites in calls.items()}


def _no_module(_name: str) -> None:
    """A kernel without modules at hand."""


def _x86_calls(part: CodeRange) -> Iterator[tuple[int, int]]:
    """(address, target) of each call and jmp with a 32-bit distance, and of bytes that look so."""
    unpack = struct.Struct("<i").unpack_from
    data, base = part.data, part.address
    last = len(data) - 5
    for match in re.finditer(rb"[\xe8\xe9]", data):
        at = match.start()
        if at <= last:
            yield base + at, base + at + 5 + unpack(data, at + 1)[0]


def _arm64_calls(part: CodeRange) -> Iterator[tuple[int, int]]:
    """(address, target) of each bl and b."""
    words = array("I", part.data[: len(part.data) & ~3])
    for index, word in enumerate(words):
        if word & 0x7C00_0000 == 0x1400_0000:
            distance = word & 0x3FF_FFFF
            site = part.address + 4 * index
            yield site, site + 4 * (distance - (1 << 26) if distance >> 25 else distance)


def base_name(name: str) -> str:
    """A function's name without what the compiler appended."""
    for suffix in _SUFFIXES:
        place = name.find(suffix)
        if place > 0:
            name = name[:place]
    return name
