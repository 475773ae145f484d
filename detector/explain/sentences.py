"""The fault in sentences: its kind, the trap, the instruction with its operand's sum, the
address.

In: a report and what `decoding` made of it. Out: statements. What could not be decoded is said
rather than hidden.
"""

from __future__ import annotations

from dataclasses import replace

from detector.explain.block_text import first, place, quoted
from detector.explain.contradictions import explain_contradictions
from detector.explain.decode.fault import (
    Decoded,
    fault_address_of,
    is_access,
    is_at_pc,
    is_protection_fault,
)
from detector.explain.decode.fault_codes_arm import explain_esr, is_tag_fault
from detector.explain.decode.fault_codes_x86 import explain_oops_code
from detector.explain.decode.hash_nulls import EndMark
from detector.explain.decode.instruction import Instruction
from detector.explain.decode.machine import Architecture
from detector.explain.decode.page_tables import explain_refusal
from detector.explain.decode.protection import explain_protection, is_thunk
from detector.explain.steps import location_of
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

_ALLOCATORS = (
    "kmem_cache_alloc",
    "__kmalloc",
    "kmalloc",
    "___slab_alloc",
    "__slab_alloc",
    "get_freepointer",
    "deactivate_slab",
    "slab_alloc",
)
# arch/arm64/mm/fault.c show_pte(), 4.11 to 6.x
_BETWEEN = lazy_regex(r"\[[0-9a-f]{16}\] address between user and kernel address ranges")
_FREELIST = (
    "The slab allocator followed its own lists of free objects to a bad address: something "
    "wrote over them, most often into a freed object, where the list of free ones is kept. The "
    "function named here is the victim, not the cause."
)


def explain_free_list(report: CrashReport) -> list[Statement]:
    """That a fault inside of the slab allocator is somebody else's: its list was overwritten."""
    if report.kind != "memory-fault":
        return []
    functions = [report.function or "", *(frame.function for frame in report.frames[:1])]
    if report.pc is not None:
        functions = [report.pc.function]
    names = tuple(name for name in functions if name.startswith(_ALLOCATORS))
    return [Statement(_FREELIST, "likely", names[:1])] if names else []


def explain_fault(report: CrashReport, machine: Architecture, decoded: Decoded) -> list[Statement]:
    """The trap, the instruction, the address."""
    if machine.family == "arm64":
        statements = explain_esr(report)
    elif is_protection_fault(report):
        statements = explain_protection(report, machine, decoded)
    else:
        statements = explain_oops_code(report, machine)
    refused: list[Statement] = []
    instruction: list[Statement] = []
    if is_access(report):
        instruction = _instruction(report, machine, decoded)
        refused = explain_refusal(report, machine, decoded)
    if (doubt := explain_contradictions(report, machine, decoded)) is not None:
        statements, refused = [doubt, *map(_doubted, statements)], list(map(_doubted, refused))
        instruction = list(map(_doubted, instruction)) if decoded.jumped else instruction
    statements += [*instruction, *refused]
    if decoded.end_mark is not None:
        statements.append(_end_mark(decoded.end_mark))
    between = first(report.lines, _BETWEEN)
    for meaning in decoded.meanings:
        if meaning.mark == "non-canonical" and between is not None:
            text = "The address belongs neither to user space nor to the kernel."
            statements.append(Statement(text, "certain", (quoted(between),)))
        elif meaning.mark not in _silent(report, decoded):
            statements.append(Statement(meaning.text, meaning.confidence, meaning.evidence))
    return statements


def _doubted(statements: Statement) -> Statement:
    """The statement as a possibility: another part of the report says otherwise."""
    return replace(statements, confidence="possible")


def _silent(report: CrashReport, decoded: Decoded) -> frozenset[str]:
    """The readings that say nothing new: another one explains the address, or the trap did."""
    silent = set[str]()
    if decoded.end_mark is not None or len(decoded.meanings) > 1 or _mapped(report):
        silent.add("unaligned")
    flipped = any(meaning.mark == "bit-flip" for meaning in decoded.meanings)
    if is_protection_fault(report) or is_tag_fault(report) or flipped:
        silent.add("non-canonical")
    if _mapped(report):
        silent.add("user-range")  # said as a page of user space that is mapped
    return frozenset(silent)


def _mapped(report: CrashReport) -> bool:
    """Returns whether the fault's code says that a page is there."""
    if report.esr is not None:
        return report.esr & 0x3C == 0x0C
    return bool((report.error_code or 0) & 1) and not is_protection_fault(report)


def _instruction(report: CrashReport, machine: Architecture, decoded: Decoded) -> list[Statement]:
    instruction, operand = decoded.instruction, decoded.operand
    address = fault_address_of(report)
    if decoded.jumped and address is not None:
        return _jump(report, machine, address)
    if instruction is None:
        return []
    subject, source = (
        _subject(report, instruction),
        f"Code: {instruction.raw} is `{instruction.text}`",
    )
    if operand is None:
        why_not = _why_not(report, instruction)
        if not why_not:  # the instruction alone says nothing; its class is explained with the trap
            return []
        return [Statement(f"{subject}{why_not}.", "likely", (source,))]
    if address is None or not operand.covers(address):
        text = (
            f"{subject}; its operand is no canonical address, hence the trap: "
            f"{operand.arithmetic()}."
        )
    elif operand.address == address or operand.spans(address):
        text = f"{subject}, and its operand is the fault address: {operand.arithmetic()}."
    else:
        text = (
            f"{subject}, and its operand is the fault address but for the top byte, which the "
            f"kernel leaves out: {operand.arithmetic()}."
        )
    return [Statement(text, "certain", (source, operand.arithmetic()))]


def _jump(report: CrashReport, machine: Architecture, address: int) -> list[Statement]:
    """A jump to a place that holds no code: through what, and from where."""
    caller = next((frame for frame in report.frames if frame.reliable), None)
    shown = machine.hex(address)
    text = f"The kernel jumped to {shown} and could not fetch an instruction there."
    counters = (report.registers.get(name) for name in ("pc", "rip", "eip"))
    at = f"pc = {shown}" if address in counters else f"an instruction fetch at {shown}"
    statements = [Statement(text, "certain", (at,))]
    through = (
        "a NULL function pointer" if address == 0 else "a bad function pointer or return address"
    )
    by = f", by {place(caller)}" if caller is not None else ""
    text = f"It jumped there through {through}{by}."
    statements.append(
        Statement(text, "likely", (place(caller),) if caller is not None else (shown,))
    )
    return statements


def _subject(report: CrashReport, instruction: Instruction) -> str:
    """The instruction, where it stands, and on behalf of which function where that is another."""
    guilty = location_of(report)
    if report.pc is not None:
        for_ = "" if guilty is None or is_at_pc(report) else f", on behalf of {guilty},"
        return f"The instruction at {place(report.pc)}{for_} is `{instruction.text}`"
    if guilty is not None and is_at_pc(report):
        return f"The instruction at {guilty} is `{instruction.text}`"
    return f"The instruction that faulted is `{instruction.text}`"


def _why_not(report: CrashReport, instruction: Instruction) -> str:
    """Returns why no operand explains the address."""
    name = instruction.text.split()[0]
    if is_protection_fault(report):
        return (
            "; the address to return to, on the stack, is not valid: the stack was overwritten"
            if name.startswith("ret") and not is_thunk(report)
            else ""
        )
    if report.kind != "memory-fault":
        return ""
    if not instruction.operands:
        return "; it touches no memory by itself"
    if all(operand.address is None for operand in instruction.operands):
        return "; the registers that its operand needs are not in the report"
    known = "; ".join(
        operand.arithmetic() for operand in instruction.operands if operand.address is not None
    )
    if fault_address_of(report) is None:
        return f"; the report gives no address, the operand is at {known}"
    return f"; its operand is not the fault address ({known})"


def _end_mark(mark: EndMark) -> Statement:
    if mark.table == "established":
        text = (
            f"The address is made of a hash chain's end mark, {mark.value:#x}, which closes "
            f"slot {mark.slot} of the table of established "
            "sockets. The walk over listening sockets ran into a chain of that table and "
            "took its end mark for a socket; what it read is "
            "sk->sk_net (skc_net of struct sock_common)."
        )
    else:
        text = (
            f"The address is made of a hash chain's end mark, {mark.value:#x}, which closes "
            f"slot {mark.slot} of the listener table "
            "(LISTENING_NULLS_BASE). The walk does not know such marks and took it for a "
            "socket; what it read is sk->sk_net (skc_net of "
            "struct sock_common)."
        )
    return Statement(text, mark.confidence, mark.evidence)
