"""End marks of hash chains: the odd value that closes a "nulls" chain, found again in the
address of a crash.

In: a report, the operand that explains its fault address, the struct layouts. Out: an `EndMark`, or
None. A listener walk that runs into a chain of another table takes the end mark M for the next
socket: sk = M - offset(skc_node), and the first thing it reads is sk->sk_net, at M -
offset(skc_node) + offset(skc_net). Sources: include/linux/list_nulls.h NULLS_MARKER();
net/ipv4/inet_hashtables.c compute_score() and __inet_lookup_listener(), inet_diag.c
inet_diag_dump_icsk(), tcp_ipv4.c listening_get_next() (4.14, 4.19); include/net/inet_hashtables.h.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from detector.catalogue.known_issues import StructLayout
from detector.explain.decode.machine import Architecture
from detector.explain.decode.operands import Operand
from detector.model import Confidence, CrashReport
from detector.release import KernelRelease, within

WALKS = frozenset(
    {"__inet_lookup_listener", "inet_diag_dump_icsk", "listening_get_next", "compute_score"}
)
"""Functions that walk the listener table and read sk_net first."""

LISTENING_NULLS_BASE = (
    1 << 29
)  # include/net/inet_hashtables.h since 5.5-rc3, and the stable releases with the fix
LISTENING_SLOTS = 32  # INET_LHTABLE_SIZE
USUAL_SLOTS = (
    512 * 1024
    # net/ipv4/tcp.c tcp_init(): the most that the established table has unless thash_entries= asks
    # for more
)


@dataclass(frozen=True, slots=True)
class EndMark:
    """`value` is the mark M, `slot` the chain it closes, `table` whose chain. `decoded`: the
    instruction was seen to read sk_net.
    """

    value: int
    slot: int
    table: Literal["established", "listening"]
    decoded: bool
    confidence: Confidence
    evidence: tuple[str, ...]

    @property
    def marks(self) -> tuple[str, ...]:
        """The names that known issues ask for."""
        name = f"{self.table}-slot"
        return (name, f"{name}-decoded") if self.decoded else (name,)


def find_end_mark(
    report: CrashReport,
    machine: Architecture,
    operand: Operand | None,
    structs: Iterable[StructLayout],
) -> EndMark | None:
    """The end mark that the fault address is made of; None where the function walks no
    listeners or the layout is not known.
    """
    if report.fault_address is None or report.function not in WALKS or machine.bits != 64:
        return None
    kernel = KernelRelease.of(report.kernel, report.package)
    layout = sock_layout(structs, machine, kernel)
    if layout is None:
        return None
    net, node = layout.members["skc_net"], layout.members["skc_node"]
    decoded = operand is not None and operand.displacement == net and len(operand.terms) == 1
    held = (
        report.fault_address - net in report.registers.values()
    )  # the socket pointer that the layout implies
    if (operand is not None and not decoded) or (kernel is None and not decoded and not held):
        return None  # it read something else, or nothing says that this layout holds
    value = (report.fault_address - net + node) & machine.mask
    placed = _slot(value)
    if placed is None:
        return None
    table, slot = placed
    usual = table == "listening" or slot < USUAL_SLOTS
    confidence: Confidence = (
        "possible" if not usual else "likely" if decoded and kernel is not None else "possible"
    )
    evidence = _evidence(report, value, slot, table, layout)
    return EndMark(value, slot, table, decoded, confidence, evidence)


def sock_layout(
    structs: Iterable[StructLayout], machine: Architecture, kernel: KernelRelease | None
) -> StructLayout | None:
    """The layout of struct sock_common for this kernel; where the kernel is not known, the one
    of this architecture.
    """
    fitting = (
        layout
        for layout in structs
        if layout.name == "sock_common" and machine.family in layout.arches
    )
    return next(
        (
            layout
            for layout in fitting
            if kernel is None or within(kernel, layout.since, layout.until)
        ),
        None,
    )


def _slot(value: int) -> tuple[Literal["established", "listening"], int] | None:
    """(table, slot) of an end mark: M = slot << 1 | 1."""
    slot = value >> 1
    if not value & 1:
        return None
    if slot < LISTENING_NULLS_BASE:
        return "established", slot
    listening = slot - LISTENING_NULLS_BASE
    return ("listening", listening) if listening < LISTENING_SLOTS else None


def _evidence(
    report: CrashReport, value: int, slot: int, table: str, layout: StructLayout
) -> tuple[str, ...]:
    net, node = layout.members["skc_net"], layout.members["skc_node"]
    shown = f"LISTENING_NULLS_BASE (1 << 29) + {slot}" if table == "listening" else f"slot {slot}"
    lines = [
        (
            f"M = {report.fault_address or 0:#x} - {net:#x} (skc_net) + {node:#x} (skc_node) = "
            f"{value:#x}, odd: an end mark; M >> 1 = {shown}"
        ),
        f"struct {layout.name}: {layout.source}",
    ]
    for number, words in (
        ((report.fault_address or 0) - net, "the socket pointer, M - skc_node"),
        (value, "the mark itself"),
    ):
        holders = (name for name, held in report.registers.items() if held == number)
        lines += [f"{name} = {number:#x}: {words}" for name in list(holders)[:1]]
    return tuple(lines)
