"""The explainer: what a crash means, with the evidence and the confidence of each
sentence, the known bug it is, and what to do next.

In: a `CrashReport` (or None: a line without a report), the matches around it, the catalogue. Out: a
`Diagnosis`. Pure; the first use imports capstone. `layout` renders a diagnosis for people and for
programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from detector.catalogue import Catalogue
from detector.catalogue.known_issues import StructLayout
from detector.explain.call_path import explain_path
from detector.explain.decode.fault import Decoded, decode_fault
from detector.explain.decode.machine import Architecture, machine_of
from detector.explain.deliberate import explain_deliberate
from detector.explain.issues import explain_issue, facts_of, failing_tests, recognise
from detector.explain.kinds import explain_kind
from detector.explain.kinds.checks import explain_queue
from detector.explain.kinds.hardware import explain_hardware
from detector.explain.kinds.memory import explain_kill_matches
from detector.explain.sentences import explain_fault, explain_free_list
from detector.explain.steps import next_steps
from detector.explain.tcp import explain_release, released
from detector.model import CrashReport, Diagnosis, Match, Statement

if TYPE_CHECKING:
    from detector.member.kernel import KernelBuild

__all__ = ["Decoded", "decode_fault", "explain", "failing_tests", "with_instruction"]


def explain(
    report: CrashReport | None, evidence: Sequence[Match], catalogue: Catalogue
) -> Diagnosis:
    """Returns everything that can honestly be said of this crash: what, how, the way in, the
    known issue.
    """
    machine = machine_of(report) if report is not None else None
    kernels = catalogue.kernels(report.kernel) if report is not None and report.kernel else ()
    decoded = (
        decode_fault(report, machine, _agreeing(catalogue.structs, kernels))
        if report is not None and machine is not None
        else Decoded()
    )
    named = recognise(facts_of(report, evidence, decoded.marks), catalogue.known_issues)
    statements = [*explain_hardware(report, evidence), *explain_release(evidence)]
    if report is None:
        statements += explain_kill_matches(evidence)
    else:
        statements = [
            *explain_deliberate(report, evidence),
            *explain_kind(report, catalogue.generic_functions),
            *explain_queue(report, evidence),
            *statements,
            *explain_free_list(report),
        ]
        if machine is not None:
            statements += explain_fault(report, machine, decoded)
            statements += _members(report, machine, decoded, kernels)
        statements += explain_path(report)
    statements += explain_issue(named)
    issue, confidence = (named.issue.id, named.when.confidence) if named else (None, None)
    return Diagnosis(
        tuple(statements),
        issue,
        confidence,
        next_steps(report, evidence, evidence_sockets(evidence), named),
    )


def _agreeing(
    structs: Sequence[StructLayout], kernels: Sequence[KernelBuild]
) -> Sequence[StructLayout]:
    """The layouts that no kernel at hand contradicts: its own types know better."""
    return [
        layout
        for layout in structs
        if all(
            kernel.layouts.offset_of(layout.name, member) in (None, offset)
            for kernel in kernels
            for member, offset in layout.members.items()
        )
    ]


def _members(
    report: CrashReport, machine: Architecture, decoded: Decoded, kernels: Sequence[KernelBuild]
) -> list[Statement]:
    """The member behind the fault, where a kernel of this release is at hand."""
    if not kernels:
        return []
    # Imported here: without packs, explanations start as quickly as ever.
    from detector.explain.members import explain_member

    return explain_member(report, machine, decoded, kernels)


def evidence_sockets(evidence: Sequence[Match]) -> list[str]:
    """The addresses of the sockets that were released, as printed."""
    return [socket for _, socket, _ in released(evidence) if socket]


def with_instruction(report: CrashReport) -> CrashReport:
    """The report with its marked instruction in assembler, such as `ldr x3, [x19, #0x30]`;
    unchanged where it cannot be decoded.
    """
    machine = machine_of(report)
    decoded = decode_fault(report, machine) if machine is not None else Decoded()
    return (
        replace(report, instruction=decoded.instruction.text)
        if decoded.instruction is not None
        else report
    )
