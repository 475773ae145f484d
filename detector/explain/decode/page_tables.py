"""Reads the walk of the page tables that an oops prints, and why a page that is mapped
refuses.

In: a report and its machine. Out: statements. Formats: arch/x86/mm/fault.c dump_pagetable() (2.6 to
6.x), show_fault_oops(); bits: arch/x86/include/asm/pgtable_types.h; arch/arm64/mm/fault.c
__do_kernel_fault() and do_page_fault(), whose words the head line keeps (4.12 to 6.x).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from detector.explain.block_text import first, quoted
from detector.explain.decode.fault import Decoded, fault_address_of, is_protection_fault
from detector.explain.decode.fault_codes_arm import is_software_pan
from detector.explain.decode.machine import Architecture
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

_WALK = lazy_regex(r"\s*PGD (?P<entries>[0-9a-f]+(?: (?:P4D|PUD|PMD|PTE) [0-9a-f]+)*)")
_LEVELS = ("PGD", "P4D", "PUD", "PMD", "PTE")
_PRESENT, _WRITABLE, _USER, _HUGE, _NO_EXECUTE = 1, 1 << 1, 1 << 2, 1 << 7, 1 << 63
_AC = 1 << 18  # EFLAGS.AC: set by stac, which lets the kernel touch user pages for a while
_PAGE = 4096
# Words of the head, what they mean, and whether that wants a page that is mapped.
_ARM_WORDS: tuple[tuple[str, str, bool], ...] = (
    (
        "access to user memory outside uaccess routines",
        (
            "The kernel touched an address of user space directly, and PAN forbids that outside of "
            "get_user(), copy_from_user() and the like."
        ),
        False,
    ),
    (
        "access to user memory with fs=KERNEL_DS",
        (
            "The kernel touched an address of user space while it had said that it would touch "
            "only its "
            "own."
        ),
        False,
    ),
    (
        "execution of user memory",
        "The kernel jumped to an address of user space, and PXN forbids that.",
        True,
    ),
    (
        "write to read-only memory",
        "The page is mapped read-only: code, constants, or memory that was made so after boot.",
        True,
    ),
    (
        "execute from non-executable memory",
        "The page holds no code: the kernel jumped into data.",
        True,
    ),
    ("read from unreadable memory", "The page is mapped, and the kernel may not read it.", True),
)
_SOFTWARE_PAN = (
    "The kernel speaks of permissions over a translation fault: PAN is made by software here, and "
    "had the tables of user space switched off. Then every address of user space fails like this, "
    "mapped or not."
)
_COPIES = ("mem", "copy", "__copy", "rep_movs", "str", "csum", "clear_page", "crc")


@dataclass(frozen=True, slots=True)
class Entry:
    """The last page-table entry of a walk: its level (`PTE`), its value as printed."""

    level: str
    value: int

    @property
    def maps(self) -> bool:
        """Returns whether it maps a page: the last level, or a huge page of an upper one."""
        return bool(self.value & _PRESENT) and (self.level == "PTE" or bool(self.value & _HUGE))


def last_entry(report: CrashReport) -> tuple[Entry, str] | None:
    """The last entry of the walk, and the line; None where no walk is printed."""
    matched = first(report.lines, _WALK)
    if matched is None:
        return None
    words = ("PGD " + matched["entries"]).split()
    return Entry(words[-2], int(words[-1], 16)), quoted(matched)


def explain_refusal(
    report: CrashReport, machine: Architecture, decoded: Decoded
) -> list[Statement]:
    """Returns why the page refuses, or what the hole in the mapping is."""
    if report.kind != "memory-fault" or is_protection_fault(report):
        return []
    if machine.family in ("x86_64", "i386"):
        return [*_x86(report, machine), *_ran_over(report, machine, decoded)]
    if machine.family == "arm64":
        statements = _arm64(report)
        return [*statements, *_ran_over(report, machine, decoded)]
    return []


def _arm64(report: CrashReport) -> list[Statement]:
    head = report.lines[0] if report.lines else report.title or ""
    result = next(((words, mapped) for phrase, words, mapped in _ARM_WORDS if phrase in head), None)
    if result is None:
        return []
    words, mapped = result
    if is_software_pan(report):
        status = f"status {(report.esr or report.error_code or 0) & 0x3F:#04x}: a translation fault"
        statements = [Statement(_SOFTWARE_PAN, "certain", (head.strip(), status))]
    elif mapped and (report.esr or 0) & 0x3C != 0x0C:
        return []
    else:
        statements = [Statement(words, "certain", (head.strip(),))]
    address = fault_address_of(report)
    if "user memory" in head and address is not None and address >= _PAGE:
        text = "A pointer from user space was used as if it were the kernel's."
        statements.append(Statement(text, "likely", (f"{address:#x}",)))
    return statements


def _x86(report: CrashReport, machine: Architecture) -> Iterator[Statement]:
    code, address = report.error_code, fault_address_of(report)
    if code is None or address is None or not code & 1 or code & 0x24:
        return  # not mapped; user mode and protection keys say it themselves
    if code & 8:
        text = "The page tables are damaged: something wrote over them, or the memory is bad."
        yield Statement(text, "likely", (f"Oops code {code:#06x}, bit 3: reserved bits",))
        return
    walk = last_entry(report)
    entry, line = walk if walk is not None else (None, "")
    evidence = (f"{entry.level} {entry.value:#x}", line) if entry is not None else ()
    if entry is not None and entry.maps and code & 2 and not entry.value & _WRITABLE:
        yield Statement(
            "The page is mapped read-only (bit 1 of its entry is clear): code, constants, or "
            "memory "
            "that was made so after boot.",
            "certain",
            evidence,
        )
    elif address < machine.user_end:
        yield _user_page(report, code, address, machine, evidence)
    elif entry is not None and entry.maps and code & 0x10 and entry.value & _NO_EXECUTE:
        text = (
            "The page holds no code (bit 63 of its entry, NX, is set): the kernel jumped into data."
        )
        yield Statement(text, "certain", evidence)


def _user_page(
    report: CrashReport, code: int, address: int, machine: Architecture, evidence: tuple[str, ...]
) -> Statement:
    where = f"{address:#x} < {machine.user_end:#x}"
    if code & 0x10:
        text = "The kernel jumped into a page of user space, and SMEP forbids that."
        return Statement(text, "likely", (where, *evidence))
    flags = report.registers.get("eflags")
    known = () if flags is None else (f"EFLAGS {flags:#x}: AC {'set' if flags & _AC else 'clear'}",)
    text = (
        "The kernel touched a page of user space directly, and SMAP forbids that outside of "
        "get_user(), copy_from_user() and the like: a pointer from user space was used as if it "
        "were the kernel's."
    )
    return Statement(text, "likely", (where, *known, *evidence))


def _ran_over(report: CrashReport, machine: Architecture, decoded: Decoded) -> Iterator[Statement]:
    """A copy that ran over the end of what is mapped: the fault is at the first byte of a
    page, and the code goes through memory.
    """
    address, instruction = fault_address_of(report), decoded.instruction
    if address is None or address % _PAGE or address < machine.user_end or decoded.meanings:
        return
    unmapped = (
        not (report.error_code or 0) & 1
        if machine.family != "arm64"
        else (report.esr or 0) & 0x3C == 0x04
    )
    strings = instruction is not None and instruction.text.startswith("rep")
    copies = report.pc is not None and report.pc.function.startswith(_COPIES)
    if not unmapped or decoded.operand is None or not (strings or copies):
        return
    walk = last_entry(report)
    evidence = [f"{address:#x} % {_PAGE} = 0"]
    if walk is not None and walk[0].value == 0:
        evidence.append(f"{walk[0].level} 0")
    yield Statement(
        "A copy ran over the end of what is mapped: the address is the first byte of a page that "
        "is "
        "not there. Areas of vmalloc, and kernel stacks, end in such a guard page: the length is "
        "too "
        "large, or the area too small.",
        "likely",
        tuple(evidence),
    )
