"""Decodes registers and code of a report together: instruction, operand, address, and what
that address is.

In: a `CrashReport`, its machine, the struct layouts of the catalogue. Out: a `Decoded`. It makes no
sentences: that is `sentences`' part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from detector.catalogue.known_issues import StructLayout
from detector.explain.decode.address import Meaning, meanings
from detector.explain.decode.hash_nulls import EndMark, find_end_mark
from detector.explain.decode.instruction import Instruction, decode
from detector.explain.decode.machine import Architecture
from detector.explain.decode.operands import Operand
from detector.explain.decode.shadow_check import checked_access
from detector.model import CrashReport


@dataclass(frozen=True, slots=True)
class Decoded:
    """`operand` is the one that explains `address`; None where none does.

    `address` is the fault address, or the operand's own where the trap reports none (a general
    protection fault). `jumped`: the address is the program counter, so no instruction touched
    it.
    """

    instruction: Instruction | None = None
    operand: Operand | None = None
    address: int | None = None
    meanings: tuple[Meaning, ...] = ()
    end_mark: EndMark | None = None
    jumped: bool = False

    @property
    def marks(self) -> tuple[str, ...]:
        """The names of the readings, as known issues ask for them."""
        marks = tuple(meaning.mark for meaning in self.meanings)
        return (*self.end_mark.marks, *marks) if self.end_mark else marks


def decode_fault(
    report: CrashReport, machine: Architecture, structs: Iterable[StructLayout] = ()
) -> Decoded:
    """Decode the marked instruction and hold its operands against the fault address."""
    address = fault_address_of(report)
    if address is not None and _fetched(report, machine, address):
        readings = tuple(
            reading
            for reading in meanings(address, machine, None, report.registers)
            if reading.mark not in ("null", "small", "unaligned")
        )
        return Decoded(address=address, meanings=readings, jumped=True)
    instruction = decode(report, machine)
    operand = _explaining(report, instruction, address)
    if operand is not None:
        address = operand.address if address is None or not operand.spans(address) else address
    if address is None or not is_access(report):
        return Decoded(instruction, operand, address)
    end_mark = (
        find_end_mark(report, machine, operand, structs)
        if operand is None or is_at_pc(report)
        else None
    )
    checked = checked_access(report, operand)
    readings = meanings(address, machine, operand, report.registers, checked)
    if (
        end_mark is not None
    ):  # the mark says what the address is; what it merely looks like would distract
        readings = tuple(meaning for meaning in readings if meaning.mark == "unaligned")
    return Decoded(instruction, operand, address, readings, end_mark)


def _fetched(report: CrashReport, machine: Architecture, address: int) -> bool:
    """Returns whether the address was fetched as an instruction: it is the program counter, or
    the fault's code says so (x86: bit 4, arch/x86/include/asm/trap_pf.h; arm64: EC 0x20 and
    0x21).
    """
    if address in (report.registers.get(name) for name in ("pc", "rip", "eip")):
        return True
    if not is_access(report) or is_protection_fault(report):
        return False
    if machine.family in ("x86_64", "i386"):
        return report.kind == "memory-fault" and bool((report.error_code or 0) & 0x10)
    return machine.family == "arm64" and (report.esr or 0) >> 26 & 0x3F in (0x20, 0x21)


def _explaining(
    report: CrashReport, instruction: Instruction | None, address: int | None
) -> Operand | None:
    if instruction is None or not is_access(report):
        return None
    reported = instruction.explaining(address) if address is not None else None
    if reported is not None or not is_protection_fault(report):
        return reported
    return next(
        (
            operand
            for operand in instruction.operands
            if operand.address is not None and not is_canonical(operand.address)
        ),
        None,
    )


def is_access(report: CrashReport) -> bool:
    """Returns whether the report is of a bad access: a WARNING or a lockup has registers and
    code too, but no faulting instruction.
    """
    return report.kind in (
        "memory-fault",
        "double-fault",
        "stack-overflow",
        "oops",
        "kernel-trap",
        "general-protection",
    )


def fault_address_of(report: CrashReport) -> int | None:
    """The address that the trap reports.

    A general protection fault sets no CR2: what stands there is an older fault's.
    """
    if is_protection_fault(report) and report.fault_address == report.registers.get("cr2"):
        return None
    return report.fault_address


def is_protection_fault(report: CrashReport) -> bool:
    """Returns whether this is x86's general protection fault, which comes without an address
    of its own.
    """
    return "general protection" in (report.title or "").lower()


def is_at_pc(report: CrashReport) -> bool:
    """Returns whether the guilty function is the one at the program counter, and not the
    caller of a generic one that stood there.

    Where the report does not say what stands there: arm64 and arm print the program counter's
    function as the first frame of the trace; x86 leaves it out: a frame there is a caller.
    """
    if report.pc is not None:
        return report.pc.function == report.display_function
    guilty = (report.display_function, report.offset)
    places = [(frame.function, frame.offset) for frame in report.frames]
    if guilty not in places:
        return True
    return places[0] == guilty and report.arch not in ("x86_64", "i386")


def is_canonical(address: int) -> bool:
    """Returns whether an x86_64 address is one, with four-level page tables: bits 63 to 47 are
    equal.
    """
    return not 1 << 47 <= address < (1 << 64) - (1 << 47)
