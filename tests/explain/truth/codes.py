"""Codes taken apart a second time: arm64's ESR, x86's page-fault code, MCi_STATUS, preempt_count,
exit status. Written from the manuals, without the product's tables.
"""

from __future__ import annotations

LEVELLED = ("address size fault", "translation fault", "access flag fault", "permission fault")
CLASSES = {
    0x00: "Unknown", 0x0D: "BTI", 0x0E: "PSTATE.IL", 0x15: "SVC", 0x18: "MSR/MRS", 0x1C: "FPAC",
    0x20: "IABT (lower EL)", 0x21: "IABT (current EL)", 0x22: "PC Alignment",
    0x24: "DABT (lower EL)",
    0x25: "DABT (current EL)", 0x26: "SP Alignment", 0x2F: "SError", 0x3C: "BRK",
}  # fmt: skip


def esr_class(esr: int) -> tuple[int, str | None]:
    """Number and name of the exception class."""
    number = esr >> 26 & 63
    return number, CLASSES.get(number)


def esr_status(esr: int) -> str | None:
    """The name of an abort's fault status; None for one that is not known here."""
    code = esr & 63
    if code < 16:
        return f"level {code & 3} {LEVELLED[code >> 2]}"
    return {
        0x10: "synchronous external abort",
        0x11: "synchronous tag check fault",
        0x18: "synchronous parity or ECC error",
        0x21: "alignment fault",
    }.get(code)


def is_write(esr: int) -> bool:
    """WnR (bit 6), unless the access was cache maintenance (bit 8)."""
    return bool(esr >> 6 & 1) and not esr >> 8 & 1


def page_fault(code: int) -> tuple[str, str]:
    """What was tried, and why it failed: a word of each sentence."""
    access = "instruction fetch" if code & 16 else "write" if code & 2 else "read"
    if not code & 1:
        return access, "no page is mapped there"
    if code & 8:
        return access, "bits set that must not be"
    return access, "forbids it"


def machine_check(status: int) -> tuple[str, ...]:
    """Words that the explanation of a status must hold."""
    words = ["could not correct" if status & 1 << 61 else "corrected or deferred"]
    if status & 1 << 57:
        words.append("state may be corrupt")
    if status & 1 << 62:
        words.append("further errors were lost")
    code = status & 0xEFFF
    if code >> 11 == 1:
        words.append("bus or interconnect error")
        words.append("timed out") if code & 0x100 else None
    elif code >> 8 == 1:
        words.append("cache error")
    elif code >> 7 == 1:
        words.append("memory controller error")
    elif code >> 4 == 1:
        words.append("TLB error")
    return tuple(words)


def flag_bits(status: int) -> set[int]:
    """The flags of MCi_STATUS that Intel and AMD share."""
    return {bit for bit in range(57, 64) if status >> bit & 1}
