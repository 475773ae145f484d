"""The fault in sentences: its kind, the trap, the instruction with its operand's sum, the address.

In: a report and what `decoding` made of it. Out: statements. What could not be decoded is said
rather than hidden.
"""

from __future__ import annotations

from detector.explain.decode.fault import Decoded, fault_address_of, is_at_pc, is_protection_fault
from detector.explain.decode.fault_codes_arm import explain_esr
from detector.explain.decode.fault_codes_x86 import explain_oops_code
from detector.explain.decode.hash_nulls import EndMark
from detector.explain.decode.instruction import Instruction
from detector.explain.decode.machine import Architecture
from detector.explain.kinds import ALLOCATORS, FREELIST, meaning_of
from detector.explain.steps import location_of
from detector.model import CrashReport, Statement


def explain_kind(report: CrashReport) -> list[Statement]:
    """The kind of report in a sentence, where the address does not say more."""
    said: list[Statement] = []
    if words := meaning_of(report):
        said.append(Statement(words, "certain", (report.title or report.kind,)))
    functions = [report.function or "", *(frame.function for frame in report.frames[:1])]
    if report.kind == "memory-fault" and any(name.startswith(ALLOCATORS) for name in functions):
        said.append(
            Statement(
                FREELIST,
                "likely",
                tuple(name for name in functions if name.startswith(ALLOCATORS))[:1],
            )
        )
    return said


def explain_fault(report: CrashReport, machine: Architecture, decoded: Decoded) -> list[Statement]:
    """The trap, the instruction, the address."""
    said = explain_esr(report) if machine.family == "arm64" else explain_oops_code(report, machine)
    said += _instruction(report, machine, decoded)
    if decoded.end_mark is not None:
        said.append(_end_mark(decoded.end_mark))
    said += [
        Statement(meaning.text, meaning.confidence, meaning.evidence)
        for meaning in decoded.meanings
    ]
    return said


def _instruction(report: CrashReport, machine: Architecture, decoded: Decoded) -> list[Statement]:
    instruction, operand = decoded.instruction, decoded.operand
    address = fault_address_of(report)
    if decoded.jumped and address is not None:
        through = (
            "a NULL function pointer"
            if address == 0
            else "a bad function pointer or return address"
        )
        text = (
            "The address that faulted is the program counter: the kernel jumped there, through "
            f"{through}."
        )
        return [Statement(text, "certain", (f"pc = {machine.hex(address)}",))]
    if instruction is None:
        return []
    subject, source = (
        _subject(report, instruction),
        f"Code: {instruction.raw} is `{instruction.text}`",
    )
    if operand is None:
        return [Statement(f"{subject}{_why_not(report, instruction)}.", "likely", (source,))]
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


def _subject(report: CrashReport, instruction: Instruction) -> str:
    """The instruction and where it stands: at the guilty place, or in something generic that was
    called from there.
    """
    where = location_of(report)
    if not where:
        return f"The instruction is `{instruction.text}`"
    return (
        f"The instruction {'at' if is_at_pc(report) else 'in what was called from'} {where} is "
        f"`{instruction.text}`"
    )


def _why_not(report: CrashReport, instruction: Instruction) -> str:
    """Why no operand explains the address."""
    if report.kind != "memory-fault":
        return ""
    name = instruction.text.split()[0]
    if is_protection_fault(report):
        return (
            "; the address to return to, on the stack, is not valid: the stack was overwritten"
            if name.startswith(("ret", "iret"))
            else ""
        )
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
