"""Reading a Block: its form, its guilty function, its facts and its registers, put
together in a CrashReport.

In: a block and the list of generic functions. Out: what the block says; a field that it does not
say is None. No line makes this raise.

A head that only announces (`refcount_t: …`) gives way to the report's own; where a memory fault's
own line is lost, the class says so.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from detector.assemble.grammar import restored
from detector.crash.bystanders import without_bystanders
from detector.crash.dumped import Dumped, dumped
from detector.crash.facts import BlockFacts, facts
from detector.crash.forms import (
    ANNOUNCES,
    FORMS,
    INTERRUPTED,
    PANICKED,
    PRINTED,
    UNNAMED,
    UNNAMED_FAULT,
    UNNAMED_NULL,
    Form,
)
from detector.crash.frames import frames_of, trace
from detector.crash.guilty import Guilty, find, link_register, named_in, pc_of
from detector.crash.identity import title
from detector.crash.registers import machine
from detector.lazy_regex import lazy_regex
from detector.model import Block, CrashReport

LONGEST_HEAD = 320
"""Characters of a head that are read."""


@dataclass(frozen=True, slots=True)
class Heading:
    """`start` is the line from which the report is read, `groups` what head and body capture
    for the title.
    """

    form: Form | None = None
    start: int = 0
    groups: dict[str, str] = field(default_factory=dict)


def heading(lines: Sequence[str], head: str, head_class: str) -> Heading:
    """The form of a block."""
    matched = _search(lines, head)
    kind = matched.form.kind if matched.form is not None else None
    if lines and head_class == "memory-fault" and kind in (None, "oops"):
        return Heading(UNNAMED_FAULT, matched.start)
    if matched.form is PANICKED:
        return Heading(_printer(lines) or PANICKED)
    if head_class == UNNAMED.kind and matched.form in (None, UNNAMED):
        return Heading(_printer(lines) or _unnamed(lines))
    return matched


def _printer(lines: Sequence[str]) -> Form | None:
    """The form of what is left of a report, by a frame that the kernel is sure of."""
    for text in lines:
        if any(frame.reliable for frame in frames_of(text)):
            for form in PRINTED:
                if form.head.search(text) is not None:
                    return form
    return None


def _unnamed(lines: Sequence[str]) -> Form:
    return INTERRUPTED if any(map(INTERRUPTED.head.match, lines)) else UNNAMED


def _search(lines: Sequence[str], head: str) -> Heading:
    announced = bool(lines) and ANNOUNCES.match(lines[0]) is not None
    if announced:
        places = range(len(lines))
    else:  # what came before the head of a report that lost its first lines is read as well
        places = (
            range(lines.index(head), lines.index(head) + 1)
            if head in lines
            else range(len(lines[:1]))
        )
    for place in places:
        text = lines[place][:LONGEST_HEAD]
        for form in FORMS:
            matched = form.head.search(text)
            if matched is None:
                continue
            body = form.body.search("\n".join(lines[place:])) if form.body is not None else None
            if form.body is not None and body is None:
                continue
            groups = matched.groupdict(default="")
            groups |= body.groupdict(default="") if body is not None else {}
            return Heading(form, place if announced else 0, groups)
    return Heading()


# printk's records hold at most 1 KiB (PRINTKRB_RECORD_MAX, kernel/printk/internal.h); what is
# longer was not printed by a kernel.
_LONGEST_LINE = 1024
_PAGE = 4096  # show_fault_oops in arch/x86/mm/fault.c and its like: below, it is a NULL pointer
# What scripts/decode_stacktrace.sh and syzbot's symbolizer add to a line that the kernel printed
# once: the same line for every function that was inlined there.
_INLINED = lazy_regex(
    r"(?:RIP: [0-9a-f]{4}:|pc : |WARNING: .{0,80} at |BUG: K[A-Z]{2,5}: .{0,40} in |kernel BUG "
    r").{1,400} \[inline\](?: at addr [0-9a-f]{8,16})?\s*$"
)

_FAULT_REGISTERS = ("cr2", "dar", "badaddr", "badva", "badv")


def lines_of(block: Block) -> list[str]:
    """The lines that are read of a block: without frames that were inlined, each cut."""
    return [
        text[:_LONGEST_LINE]
        for text in block.lines
        if "[inline]" not in text or not _INLINED.match(text)
    ]


def read(block: Block, skip: Container[str] = ()) -> CrashReport:
    """The report that a block holds.

    `skip` are generic functions (allocation, locking, printing …): never guilty of a crash.
    """
    printed = lines_of(block)
    lines = [restored(text) for text in printed]
    head = heading(lines, block.head.text[:_LONGEST_LINE], block.head.cls)
    facts_read = facts([text[:LONGEST_HEAD] for text in lines])
    own = [*lines[: head.start], *without_bystanders(lines[head.start :])]
    state = machine(own, facts_read.kernel)
    esr = (
        facts_read.esr
        if facts_read.esr is not None
        else facts_read.error_code
        if state.arch == "arm64"
        else None
    )
    address = facts_read.fault_address
    if address is None:
        address = _fault_register(head.form, state.registers)
    form = _named(head.form, address)
    guilty = _guilty(form, own[head.start :], skip)
    frame = guilty.frame if guilty is not None else None
    task = _task(form, own[head.start :], guilty, facts_read)
    return CrashReport(
        kind=form.kind if form is not None else block.head.cls,
        title=_title(form, head.groups, guilty, lines[head.start] if lines else ""),
        function=guilty.name if guilty is not None else None,
        display_function=frame.function if frame is not None else None,
        offset=frame.offset if frame is not None else None,
        size=frame.size if frame is not None else None,
        module=frame.module if frame is not None else None,
        kernel=facts_read.kernel,
        arch=state.arch,
        hardware=facts_read.hardware,
        cpu=task.cpu,
        pid=task.pid,
        comm=task.comm,
        tainted=facts_read.tainted,
        fault_address=address,
        error_code=facts_read.error_code,
        esr=esr,
        code=state.code,
        code_mark=state.code_mark,
        registers=state.registers,
        frames=trace(own),
        panic=facts_read.panic,
        complete=block.complete,
        pc=pc_of(own),
        lines=tuple(printed),
        package=facts_read.package,
    )


def _task(
    form: Form | None, lines: Sequence[str], guilty: Guilty | None, facts_read: BlockFacts
) -> Dumped:
    """The task that the report is of; of a stall that shows several, the guilty frame's."""
    if form is not None and form.kind == "rcu-stall" and guilty is not None:
        return dumped(lines, guilty.frame)
    return Dumped(facts_read.cpu, facts_read.pid, facts_read.comm)


def _named(form: Form | None, address: int | None) -> Form | None:
    """The form of a memory fault whose own line is lost, by its address."""
    if form is UNNAMED_FAULT and address is not None and address < _PAGE:
        return UNNAMED_NULL
    return form


def _fault_register(form: Form | None, registers: Mapping[str, int]) -> int | None:
    """The register that keeps the address of a page fault.

    Elsewhere it holds what an older fault left, and says nothing.
    """
    if form is None or form.kind != "memory-fault" or "protection" in form.title:
        return None
    return next((registers[name] for name in _FAULT_REGISTERS if name in registers), None)


def _guilty(form: Form | None, lines: Sequence[str], skip: Container[str]) -> Guilty | None:
    if form is None or not lines:
        return None
    head = find(lines, form.recipes, skip)
    if head is None and "{function}" in form.title and form.recipes:
        return link_register(lines, skip) or named_in(lines[0])
    return head


def _title(form: Form | None, groups: dict[str, str], guilty: Guilty | None, head: str) -> str:
    if form is None:
        return title(head)
    title_given = form.title if guilty is not None else form.title.split(" in {function}")[0]
    return title(title_given.format(**groups, function=guilty.name if guilty is not None else ""))
