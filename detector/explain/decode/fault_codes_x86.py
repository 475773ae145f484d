"""Page-fault error codes of x86, and fault status registers of 32-bit arm: what the number
after "Oops:" says.

In: a `CrashReport` with an error code. Out: statements. Bits: arch/x86/include/asm/trap_pf.h (6.x);
Arm Architecture Reference Manual (ARMv7-A) DFSR, names as in arch/arm/mm/fsr-2level.c and
fsr-3level.c (6.x).
"""

from __future__ import annotations

from collections.abc import Mapping

from detector.explain.decode.fault import is_protection_fault
from detector.explain.decode.machine import Architecture
from detector.model import CrashReport, Statement

# bit → (meaning when set, meaning when clear; "" says nothing)
X86_BITS: Mapping[int, tuple[str, str]] = {
    0: ("a page is mapped there", "no page is mapped there"),
    1: ("a write", "a read"),
    2: ("by user space", "by the kernel"),
    3: ("reserved bits are set in a page-table entry", ""),
    4: ("an instruction fetch", ""),
    5: ("blocked by a protection key", ""),
    6: ("an access to a shadow stack", ""),
    15: ("an SGX enclave's page", ""),
    31: ("a violation of the reverse map table (SEV-SNP)", ""),
}

ARM_STATUS: Mapping[int, str] = {
    0x01: "alignment exception",
    0x03: "section access flag fault",
    0x04: "instruction cache maintenance fault",
    0x05: "section translation fault",
    0x06: "page access flag fault",
    0x07: "page translation fault",
    0x08: "external abort on non-linefetch",
    0x09: "section domain fault",
    0x0B: "page domain fault",
    0x0C: "external abort on translation (first level)",
    0x0D: "section permission fault",
    0x0E: "external abort on translation (second level)",
    0x0F: "page permission fault",
    0x16: "imprecise external abort",
}
_ARM_LPAE: Mapping[int, str] = {
    1: "translation fault",
    2: "access flag fault",
    3: "permission fault",
}


def explain_oops_code(report: CrashReport, machine: Architecture) -> list[Statement]:
    """Returns what the error code says; only of page faults, since other traps leave 0 there."""
    code = report.error_code
    if code is None or not 0 <= code < 1 << 32:
        return []
    if (
        machine.family in ("x86_64", "i386")
        and report.kind == "memory-fault"
        and not is_protection_fault(report)
    ):
        return [_x86(code)]
    if machine.family == "arm" and report.kind == "memory-fault":
        return [_arm(code)]
    return []


def _x86(code: int) -> Statement:
    evidence = tuple(
        f"bit {bit} {'set' if code >> bit & 1 else 'clear'}: {words}"
        for bit, meanings in X86_BITS.items()
        if (words := meanings[0 if code >> bit & 1 else 1])
        and not (bit == 1 and code & 0x10)  # a fetch is neither
    )
    access = "An instruction fetch" if code & 0x10 else "A write" if code & 2 else "A read"
    mode = "in user mode" if code & 4 else "by the kernel"
    return Statement(
        f"{access} {mode} failed: {_reason(code)}.",
        "certain",
        (f"Oops code {code:#06x}", *evidence),
    )


def _reason(code: int) -> str:
    """Why, in the order in which arch/x86/mm/fault.c show_fault_oops() asks (6.x)."""
    if not code & 1:
        return "no page is mapped there"
    if code & 8:
        return "a page-table entry on the way has bits set that must not be"
    if code & 0x20:
        return "the page's protection key forbids it"
    if code >> 31 & 1:
        return "the reverse map table forbids it (SEV-SNP)"
    return "the page is mapped and forbids it"


def _arm(code: int) -> Statement:
    if code >> 9 & 1:  # the long descriptor format
        status = code & 0x3F
        name = (
            f"level {status & 3} {_ARM_LPAE[status >> 2]}"
            if status >> 2 in _ARM_LPAE
            else f"fault status {status:#04x}"
        )
    else:
        status = code & 0xF | code >> 6 & 0x10
        name = ARM_STATUS.get(status, f"fault status {status:#04x}")
    if code >> 31 & 1:  # FSR_LNX_PF: Linux marks a prefetch abort so (arch/arm/mm/fault.h)
        return Statement(
            f"An instruction fetch failed: {name}.",
            "likely",
            (f"Oops code {code:#x} is the fault status register; bit 31: a prefetch abort",),
        )
    access = "write" if code >> 11 & 1 else "read"
    return Statement(
        f"A {access} failed: {name}.",
        "likely",
        (f"Oops code {code:#x} is the fault status register; bit 11: a {access}",),
    )
