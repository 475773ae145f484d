"""Explains what hardware reports: machine checks of x86, SError of arm64, memory modules.

In: matches of the hardware classes, or a report of an SError. Out: statements, decoded by
`decode.machine_check` and from the syndrome. Formats: arch/x86/kernel/cpu/mce/core.c print_mce()
(3.x to 6.x), arch/arm64/kernel/traps.c arm64_serror_panic(), bad_mode() (4.x to 6.x),
drivers/edac/edac_mc.c. SError syndrome: arch/arm64/include/asm/esr.h ESR_ELx_AET_*, ESR_ELx_IDS,
ESR_ELx_FSC_SERROR (6.x); Arm ARM DDI 0487, ISS of an SError exception.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from detector.explain.block_text import first, quoted
from detector.explain.decode.fault_codes_arm import PLAIN_CLASSES, syndrome
from detector.explain.decode.machine_check import GLOBAL_FLAGS, error_code, flags
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Match, Statement

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
    return statements


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
