"""Architecture of the machine that a crash report comes from: family, word size, and where
its user space ends.

In: a `CrashReport`. Out: a `Architecture`, or None where neither the architecture nor the registers
tell. Decodes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from detector.explain.block_text import first
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport

ArchFamily = Literal["arm64", "x86_64", "i386", "arm", "other"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """`bits` is the width of an address, `user_end` the first address above user space in the
    widest usual layout (0: not told).
    """

    family: ArchFamily
    bits: int
    user_end: int = 0

    @property
    def mask(self) -> int:
        """All ones over the width of an address."""
        return (1 << self.bits) - 1

    def hex(self, value: int) -> str:
        """The address as the kernel would print its value, short."""
        return f"{value & self.mask:#x}"


# User space ends: x86_64 with 5-level tables at 1 << 56, with 4 at 1 << 47
# (Documentation/arch/x86/x86_64/mm.rst, 6.x); arm64 at 1 << 48, or 1 << 52 with LVA
# (Documentation/arch/arm64/memory.rst, 6.x). The bound of the usual layout is taken.
_MACHINES: Mapping[str, Architecture] = {
    "arm64": Architecture("arm64", 64, 1 << 48),
    "x86_64": Architecture("x86_64", 64, 1 << 47),
    "i386": Architecture("i386", 32, 0xC000_0000),
    "arm": Architecture("arm", 32, 0xC000_0000),
}
_SPELLINGS: Mapping[str, str] = {
    "aarch64": "arm64",
    "arm64": "arm64",
    "x86_64": "x86_64",
    "x86-64": "x86_64",
    "amd64": "x86_64",
    "x86_32": "i386",
    "x86": "i386",
    "i386": "i386",
    "i486": "i386",
    "i586": "i386",
    "i686": "i386",
    "arm": "arm",
    "arm32": "arm",
    "armv7l": "arm",
}
_OTHERS: Mapping[str, int] = {
    "ppc64": 64,
    "ppc64le": 64,
    "s390x": 64,
    "riscv64": 64,
    "loongarch64": 64,
    "mips64": 64,
    "ppc": 32,
    "mips": 32,
    "riscv32": 32,
}
# arch/arm64/mm/fault.c, show_pte(): 4.x to 6.x.
_VA_BITS = lazy_regex(r"(?:user|swapper) pgtable: \d+k pages, (?P<bits>3\d|4\d|5\d)-bit VAs")
_BETWEEN = lazy_regex(r"\[[0-9a-f]{8,16}\] address between user and kernel address ranges")
# A register that only this family prints.
_TELLTALES: tuple[tuple[str, str], ...] = (
    ("x0", "arm64"),
    ("rip", "x86_64"),
    ("rax", "x86_64"),
    ("eip", "i386"),
    ("eax", "i386"),
)


def machine_of(report: CrashReport) -> Architecture | None:
    """The machine that printed this report, by its architecture, else by the names of its
    registers.
    """
    arch = (report.arch or "").lower()
    if arch in _OTHERS:
        return Architecture("other", _OTHERS[arch])
    name = _SPELLINGS.get(arch) or next(
        (family for register, family in _TELLTALES if register in report.registers), None
    )
    if name is None:
        return None
    machine = _MACHINES[name]
    return replace(machine, user_end=_user_end(report)) if name == "arm64" else machine


def _user_end(report: CrashReport) -> int:
    """Where user space ends on arm64, as the page tables' line tells (show_pte, "39-bit VAs").

    Where the kernel says that an address lies between both ranges, the least that is usual.
    """
    if (bits := first(report.lines, _VA_BITS)) is not None:
        return 1 << min(int(bits["bits"]), 52)
    between = first(report.lines, _BETWEEN)
    return 1 << 39 if between is not None else _MACHINES["arm64"].user_end
