"""The member behind a fault, in sentences: struct, member, pointer.

In: a report, its decoded instruction, the kernels whose packs are of its release. Out: statements,
at most likely: the chain of types is the evidence. Nothing is said where no kernel's code equals
what the log prints, or where the types do not lead to the pointer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from detector.explain.decode.fault import Decoded, is_at_pc
from detector.explain.decode.machine import Architecture
from detector.explain.decode.operands import Operand
from detector.member.kernel import KernelBuild
from detector.member.matching import LoggedCode, build_of_log, is_instrumented, locate
from detector.member.naming import NamedAccess, name_in
from detector.member.values import Basis
from detector.model import Confidence, CrashReport, Frame, Statement
from detector.render.units import several
from detector.symbols import UnreadableImageError

_BASIS = {
    Basis.DECLARED: "by the kernel's declarations, on every path to it",
    Basis.SOME_PATHS: "by the kernel's declarations, on some of the paths to it",
    Basis.USE: "by what the function does with the pointer",
    Basis.ONLY_FIT: "as the only one that fits every access through the pointer",
}
_ALIASES_SHOWN = 4
_LIST_POISON = 0xDEAD_0000_0000_0000  # include/linux/poison.h, CONFIG_ILLEGAL_POINTER_VALUE


def explain_member(
    report: CrashReport, machine: Architecture, decoded: Decoded, kernels: Iterable[KernelBuild]
) -> list[Statement]:
    """Names the member that was touched, and where its object would begin."""
    operand, frame = decoded.operand, _frame(report)
    if operand is None or decoded.address is None or frame is None:
        return []
    logged = logged_code(report, machine)
    if logged is None or frame.offset is None or frame.size is None:
        return []
    place = frame.function, frame.offset, frame.size, logged
    for build in kernels:
        is_log_s = not build.arch and frame.module is None  # a pack of types alone
        if is_log_s:
            kernel = build_of_log(build, machine.family, *place)
        else:
            kernel = build if frame.module is None else build.module(frame.module)
        access = _named(kernel, machine, place) if kernel is not None else None
        if access is None or not _is_operand(access, operand) or is_instrumented(build):
            continue
        if is_log_s:  # what is not printed may jump back to in front of the instruction
            access = replace(access, basis=max(access.basis, Basis.SOME_PATHS))
        source = "the log" if is_log_s else str(report.kernel)
        return _statements(report, machine, decoded, access, frame, source)
    return []


def _named(
    kernel: KernelBuild, machine: Architecture, place: tuple[str, int, int, LoggedCode]
) -> NamedAccess | None:
    """The access at a place of the log, where the kernel's code equals it."""
    if kernel.arch != machine.family:
        return None
    try:
        located = locate(kernel, *place)
        return name_in(located.flow, located.address) if located is not None else None
    except UnreadableImageError:  # types that are damaged in a place that nobody had read
        return None


def logged_code(report: CrashReport, machine: Architecture) -> LoggedCode | None:
    """The bytes of the report's `Code:` line; None where a word of it is none."""
    size = {"x86_64": 2, "arm64": 8}.get(machine.family)
    words = [word.strip("()<>") for word in report.code]
    marked = (place for place, word in enumerate(report.code) if word[:1] in ("(", "<"))
    mark = report.code_mark if report.code_mark is not None else next(marked, None)
    if size is None or mark is None or any(len(word) != size for word in words):
        return None
    try:
        parts = [bytes.fromhex(word) for word in words]
    except ValueError:
        return None
    data = b"".join(part if size == 2 else part[::-1] for part in parts)
    return LoggedCode(data, mark * size // 2)


def _frame(report: CrashReport) -> Frame | None:
    """The place of the program counter."""
    if report.pc is not None:
        return report.pc
    if not is_at_pc(report) or report.display_function is None:
        return None
    return Frame(report.display_function, report.offset, report.size, report.module)


def _is_operand(access: NamedAccess, operand: Operand) -> bool:
    """Tell if the access that is named is the one that faulted."""
    base = {"fp": "x29", "lr": "x30"}.get(access.base, access.base)
    registers = [term.register for term in operand.terms]
    return base in registers and access.displacement == operand.displacement


def _statements(
    report: CrashReport,
    machine: Architecture,
    decoded: Decoded,
    access: NamedAccess,
    frame: Frame,
    code: str,
) -> list[Statement]:
    operand = decoded.operand
    assert operand is not None
    is_sure = access.basis != Basis.ONLY_FIT and access.neighbours is None
    confidence: Confidence = "likely" if is_sure else "possible"
    what = _what(report, machine, access)
    also = ""
    if access.aliases:
        shown = ", ".join(access.aliases[:_ALIASES_SHOWN])
        more = " and others" if len(access.aliases) > _ALIASES_SHOWN else ""
        also = f" A union keeps {shown}{more} in the same bytes."
    use = f": it is {access.use}" if access.use else ""
    both = f"types and code of {report.kernel}"
    known = both if code == report.kernel else f"types of {report.kernel}, code of {code}"
    source = f"{known}: {_BASIS[access.basis]}{use}"
    origin = " <- ".join(reversed(access.chain))
    chain = f"{access.base} is {access.struct} *, from: {origin}"
    # The title may name the caller of what faulted.
    at = f" in {frame.function}" if frame.function != report.display_function else ""
    statements = [Statement(f"The instruction{at} {what}.{also}", confidence, (source, chain))]
    if operand.address is not None and not access.indexed and not _is_null(decoded):
        start = (operand.address - access.offset) & machine.mask
        sum_ = f"{operand.address:#x} - {access.offset:#x} = {start:#x}"
        text = f"The {access.struct} would begin at {start:#x}"
        if meaning := _meaning(start, machine):
            statements.append(Statement(f"{text}: {meaning}.", confidence, (sum_,)))
    return statements


def _what(report: CrashReport, machine: Architecture, access: NamedAccess) -> str:
    """Says what was touched: a member, a private area, or a hole between members."""
    spot = f"{access.offset:#x} of {access.struct}"
    verb = _verb(report, machine)
    size = several(access.size, "byte")
    if access.member is not None:
        return f"{verb} member {access.member}: {size} at offset {spot}"
    if access.neighbours is not None:
        between = " and ".join(access.neighbours)
        return f"{verb} {size} at offset {spot}, where it has no member: between {between}"
    return f"{verb} {size} of the private area {access.private} of {access.struct}"


def _is_null(decoded: Decoded) -> bool:
    """Tell if the register is NULL, which the address has said already. An object around a member
    at NULL has no pointer of its own to speak of.
    """
    base = decoded.operand.base if decoded.operand is not None else None
    marks = {meaning.mark for meaning in decoded.meanings}
    return base is not None and base.value == 0 and "null" in marks


def _verb(report: CrashReport, machine: Architecture) -> str:
    """Returns "read" or "wrote", as the trap says, else "touched". x86: bit 1 of the page fault's
    code; arm64: WnR of the ESR.
    """
    is_page_fault = report.kind == "memory-fault"
    if machine.family == "arm64" and report.esr is not None and report.esr >> 26 & 0x3F == 0x25:
        return "wrote" if report.esr & 0x40 else "read"
    if machine.family == "x86_64" and report.error_code is not None and is_page_fault:
        return "wrote" if report.error_code & 2 else "read"
    return "touched"


def _meaning(start: int, machine: Architecture) -> str | None:
    """Reads what an address says of the pointer to an object; None where it may be one."""
    if start == 0:
        return "the pointer to it is NULL"
    if start > machine.mask - 4095:
        return f"the pointer to it is an error code, {start - machine.mask - 1}"
    if start < 0x1_0000:
        return "a small number, and no pointer"
    if abs(start - _LIST_POISON) < 0x1_0000:
        return "near the kernel's poison values (0xdead…), as a list leaves in an entry taken off"
    if machine.user_end and start < machine.user_end:
        return "an address of user space, or a number, and no pointer of the kernel"
    if machine.family == "x86_64" and start < (1 << 64) - (1 << 47):
        return "no canonical address, so the pointer was overwritten, or is no pointer"
    return None
