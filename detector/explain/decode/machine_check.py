"""Decodes MCi_STATUS of x86 machine checks: flags, and the compound error code in its low
bits.

In: the 64-bit status and MCG_STATUS as printed. Out: words. Sources: Intel SDM volume 3B, 17.3.2.2
(flags) and 17.9 (simple and compound codes); AMD64 APM volume 2, 9.3.2.2 and 9.5, which agrees in
the codes used here; names as in arch/x86/include/asm/mce.h (3.x to 6.x).
"""

from __future__ import annotations

from collections.abc import Mapping

# Bit → (name, words). Bits 55 and 56 mean different things to Intel and AMD, and are left out.
FLAGS: Mapping[int, tuple[str, str]] = {
    63: ("VAL", "the register holds an error"),
    62: ("OVER", "further errors were lost"),
    61: ("UC", "not corrected by the hardware"),
    60: ("EN", "reporting was enabled"),
    59: ("MISCV", "MCi_MISC holds more"),
    58: ("ADDRV", "MCi_ADDR holds the address"),
    57: ("PCC", "the processor's state may be corrupt"),
}
GLOBAL_FLAGS: Mapping[int, tuple[str, str]] = {
    0: ("RIPV", "the program could go on at the address that was saved"),
    1: ("EIPV", "the address that was saved belongs to the error"),
    2: ("MCIP", "the machine check is in progress"),
    3: ("LMCE", "only this processor was told"),
}
_SIMPLE: Mapping[int, str] = {
    0x0001: "unclassified error",
    0x0002: "parity error in the microcode ROM",
    0x0003: "external error: another processor's BINIT#",
    0x0004: "two redundant processors disagreed (FRC)",
    0x0005: "internal parity error",
    0x0006: "code outside of the SMM range was run in SMM",
    0x0400: "internal timer error: the core completed no instruction for too long",
    0x0E0B: "I/O error",
}
_LEVELS = ("level 0", "level 1", "level 2", "generic level")
_KINDS = ("instruction", "data", "generic", "reserved kind")
_REQUESTS = ("generic", "generic read", "generic write", "data read", "data write",
             "instruction fetch", "prefetch", "eviction", "snoop")  # fmt: skip
_PARTICIPANTS = (
    "this processor asked",
    "this processor answered",
    "this processor looked on",
    "generic",
)
_TARGETS = ("memory", "reserved", "I/O", "other")
_CONTROLLER = ("generic undefined request", "memory read", "memory write", "address or command",
               "memory scrubbing")  # fmt: skip


def flags(status: int, names: Mapping[int, tuple[str, str]] = FLAGS) -> tuple[str, ...]:
    """The flags that are set, each as `bit 63, VAL: words`, highest bit first."""
    return tuple(
        f"bit {bit}, {name}: {words}"
        for bit, (name, words) in sorted(names.items(), reverse=True)
        if status >> bit & 1
    )


def error_code(status: int) -> str | None:
    """Returns what the low 16 bits say; None for a code that is not architectural.

    Bit 12 only tells how corrected errors are counted, and takes no part.
    """
    code = status & 0xEFFF
    if (simple := _SIMPLE.get(code)) is not None:
        return simple
    if code & 0xFFFC == 0x000C:
        return f"cache hierarchy error, {_LEVELS[code & 3]}"
    if code & 0xFFF0 == 0x0010:
        return f"TLB error, {_KINDS[code >> 2 & 3]}, {_LEVELS[code & 3]}"
    if code & 0xFF80 == 0x0080:
        kind, channel = code >> 4 & 7, code & 0xF
        if kind >= len(_CONTROLLER):
            return None
        where = "channel not known" if channel == 0xF else f"channel {channel}"
        return f"memory controller error, {_CONTROLLER[kind]}, {where}"
    if code & 0xFF00 == 0x0100:
        request = _request(code)
        return request and (f"cache error, {_KINDS[code >> 2 & 3]}, {request}, {_LEVELS[code & 3]}")
    if code & 0xF800 == 0x0800:
        request = _request(code)
        timeout = ", timed out" if code >> 8 & 1 else ""
        return request and (
            f"bus or interconnect error, {request} request to {_TARGETS[code >> 2 & 3]}{timeout} "
            f"({_PARTICIPANTS[code >> 9 & 3]}, {_LEVELS[code & 3]})"
        )
    if code & 0xFC00 == 0x0400:
        return "internal error, not classified"
    return None


def _request(code: int) -> str | None:
    number = code >> 4 & 0xF
    return _REQUESTS[number] if number < len(_REQUESTS) else None
