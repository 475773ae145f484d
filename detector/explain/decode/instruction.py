"""The faulting instruction: the marked byte or word of the `Code:` line, decoded, and its
memory operands with the registers' values.

In: a `CrashReport` with `code`, `code_mark` and registers. Out: an `Instruction`, or None where
there is nothing to decode. Capstone decodes, and is imported on first use. Which operand explains
the fault is asked of `Instruction.explaining`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from detector.explain.decode.machine import ArchFamily, Architecture
from detector.explain.decode.operands import Operand
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport

_HEX = lazy_regex(r"[0-9a-fA-F]+")
_LONGEST_X86 = 15  # bytes: Intel SDM volume 2, chapter 2
_KERNEL_NAMES: Mapping[str, Mapping[str, str]] = {
    "arm64": {"fp": "x29", "lr": "x30"},
    "arm": {"sb": "r9", "sl": "r10"},
}


@dataclass(frozen=True, slots=True)
class Instruction:
    """One decoded instruction: its `text` in assembler, the `raw` hexadecimal digits it was
    read from, where it touches memory.
    """

    text: str
    raw: str
    operands: tuple[Operand, ...] = ()

    def explaining(self, fault_address: int) -> Operand | None:
        """The operand whose address is the fault address, or None."""
        return next((operand for operand in self.operands if operand.covers(fault_address)), None)


def decode(report: CrashReport, machine: Architecture) -> Instruction | None:
    """The marked instruction; None where the line marks none, is no code ("Bad RIP value"), or
    the bytes are none that decode.
    """
    words = _from_mark(report)
    if not words or machine.family == "other":
        return None
    raw = _bytes(words, machine.family)
    if not raw:
        return None
    pc = next(
        (report.registers[name] for name in ("pc", "rip", "eip") if name in report.registers), 0
    )
    thumb = machine.family == "arm" and len(words[0]) == 4
    decoded = next(_disassembler(machine.family, thumb).disasm(raw, pc & machine.mask, 1), None)
    if decoded is None or decoded.id == 0:
        return None
    text = f"{decoded.mnemonic} {decoded.op_str}".strip()
    shown = decoded.bytes.hex() if machine.family in ("x86_64", "i386") else words[0]
    return Instruction(
        _kernel_names(text, machine.family),
        shown,
        tuple(_operands(decoded, machine, report.registers)),
    )


def _from_mark(report: CrashReport) -> list[str]:
    """The hexadecimal digits of the code from the marked one on."""
    marked = (index for index, word in enumerate(report.code) if word[:1] in ("(", "<"))
    start = report.code_mark if report.code_mark is not None else next(marked, None)
    if start is None or not 0 <= start < len(report.code):
        return []
    words: list[str] = []
    for word in report.code[start : start + _LONGEST_X86]:
        digits = word.strip("()<>")
        if not _HEX.fullmatch(digits) or (words and len(digits) != len(words[0])):
            break
        words.append(digits)
    return words


def _bytes(words: Sequence[str], family: ArchFamily) -> bytes:
    """The code as it lies in memory: x86 prints bytes, arm words (or Thumb halfwords) as
    little-endian values.
    """
    size = {"x86_64": 2, "i386": 2, "arm64": 8}.get(family)
    if len(words[0]) != size and not (family == "arm" and len(words[0]) in (4, 8)):
        return b""
    return b"".join(bytes.fromhex(word)[:: 1 if size == 2 else -1] for word in words)


@cache
def _disassembler(family: ArchFamily, thumb: bool) -> Any:
    import capstone

    chosen = {
        "arm64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN),
        "x86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
        "i386": (capstone.CS_ARCH_X86, capstone.CS_MODE_32),
        "arm": (capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB if thumb else capstone.CS_MODE_ARM),
    }[family]
    disassembler = capstone.Cs(*chosen)
    disassembler.detail = True
    return disassembler


def _kernel_names(text: str, family: ArchFamily) -> str:
    """Registers as the kernel's dump calls them, where capstone has other names."""
    renamed = _KERNEL_NAMES.get(family, {})
    return re.sub(r"\b(fp|lr|sb|sl)\b", lambda name: renamed.get(name[0], name[0]), text)


def _operands(decoded: Any, machine: Architecture, registers: Mapping[str, int]) -> list[Operand]:
    from detector.explain.decode import operands, operands_arm

    if machine.family == "arm64":
        return operands_arm.arm64(decoded, registers)
    if machine.family == "arm":
        return operands_arm.arm(decoded, registers)
    return operands.x86(decoded, machine.bits, registers)
