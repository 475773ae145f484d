"""Selects the lines of kernel reports, and assembles none of them.

For a stage that sees only some lines of a host.

In: lines, as an assembler gets them. Out: those that may be a report's, handed on as they are. Who
gets the lines of all stages puts them in order, and assembles them (`in_printed_order`).

Formats: see `grammar`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from detector.assemble.grammar import shape
from detector.assemble.machine import Assembler
from detector.boots import FALL_US, start_us
from detector.catalogue import Opens
from detector.match import Claim
from detector.model import Block, Boot, Line, Match

# What selects the records of report lines that hold no signature's literal. Wide enough for what a
# report rests on: its trace, the registers and words that title and explanation are made of.
SEARCHED: tuple[bytes, ...] = (
    rb"\+0x[0-9a-f]{1,8}/0x[0-9a-f]{1,8}",
    rb"(?:[Cc]all [Tt]race|[Bb]acktrace):",
    rb"(?:<|\\u003[cC])/?(?:TASK|IRQ|NMI|SOFTIRQ|EOE|EOI|ENTRY)",
    rb"R(?:[ISB]P|[A-D]X|[SD]I|[01][0-9]): ",
    rb"E(?:FLAGS|[A-D]X|[SDB][IP]): ",
    rb"(?:[CF]S: {1,2}[0-9a-f]{4}|[CD]R[0-7]: |ORIG_RAX|#PF: )",
    rb"PGD [0-9a-f]{1,16} ",
    rb"(?:x[0-9]{1,2} ?: [0-9a-f]{16}|r[0-9]{1,2} ?: ?[0-9a-f]{8})",
    rb"(?:pstate: |psr: |Mem abort info|Data abort info|pgtable: |pgd ?=)",
    rb"(?:ESR|EC|SET|FSC|ISV|CM|GCS) = ",
    rb"\b(?:pc|lr|sp|epc|ra|gp|tp) {1,3}: ",
    rb"(?:NIP|MSR|CFAR|GPR[0-9]{2}|DAR|LR|XER|CTR): {1,2}[0-9a-f]",
    rb"(?:Krnl (?:PSW|GPRS|Code)|Failing address: |Last Breaking-Event)",
    rb"(?:Code: |Code : |Modules linked in:|Hardware name: |[Tt]ainted: |Not tainted|Workqueue: )",
    rb"(?:[Cc]omm: |CPU: ?[0-9]|NMI backtrace for|irq event stamp: |Kernel Offset: )",
    rb"(?:---\[ |cut here|={20}|-{20}|Internal error: |Kernel panic|Fatal exception|Oops)",
    rb"(?:Allocated by|Freed by|The buggy|located [0-9]|Memory state around)",
    rb"(?:Read|Write) of size",
    rb"[>#* ](?:0x)?[0-9a-f]{16}: ",
)
# Levels from here on are those of reports on programs (show_signal_msg in arch/x86/mm/fault.c,
# KERN_INFO), whose code is no kernel's.
_INFO = 6
_CODE = "Code: "


class ReportLines(Assembler):
    """Stands in the place of an assembler: no report is ever open.

    `on_line` gets each line that may be a report's.
    """

    searched = SEARCHED

    def __init__(self, opening: Mapping[str, Opens], on_line: Callable[[Line], None]) -> None:
        super().__init__(opening)
        self._on_line = on_line
        self._undecided: Line | None = None

    def takes(self, line: Line) -> bool:
        """Returns whether a line that no signature claims may be a report's."""
        if line.trust == "user" or line.inner:
            return False
        if line.text.startswith(_CODE) and (line.level or 0) >= _INFO:
            return False
        return shape(line.text).kind not in ("foreign", "blank")

    def match_of(self, claim: Claim, line: Line, boot: Boot) -> Match | None:
        """The match of what claims a line; None where that rests on what else its host printed,
        which is known where all of it is.
        """
        if rests_on_others(claim):
            self._undecided = line
            return None
        return claim.match(line, boot)

    def feed(self, line: Line, match: Match | None, now_us: int) -> list[Block]:
        """Hands the line on, if it may be a report's; closes nothing."""
        del now_us
        opens = match is not None and match.origin == "kernel" and match.signature in self._opening
        claimed = match is None and line is self._undecided
        if line.trust != "user" and (opens or claimed or (match is None and self.takes(line))):
            self._on_line(line)
        return []


def rests_on_others(claim: Claim) -> bool:
    """Returns whether a claim makes a match only by what else is open on its host."""
    return claim.signature.opens == "rest" or claim.signature.alone is not None


def in_printed_order(lines: Iterable[Line]) -> list[Line]:
    """Returns a host's lines in the order in which its kernel printed them, each once.

    Boots are told apart by when they began by the wall clock; within a boot the kernel time counts,
    then the wall clock, then the order in which the lines came. Lines without a kernel time stand
    where their wall clock puts them.
    """
    known = {(line.source, line.number, line.text): line for line in lines}
    starts = sorted(start for line in known.values() if (start := start_us(line)) is not None)
    boots: list[tuple[int, int]] = []  # (the first, the last start that was read) of each boot
    for start in starts:
        if boots and start - boots[-1][1] <= FALL_US:
            boots[-1] = (boots[-1][0], start)
        else:
            boots.append((start, start))

    def place(line: Line) -> tuple[int, int, int]:
        start, wall_us = start_us(line), line.wall_time_us
        since = start if start is not None else wall_us
        at = next((n for n, (_, last) in enumerate(boots) if since and since <= last), len(boots))
        boot = min(at, len(boots) - 1) if start is not None or since is None else max(0, at - 1)
        if line.kernel_time_us is not None:
            return boot, line.kernel_time_us, wall_us or 0
        began = boots[boot][0] if boots else 0
        return boot, (wall_us or 0) - began, wall_us or 0

    return sorted(known.values(), key=place)
