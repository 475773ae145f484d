"""arm64's exception syndrome (ESR_ELx): exception class, fault status, write or read,
level, and the exception level it came from.

In: the 32-bit syndrome, or the Oops code, which is the same value. Out: an `Syndrome` and
statements about it. Tables: Arm Architecture Reference Manual (DDI 0487) ESR_EL1; names as in the
kernel's arch/arm64/kernel/traps.c esr_class_str[] and arch/arm64/mm/fault.c fault_info[] (6.x).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from detector.model import CrashReport, Statement

CLASSES: Mapping[int, str] = {
    0x00: "Unknown/Uncategorized",
    0x01: "WFI/WFE",
    0x03: "CP15 MCR/MRC",
    0x04: "CP15 MCRR/MRRC",
    0x05: "CP14 MCR/MRC",
    0x06: "CP14 LDC/STC",
    0x07: "ASIMD",
    0x08: "CP10 MRC/VMRS",
    0x09: "PAC",
    0x0A: "Exception from a 64-byte load or store, or another trapped instruction",
    0x0C: "CP14 MCRR/MRRC",
    0x0D: "BTI",
    0x0E: "PSTATE.IL",
    0x11: "SVC (AArch32)",
    0x12: "HVC (AArch32)",
    0x13: "SMC (AArch32)",
    0x14: "MSRR/MRRS (AArch64)",
    0x15: "SVC (AArch64)",
    0x16: "HVC (AArch64)",
    0x17: "SMC (AArch64)",
    0x18: "MSR/MRS (AArch64)",
    0x19: "SVE",
    0x1A: "ERET/ERETAA/ERETAB",
    0x1B: "TSTART",
    0x1C: "FPAC",
    0x1D: "SME",
    0x1E: "Granule protection check",
    0x1F: "EL3 IMP DEF",
    0x20: "IABT (lower EL)",
    0x21: "IABT (current EL)",
    0x22: "PC Alignment",
    0x24: "DABT (lower EL)",
    0x25: "DABT (current EL)",
    0x26: "SP Alignment",
    0x27: "MOPS",
    0x28: "FP (AArch32)",
    0x2C: "FP (AArch64)",
    0x2D: "GCS",
    0x2F: "SError",
    0x30: "Breakpoint (lower EL)",
    0x31: "Breakpoint (current EL)",
    0x32: "Software Step (lower EL)",
    0x33: "Software Step (current EL)",
    0x34: "Watchpoint (lower EL)",
    0x35: "Watchpoint (current EL)",
    0x38: "BKPT (AArch32)",
    0x3A: "Vector catch (AArch32)",
    0x3C: "BRK (AArch64)",
    0x3D: "Profiling exception",
}

_LEVELLED: Mapping[int, str] = {
    0b0000: "address size fault",
    0b0001: "translation fault",
    0b0010: "access flag fault",
    0b0011: "permission fault",
}
FAULT_STATUS: Mapping[int, str] = {
    **{
        high << 2 | level: f"level {level} {name}"
        for high, name in _LEVELLED.items()
        for level in range(4)
    },
    0x10: "synchronous external abort",
    0x11: "synchronous tag check fault",
    0x12: "level -2 synchronous external abort (translation table walk)",
    0x13: "level -1 synchronous external abort (translation table walk)",
    **{
        0x14 + level: f"level {level} synchronous external abort (translation table walk)"
        for level in range(4)
    },
    0x18: "synchronous parity or ECC error",
    0x1B: "level -1 synchronous parity error (translation table walk)",
    **{
        0x1C + level: f"level {level} synchronous parity error (translation table walk)"
        for level in range(4)
    },
    0x21: "alignment fault",
    0x22: "level -2 granule protection fault (translation table walk)",
    0x23: "level -1 granule protection fault (translation table walk)",
    **{
        0x24 + level: f"level {level} granule protection fault (translation table walk)"
        for level in range(4)
    },
    0x28: "granule protection fault",
    0x29: "level -1 address size fault",
    0x2A: "level -2 translation fault",
    0x2B: "level -1 translation fault",
    0x2C: "level -2 address size fault",
    0x30: "TLB conflict abort",
    0x31: "unsupported atomic hardware update fault",
    0x34: "implementation fault (lockdown abort)",
    0x35: "implementation fault (unsupported exclusive)",
    0x3D: "section domain fault",
    0x3E: "page domain fault",
}

_BRK = 0x3C
_TAG_CHECK = 0x11
_BREAKPOINTS: Mapping[int, str] = {
    0x004: "a kprobe",
    0x005: "a uprobe",
    0x006: "the single step of a kprobe",
    0x007: "a kretprobe",
    0x100: "a point that must not be reached",
    0x400: "a breakpoint of the kernel debugger",
    0x401: "a breakpoint of the kernel debugger",
    0x800: "which is how arm64 compiles BUG() and WARN()",
}
_BREAKPOINT_RANGES: tuple[tuple[range, str], ...] = (
    (range(0x900, 0xA00), "a check of KASAN with software tags"),
    (range(0x5500, 0x5600), "a check of UBSAN"),
    (range(0x8000, 0x8400), "a check of CFI: an indirect call to a function of another type"),
)
PLAIN_CLASSES: Mapping[int, str] = {
    0x00: "an instruction that this processor does not know or does not allow here",
    0x0D: "a jump to a place that is no branch target",
    0x0E: "the processor was in a state that is illegal",
    0x1C: "pointer authentication failed: a return address or a pointer was overwritten",
    0x22: "the program counter is no multiple of 4",
    0x26: "the stack pointer is no multiple of 16",
}
# Heads of __do_kernel_fault() and do_page_fault() that only a fault of permissions gets.
_REFUSALS = (
    "access to user memory",
    "execution of user memory",
    "write to read-only memory",
    "execute from non-executable memory",
    "read from unreadable memory",
)
_INSTRUCTION_ABORTS = (0x20, 0x21)
_DATA_ABORTS = (0x24, 0x25)
_LOWER = (0x20, 0x24, 0x30, 0x32, 0x34)


@dataclass(frozen=True, slots=True)
class Syndrome:
    """An ESR taken apart.

    `status` is None for what is no abort, `write` None for what is no data abort.
    """

    value: int
    cls: int
    status: int | None
    write: bool | None

    @property
    def class_name(self) -> str:
        """The kernel's name of the exception class."""
        return CLASSES.get(self.cls, f"UNRECOGNIZED EC {self.cls:#04x}")

    @property
    def status_name(self) -> str | None:
        """The kernel's name of the fault status."""
        return (
            None
            if self.status is None
            else FAULT_STATUS.get(self.status, f"unknown fault status {self.status:#04x}")
        )

    @property
    def from_user(self) -> bool:
        """Returns whether the exception came from a lower exception level: user space,
        or a guest.
        """
        return self.cls in _LOWER


def syndrome(value: int) -> Syndrome:
    """Take an ESR apart: EC is bits 31:26, DFSC/IFSC 5:0, WnR bit 6, CM bit 8."""
    cls = value >> 26 & 0x3F
    abort = cls in _INSTRUCTION_ABORTS + _DATA_ABORTS
    # A cache maintenance instruction sets WnR whatever it does (DDI 0487, ISS of a data abort), and
    # is no write.
    write = bool(value >> 6 & 1) and not value >> 8 & 1 if cls in _DATA_ABORTS else None
    return Syndrome(value, cls, value & 0x3F if abort else None, write)


def syndrome_of(report: CrashReport) -> Syndrome | None:
    """The report's syndrome: the ESR line, else the Oops code (kernels before 4.17 print no ESR
    line, and the code is the ESR).
    """
    value = report.esr if report.esr is not None else report.error_code
    return None if value is None or not 0 <= value < 1 << 64 else syndrome(value)


def is_tag_fault(report: CrashReport) -> bool:
    """Returns whether memory tagging (MTE) found the fault."""
    syndrome_read = syndrome_of(report)
    return (
        syndrome_read is not None
        and syndrome_read.cls in _DATA_ABORTS
        and syndrome_read.status == _TAG_CHECK
    )


def is_external_abort(report: CrashReport) -> bool:
    """Returns whether memory, a device or a bus answered the access with an error."""
    syndrome_read = syndrome_of(report)
    return (
        report.arch == "arm64"
        and syndrome_read is not None
        and syndrome_read.status is not None
        and (syndrome_read.status == 0x10 or syndrome_read.status in range(0x12, 0x18))
    )


def is_software_pan(report: CrashReport) -> bool:
    """Returns whether the report shows that PAN is made by software.

    Its head speaks of permissions over a translation fault: arch/arm64/mm/fault.c
    is_el1_permission_fault() (4.10 to 6.x) takes every fault of a user address so while the tables
    of user space are switched off.
    """
    head = report.lines[0] if report.lines else ""
    read = syndrome_of(report)
    return (
        report.arch == "arm64"
        and any(words in head for words in _REFUSALS)
        and read is not None
        and read.status in range(0x04, 0x08)
    )


def explain_esr(report: CrashReport) -> list[Statement]:
    """Returns what the syndrome says in words."""
    syndrome_read = syndrome_of(report)
    if (
        syndrome_read is None
        or (report.esr is None and syndrome_read.cls not in CLASSES)
        or syndrome_read.value == 0
    ):
        return []
    where = "ESR" if report.esr is not None else "Oops code, which is the ESR"
    evidence = [
        (
            f"{where} {syndrome_read.value:#010x}: EC = {syndrome_read.cls:#04x}, "
            f"{syndrome_read.class_name}"
        )
    ]
    if syndrome_read.status is not None:
        evidence.append(f"status {syndrome_read.status:#04x}: {syndrome_read.status_name}")
    if syndrome_read.write is not None:
        evidence.append(
            f"WnR = {syndrome_read.value >> 6 & 1}: a {'write' if syndrome_read.write else 'read'}"
        )
    sentence = _sentence(syndrome_read, mapped_unknown=is_software_pan(report))
    return [Statement(sentence, "certain", tuple(evidence))]


def _sentence(syndrome_read: Syndrome, *, mapped_unknown: bool) -> str:
    level = (
        "a lower exception level (user space)"
        if syndrome_read.from_user
        else "the kernel itself (current EL)"
    )
    if syndrome_read.cls == _BRK:
        return (
            f"The kernel ran into `brk "
            f"#{syndrome_read.value & 0xFFFF:#x}`{_breakpoint(syndrome_read.value & 0xFFFF)}."
        )
    if syndrome_read.status is None:
        words = PLAIN_CLASSES.get(syndrome_read.cls)
        return f"The processor raised {syndrome_read.class_name}" + (
            f": {words}." if words else "."
        )
    plain = "" if mapped_unknown else _plain(syndrome_read.status)
    if syndrome_read.cls in _INSTRUCTION_ABORTS:
        return f"Fetching an instruction failed in {level}: {syndrome_read.status_name}{plain}."
    act = "write" if syndrome_read.write else "read"
    return f"A {act} by {level} failed: {syndrome_read.status_name}{plain}."


def _breakpoint(number: int) -> str:
    """Returns what Linux uses this number of BRK for: arch/arm64/include/asm/brk-imm.h (5.x to
    6.x).
    """
    words = _BREAKPOINTS.get(number)
    if words is None:
        words = next((text for range_, text in _BREAKPOINT_RANGES if number in range_), None)
    return f", {words}" if words else ""


def _plain(status: int) -> str:
    if status in range(0x04, 0x08) or status in (0x2A, 0x2B):
        return ", that is, nothing is mapped there"
    if status in range(0x0C, 0x10):
        return ", that is, the page is mapped but does not allow it"
    if status == 0x10 or status in range(0x12, 0x18):
        return (
            ", that is, memory or a device answered with an error: hardware, or a device without "
            "power or clock"
        )
    if status in range(0x18, 0x20):
        return ", that is, memory or a cache lost data: hardware"
    if status == _TAG_CHECK:
        return (
            ", that is, the tag in the pointer is not that of the memory (MTE): freed memory, or "
            "another object's"
        )
    if status == 0x21:
        return ", that is, the address is not aligned as this memory or instruction wants it"
    return ""
