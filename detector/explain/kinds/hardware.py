"""Explains what hardware reports: machine checks of x86, SError of arm64, memory modules.

In: matches of the hardware classes, or a report of an SError. Out: statements, decoded by
here and from the syndrome. Formats: arch/x86/kernel/cpu/mce/core.c print_mce()
(3.x to 6.x), arch/arm64/kernel/traps.c arm64_serror_panic(), bad_mode() (4.x to 6.x),
drivers/edac/edac_mc.c. SError syndrome: arch/arm64/include/asm/esr.h ESR_ELx_AET_*, ESR_ELx_IDS,
ESR_ELx_FSC_SERROR (6.x); Arm ARM DDI 0487, ISS of an SError exception.

Sources: Intel SDM volume 3B, 17.3.2.2 (flags) and 17.9 (simple and compound codes); AMD64 APM
volume 2, 9.3.2.2 and 9.5, which agrees in the codes used here; names as in
arch/x86/include/asm/mce.h (3.x to 6.x).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from detector.crash.identity import base
from detector.explain.block_text import first, quoted
from detector.explain.decode.fault_codes_arm import PLAIN_CLASSES, is_external_abort, syndrome
from detector.explain.host_facts import is_virtual
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Match, Statement

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


_SERROR = lazy_regex(
    r"(?:SError Interrupt on CPU ?(?P<cpu>\d+)|Bad mode in Error handler detected on CPU "
    r"?(?P<mode>\d+))"
    r", (?:code|ESR) 0x(?P<esr>[0-9a-f]{8,16}) -- SError"
)
_UNEXPECTED = lazy_regex(
    r"(?:Bad mode in .{1,40} handler detected on CPU ?\d+|Unhandled (?:64|32)-bit el[01][th]? "
    r"\S{2,12} "
    r"exception on CPU ?\d+), (?:code|ESR) 0x(?P<esr>[0-9a-f]{8,16}) -- (?!SError)"
)
# AET, bits 12:10.
_SEVERITY = {
    0: "uncontainable: the error may have spread anywhere",
    1: "unrecoverable: the state of the processor is corrupt, the error is contained",
    2: "restartable: nothing is corrupt, the software may go on",
    3: "recoverable: software may repair it and go on",
    6: "corrected",
}
_MOST = 4
# arch/arm64/lib/clear_page.S, copy_page.S, mte.S (4.x to 6.x)
_WHOLE_PAGES = frozenset(
    {"clear_page", "copy_page", "__pi_clear_page", "__pi_copy_page", "mte_zero_clear_page_tags"}
)
CLASSES = frozenset({"machine-check", "hardware-corrected", "memory-uncorrected"})
"""Classes of matches that the hardware is to blame for."""


def explain_hardware(report: CrashReport | None, evidence: Sequence[Match]) -> list[Statement]:
    """Returns what machine checks among the evidence say, and what an SError in the report
    says.
    """
    statements = [
        statement for match in _status_matches(evidence) for statement in _machine_check(match)
    ]
    if report is not None:
        statements += _serror(report)
        statements += _unexpected(report)
        statements += _from_hypervisor(report)
    return statements


def _from_hypervisor(report: CrashReport) -> Iterator[Statement]:
    """Yields what an external abort means in a virtual machine, which has no bus of its own; the
    functions that clear or copy a whole page are given pages of memory alone.
    """
    if is_external_abort(report) and is_virtual(report):
        at = base(report.pc.function if report.pc is not None else report.function or "")
        text = (
            f"The machine is virtual, and {at}() is given pages of memory alone: nothing answers "
            "where the kernel takes memory to be. Suspect the map of memory that it was started "
            "with (device tree, firmware, a part that is reserved), or the host's memory."
            if at in _WHOLE_PAGES
            else "The machine is virtual: as a rule the hypervisor raises this, for an access to a "
            "device's address that it does not serve. Suspect the driver's access or the "
            "hypervisor, not the memory."
        )
        yield Statement(text, "likely", (report.hardware or "",))


def _status_matches(evidence: Sequence[Match]) -> list[Match]:
    """The matches that print a status, each once."""
    results: dict[str, Match] = {}
    for match in evidence:
        if match.cls in CLASSES and match.fields.get("status"):
            results.setdefault(match.text, match)
    return list(results.values())[:_MOST]


def _machine_check(match: Match) -> Iterator[Statement]:
    try:
        status = int(match.fields["status"], 16)
        general = int(match.fields.get("mcgstatus") or "0", 16)
    except ValueError:
        return
    cpu, bank = match.fields.get("cpu"), match.fields.get("bank")
    where = f"CPU {cpu}, bank {bank}" if bank is not None else f"CPU {cpu}"
    uncorrected = status >> 61 & 1
    code = error_code(status)
    text = (
        f"{where} reported an error that the hardware "
        + ("could not correct" if uncorrected else "corrected or deferred")
        + (f": {code}" if code else "")
        + ("; the processor's state may be corrupt" if status >> 57 & 1 else "")
        + ("; further errors were lost" if status >> 62 & 1 else "")
        + "."
    )
    low = f"error code {status & 0xFFFF:#06x}" + (f": {code}" if code else ", not architectural")
    yield Statement(
        text,
        "certain",
        (
            match.text,
            f"status {status:#018x}: {low}; model-specific code {status >> 16 & 0xFFFF:#06x}",
            *flags(status),
            *(f"MCG_STATUS {general:#x}, {line}" for line in flags(general, GLOBAL_FLAGS)),
        ),
    )
    if general and not general >> 1 & 1:
        yield Statement(
            "The address where the processor stopped need not belong to the error (EIPV is clear).",
            "certain",
            (f"MCG_STATUS {general:#x}: bit 1 clear",),
        )


def _serror(report: CrashReport) -> Iterator[Statement]:
    matched = first(report.lines, _SERROR)
    if matched is None:
        return
    esr = int(matched["esr"], 16)
    cpu = matched["cpu"] or matched["mode"]
    text = (
        "its syndrome is the manufacturer's own and means nothing without its manual"
        if esr >> 24 & 1
        else f"severity {_SEVERITY.get(esr >> 10 & 7, 'reserved')}"
        if esr & 0x3F == 0x11
        else "it carries no severity"
    )
    yield Statement(
        f"An SError, an error that memory, a bus or a device reports late, reached CPU {cpu}; "
        f"{text}. "
        "The trace shows who ran when it arrived, not who caused it.",
        "certain",
        (quoted(matched), *_bits(esr)),
    )


def _unexpected(report: CrashReport) -> Iterator[Statement]:
    """The syndrome of an exception that the kernel has no handler for: bad_mode() to 5.12,
    __panic_unhandled() after.
    """
    matched = first(report.lines, _UNEXPECTED)
    if matched is None:
        return
    value = int(matched["esr"], 16)
    raised = syndrome(value)
    words = PLAIN_CLASSES.get(raised.cls)
    yield Statement(
        "The processor raised an exception that the kernel does not expect there: "
        f"{raised.class_name}" + (f", {words}." if words else "."),
        "certain",
        (quoted(matched), f"ESR {value:#010x}: EC = {raised.cls:#04x}, {raised.class_name}"),
    )


def _bits(esr: int) -> tuple[str, ...]:
    """The parts of the syndrome that the statement rests on."""
    own = esr >> 24 & 1
    parts = [f"EC = {esr >> 26 & 0x3F:#x}", f"IDS = {own}"]
    if not own:
        parts.append(f"DFSC = {esr & 0x3F:#x}")
        if esr & 0x3F == 0x11:
            parts += [f"AET = {esr >> 10 & 7}", f"EA = {esr >> 9 & 1}"]
    return (f"ESR {esr:#x}: " + ", ".join(parts),)
