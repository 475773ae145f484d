"""Compares what the parts of a fault's report say: head, codes, instruction, CPU mode.

In: a report, its machine, what was decoded. Out: one statement that names what disagrees, or None.
Formats: arch/arm64/mm/fault.c mem_abort_decode(), data_abort_decode(), __do_kernel_fault() (4.17 to
6.x); arch/x86/mm/fault.c show_fault_oops() (5.0 to 6.x), arch/x86/kernel/dumpstack.c
__die_header().
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from detector.explain.block_text import every, first, quoted
from detector.explain.decode.fault import Decoded, fault_address_of, is_protection_fault
from detector.explain.decode.fault_codes_arm import Syndrome, syndrome_of
from detector.explain.decode.instruction import decode
from detector.explain.decode.machine import Architecture
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

Clash = tuple[str, tuple[str, ...]]
"""What disagrees, in words, and the lines that show it."""

# Lines that print a part of the ESR once more: name, line, shift, mask.
_ESR_PARTS: tuple[tuple[str, re.Pattern[str], int, int], ...] = (
    ("EC", lazy_regex(r"\s*EC = 0x(?P<value>[0-9a-f]{1,2}):"), 26, 0x3F),
    ("FSC", lazy_regex(r"\s*FSC = 0x(?P<value>[0-9a-f]{1,2}):"), 0, 0x3F),
    ("ISS", lazy_regex(r"\s*ISV = \d, ISS = 0x(?P<value>[0-9a-f]{1,8})"), 0, 0x1FF_FFFF),
    ("WnR", lazy_regex(r"\s*CM = \d, WnR = (?P<value>[01])"), 6, 1),
)
_PAGE = 4096  # x86 speaks of NULL below it (arch/x86/mm/fault.c show_fault_oops())
_BOTH_ESRS = (lazy_regex(r"\s+ESR = 0x"), lazy_regex(r"Internal error: "))
_ATOMIC = lazy_regex(r"(?:ld|st)(?:add|clr|eor|set|[su]max|[su]min)")
_ARM_HEADS = (("write to read-only memory", True), ("read from unreadable memory", False))
_OOPS = lazy_regex(r"(?:Oops: )*Oops: (?P<code>[0-9a-f]{4}) \[#")
_WORDS = lazy_regex(
    r"#PF: (?P<who>supervisor|user) (?P<what>read access|write access|instruction fetch) in"
)
_CODE = lazy_regex(r"#PF: error_code\(0x(?P<code>[0-9a-f]+)\) - (?P<page>not-present page)?")
_SELECTOR = lazy_regex(r"[RE]IP: (?P<cs>[0-9a-f]{4}):")
_CR2 = lazy_regex(r"CR2: (?P<value>[0-9a-f]{8,16})(?P<live> CR3:)?")
_UNREAD_CODE = lazy_regex(r"Code: .*(?:Bad RIP value|Unable to access opcode bytes)")
_READS = lazy_regex(r"(?:mov(?:zx|sx|sxd|abs)? \w+, |(?:cmp|test) ).*\[")
_WRITES = lazy_regex(r"mov(?:abs|nti)? (?:\w+ ptr )?(?:[fg]s:)?\[")


def explain_contradictions(
    report: CrashReport, machine: Architecture, decoded: Decoded
) -> Statement | None:
    """Returns what the report says twice and differently; None where its parts agree."""
    clashes = list(_addresses(report, decoded))
    if report.kind == "memory-fault" and not is_protection_fault(report):
        if machine.family == "arm64":
            clashes += _arm64(report, machine, decoded)
        elif machine.family in ("x86_64", "i386"):
            clashes += _x86(report, machine, decoded)
    if not clashes:
        return None
    words = "; ".join(text for text, _ in clashes)
    evidence = tuple(dict.fromkeys(line for _, lines in clashes for line in lines))
    text = (
        "The report contradicts itself, or holds lines of another fault, so what it says of the "
        f"access is in doubt: {words}."
    )
    return Statement(text, "certain", evidence)


def _addresses(report: CrashReport, decoded: Decoded) -> Iterator[Clash]:
    """The address of the head against riscv's badaddr, CR2 and a refused operand; the kernel
    computes the latter from the registers that it prints (get_kernel_gp_address()).
    """
    address, instruction = fault_address_of(report), decoded.instruction
    if address is None:
        return
    bad = report.registers.get("badaddr")
    if bad is not None and bad != address:
        yield f"the head names {address:#x}, badaddr is {bad:#x}", (f"badaddr: {bad:x}",)
    if report.kind == "memory-fault" and not is_protection_fault(report):
        yield from _by_cr2(report, address)
    if not is_protection_fault(report) or instruction is None or decoded.operand is not None:
        return
    operands = instruction.operands
    if operands and all(operand.address is not None for operand in operands):
        lines = (f"Code: {instruction.raw} is `{instruction.text}`", operands[0].arithmetic())
        yield f"the head names {address:#x}, which is not the instruction's operand", lines


def _by_cr2(report: CrashReport, address: int) -> Iterator[Clash]:
    """The address of the head against CR2: page_fault_oops() prints a line of its own for what it
    was called with; __show_regs() reads the register, which by then holds the address of the code
    where that could not be read for `Code:` (arch/x86/mm/fault.c, process_64.c, 4.18 to 6.x).
    """
    lines = list(every(report.lines, _CR2))
    own = next((line for line in lines if line["live"] is None), None)
    unread = first(report.lines, _UNREAD_CODE) is not None
    line = own or (None if unread else next(iter(lines), None))
    if line is not None and int(line["value"], 16) != address:
        yield f"the head names {address:#x}, CR2 is {int(line['value'], 16):#x}", (quoted(line),)


def _arm64(report: CrashReport, machine: Architecture, decoded: Decoded) -> Iterator[Clash]:
    syndrome = syndrome_of(report)
    if syndrome is None or syndrome.status is None:
        return
    esr, code = f"{syndrome.value:#x}", report.error_code
    if code and report.esr and (code ^ report.esr) & 0xFFFF_FFFF:
        lines = (first(report.lines, pattern) for pattern in _BOTH_ESRS)
        shown = tuple(quoted(line) for line in lines if line is not None)
        yield f"the ESR is {esr}, the Oops line says {code:#x}", shown
    for name, pattern, shift, mask in _ESR_PARTS:
        line = first(report.lines, pattern)
        if line is not None and int(line["value"], 16) != syndrome.value >> shift & mask:
            yield f"the ESR is {esr}, and the line of its {name} is another's", (quoted(line),)
    yield from _arm64_level(report, syndrome)
    if syndrome.write is None:
        yield from _by_operand(report, machine, decoded, f"the ESR {esr}")
    head = report.lines[0] if report.lines else ""
    wnr = bool(syndrome.value >> 6 & 1)
    for words, write in _ARM_HEADS:
        if words in head and syndrome.write is not None and write != wnr:
            yield f"the head says {_kind(write)}, the ESR {esr} {_kind(wnr)}", (head.strip(),)
    if syndrome.write is not None and not syndrome.value >> 8 & 1:
        yield from _by_instruction(decoded, syndrome.write, f"the ESR {esr}")


def _arm64_level(report: CrashReport, syndrome: Syndrome) -> Iterator[Clash]:
    """The exception level that the ESR names against that of pstate (bits 4 to 0: 0 is EL0)."""
    state = report.registers.get("pstate")
    if state is None:
        kernel, shown = report.pc is not None, "the program counter is in the kernel"
    else:
        kernel, shown = bool(state & 0xC) and not state & 0x10, f"pstate is {state:#x}, of EL1"
    if syndrome.from_user and kernel:
        yield (
            f"the ESR {syndrome.value:#x} says that a lower exception level failed, and {shown}",
            (),
        )


def _x86(report: CrashReport, machine: Architecture, decoded: Decoded) -> Iterator[Clash]:
    code, head = report.error_code, report.lines[0] if report.lines else ""
    address = fault_address_of(report)
    if "NULL pointer dereference" in head and address is not None and address >= _PAGE:
        yield f"the head speaks of a NULL pointer, and its address is {address:#x}", (head.strip(),)
    if code is None:
        return
    shown = f"error code {code:#06x}"
    oops = first(report.lines, _OOPS)
    if oops is not None and int(oops["code"], 16) != code & 0xFFFF:
        yield f"the {shown} is not that of the Oops line", (quoted(oops),)
    words = first(report.lines, _WORDS)
    if words is not None:
        what = "instruction fetch" if code & 0x10 else "write access" if code & 2 else "read access"
        says = f"{'user' if code & 4 else 'supervisor'} {what}"
        line = f"{words['who']} {words['what']}"
        if says != line:
            yield f"the {shown} says {says}, the line before it {line}", (quoted(words),)
    page = first(report.lines, _CODE)
    if page is not None and bool(page["page"]) == bool(code & 1):
        yield f"the {shown} and the words after it disagree", (quoted(page),)
    selector = first(report.lines, _SELECTOR)
    # A write to a user shadow stack (WRUSS, bit 6) counts as user space's in kernel mode as well.
    if selector is not None and code & 4 and not code & 0x40 and not int(selector["cs"], 16) & 3:
        yield (
            f"the {shown} says that user space failed, and the code segment is the kernel's",
            (quoted(selector),),
        )
    if code & 0x10:
        yield from _by_operand(report, machine, decoded, f"the {shown}")
    else:
        yield from _by_instruction(decoded, bool(code & 2), f"the {shown}")


def _by_operand(
    report: CrashReport, machine: Architecture, decoded: Decoded, source: str
) -> Iterator[Clash]:
    """An instruction fetch against an instruction that touches the same address as data."""
    instruction = decode(report, machine) if decoded.jumped else None
    if instruction is None or decoded.address is None:
        return
    operand = instruction.explaining(decoded.address)
    counters = (report.registers.get(name) for name in ("pc", "rip", "eip"))
    if operand is not None and decoded.address not in counters:
        lines = (f"Code: {instruction.raw} is `{instruction.text}`", operand.arithmetic())
        yield f"{source} says an instruction fetch, and the instruction's operand is there", lines


def _by_instruction(decoded: Decoded, write: bool, source: str) -> Iterator[Clash]:
    """A read or write against what the instruction does at the fault address."""
    instruction = decoded.instruction
    if instruction is None or decoded.operand is None or decoded.jumped:
        return
    does = _writes(instruction.text)
    if does is not None and does != write:
        line = f"Code: {instruction.raw} is `{instruction.text}`"
        yield f"{source} says {_kind(write)}, and the instruction is {_kind(does)}", (line,)


def _writes(text: str) -> bool | None:
    """Returns whether a plain load or store writes; None for what does both, or is not known
    here.
    """
    if _ATOMIC.match(text):
        return None
    if text.startswith("ld") or _READS.match(text):
        return False
    return True if text.startswith("st") or _WRITES.match(text) else None


def _kind(write: bool) -> str:
    return "a write" if write else "a read"
