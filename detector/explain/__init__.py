"""The explainer: what a crash means, with the evidence and the confidence of each sentence, the known bug it is, and what to do next.

In: a `CrashReport` (or None: a line without a report), the matches around it, the catalogue. Out: a `Diagnosis`. Pure; the first use
imports capstone. `layout` renders a diagnosis for people and for programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detector.catalogue import Catalogue
from detector.explain.address import Meaning, meanings
from detector.explain.esr import explain_esr
from detector.explain.instruction import Instruction, decode
from detector.explain.kinds import ALLOCATORS, FREELIST, KINDS
from detector.explain.known import facts_of, recognise
from detector.explain.machine import Machine, machine_of
from detector.explain.nulls import EndMark, find_end_mark
from detector.explain.oops_code import explain_oops_code
from detector.explain.operand import Operand
from detector.explain.path import explain_path
from detector.explain.steps import location_of, next_steps
from detector.explain.tcp import explain_release, released
from detector.explain.verdict import explain_issue
from detector.model import CrashReport, Diagnosis, Match, Statement

__all__ = ["Decoded", "decode_fault", "explain"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the registers and the code of a report give: the instruction, the operand that made the address, the readings of that address.

    `address` is the fault address, or the operand's where the trap reports none (a general protection fault).
    """

    instruction: Instruction | None = None
    operand: Operand | None = None
    address: int | None = None
    meanings: tuple[Meaning, ...] = ()
    end_mark: EndMark | None = None

    @property
    def marks(self) -> tuple[str, ...]:
        """The names of the readings, as known issues ask for them."""
        found = [meaning.mark for meaning in self.meanings]
        return (*self.end_mark.marks, *found) if self.end_mark else tuple(found)


def explain(report: CrashReport | None, evidence: Sequence[Match], catalogue: Catalogue) -> Diagnosis:
    """Everything that can honestly be said of this crash."""
    machine = machine_of(report) if report is not None else None
    decoded = decode_fault(report, machine, catalogue) if report is not None and machine is not None else Decoded()
    named = recognise(facts_of(report, evidence, decoded.marks), catalogue.known_issues)
    said: list[Statement] = []
    if report is not None:
        said += _what(report)
    said += explain_release(evidence)
    if report is not None:
        said += _how(report, machine, decoded)
        said += explain_path(report)
    said += explain_issue(named)
    sockets = [socket for _, socket, _ in released(evidence) if socket]
    issue, confidence = (named.issue.id, named.when.confidence) if named else (None, None)
    return Diagnosis(tuple(said), issue, confidence, next_steps(report, sockets, named))


def decode_fault(report: CrashReport, machine: Machine, catalogue: Catalogue) -> Decoded:
    """Decode the marked instruction and hold its operands against the fault address."""
    instruction = decode(report, machine)
    address = report.fault_address
    operand = instruction.explaining(address) if instruction is not None and address is not None else None
    if address is None and instruction is not None and _is_protection_fault(report):
        operand = next((item for item in instruction.operands if _not_canonical(item.address)), None)
        address = operand.address if operand is not None else None
    if address is None:
        return Decoded(instruction)
    end_mark = find_end_mark(report, machine, operand, catalogue.structs)
    readings = meanings(address, machine, operand)
    if end_mark is not None:  # the mark says what the address is; what it merely looks like would distract
        readings = tuple(meaning for meaning in readings if meaning.mark == "unaligned")
    return Decoded(instruction, operand, address, readings, end_mark)


def _is_protection_fault(report: CrashReport) -> bool:
    return "general protection" in (report.title or "").lower()


def _not_canonical(address: int | None) -> bool:
    return address is not None and 1 << 47 <= address < (1 << 64) - (1 << 47)


def _what(report: CrashReport) -> list[Statement]:
    """The kind of report in a sentence, where the address does not say more."""
    said: list[Statement] = []
    if words := KINDS.get(report.kind):
        said.append(Statement(words, "certain", (report.title,) if report.title else ()))
    if report.kind == "memory-fault" and (report.function or "").startswith(ALLOCATORS):
        said.append(Statement(FREELIST, "likely", (location_of(report) or "",)))
    return said


def _how(report: CrashReport, machine: Machine | None, decoded: Decoded) -> list[Statement]:
    """The trap, the instruction, the address."""
    if machine is None:
        return []
    said = explain_esr(report) if machine.family == "arm64" else explain_oops_code(report, machine)
    said += _instruction(report, machine, decoded)
    if decoded.end_mark is not None:
        said.append(_end_mark(decoded.end_mark))
    said += [Statement(meaning.text, meaning.confidence, meaning.evidence) for meaning in decoded.meanings]
    return said


def _instruction(report: CrashReport, machine: Machine, decoded: Decoded) -> list[Statement]:
    instruction, operand = decoded.instruction, decoded.operand
    pc = next((report.registers[name] for name in ("pc", "rip", "eip") if name in report.registers), None)
    if report.fault_address is not None and pc == report.fault_address:
        text = "The address that faulted is the program counter: the kernel jumped there, through a bad function pointer or return address."
        return [Statement(text, "certain", (f"pc = {machine.hex(pc)}",))]
    if instruction is None:
        return []
    where = location_of(report)
    source = f"Code: {instruction.raw} is `{instruction.text}`"
    at = f" at {where}" if where else ""
    if operand is not None and report.fault_address is not None:
        text = f"The instruction{at} is `{instruction.text}`, and its operand is the fault address: {operand.arithmetic()}."
        return [Statement(text, "certain", (source, operand.arithmetic()))]
    if operand is not None:
        text = f"The instruction{at} is `{instruction.text}`; its operand is no canonical address, hence the trap: {operand.arithmetic()}."
        return [Statement(text, "certain", (source, operand.arithmetic()))]
    return [Statement(f"The instruction{at} is `{instruction.text}`{_why_not(report, instruction)}.", "likely", (source,))]


def _why_not(report: CrashReport, instruction: Instruction) -> str:
    """Why no operand explains the address: said rather than hidden."""
    if report.fault_address is None or report.kind != "memory-fault":
        return ""
    if not instruction.operands:
        return "; it touches no memory by itself"
    if all(operand.address is None for operand in instruction.operands):
        return "; the registers that its operand needs are not in the report"
    known = "; ".join(operand.arithmetic() for operand in instruction.operands if operand.address is not None)
    return f"; its operand is not the fault address ({known})"


def _end_mark(mark: EndMark) -> Statement:
    if mark.table == "established":
        text = (
            f"The address is made of a hash chain's end mark, {mark.value:#x}, which closes slot {mark.slot} of the "
            "table of established sockets. The walk over listening sockets ran into a chain of that table and took its end mark for a "
            "socket; what it read is sk->sk_net (skc_net of struct sock_common)."
        )
    else:
        text = (
            f"The address is made of a hash chain's end mark, {mark.value:#x}, which closes slot {mark.slot} of the listener table "
            "(LISTENING_NULLS_BASE). The walk does not know such marks and took it for a socket; what it read is sk->sk_net."
        )
    return Statement(text, mark.confidence, mark.evidence)
