"""Registers and the Code line, for each architecture that prints them.

In: the lines of a block. Out: a `MachineState` value. A register that stands at the end of a line
that was cut, and so lacks digits, has no value. The first register set is the crashing context's:
later ones (x86 repeats its own after the end trace, prints the interrupted context's, and the
user's under `RIP: 0033:`) never replace it.

Sources: __show_regs in arch/x86/kernel/process_32.c, process_64.c and
arch/{arm64,arm,powerpc,riscv}/kernel/process.c; arch/s390/kernel/dumpstack.c;
arch/{loongarch,mips}/kernel/traps.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from detector.lazy_regex import lazy_regex

_DUMPS = tuple(
    (lazy_regex(pattern), name)
    for pattern, name in (
        (r"\s*(?:RIP|RSP|RAX|RDX): |RIP  \[<", "x86_64"),
        (r"\s*(?:EIP|EAX|ESI|eax): |EIP is at ", "i386"),
        (r"\s*(?:Krnl (?:PSW|GPRS|Code)\s*:)", "s390x"),
        (r"\s*NIP:  ?[0-9a-f]{16}|\s*GPR00: [0-9a-f]{16}", "ppc64"),
        (r"\s*NIP:  ?[0-9a-f]{8}\b|\s*GPR00: [0-9a-f]{8}\b", "ppc"),
        (r"\s*(?:epc|ra) : .*|status: [0-9a-f]{16} badaddr: ", "riscv64"),
        (r"\s*(?:ERA: |CRMD: |ESTAT: |CSR \w+)", "loongarch64"),
        (r"\$ 0   : |BadVA\s*: |PrId\s*: .* \(.*MIPS", "mips"),
        (r"\s*(?:x\d{1,2} ?: [0-9a-f]{16}|pstate: )|Mem abort info:|  ESR = 0x", "arm64"),
        (
            (
                r"\s*(?:pc : \[<[0-9a-f]{8}>\]|r10: [0-9a-f]{8}|\[<[0-9a-f]{8}>\] \(.* from "
                r")|Internal error: .* ARM$"
            ),
            "arm",
        ),
    )
)
"""Register dumps: __show_regs and show_regs of each architecture."""

_RELEASES = (
    ("aarch64", "arm64"),
    ("arm64", "arm64"),
    ("x86_64", "x86_64"),
    ("amd64", "x86_64"),
    ("ppc64", "ppc64"),
    ("s390x", "s390x"),
    ("riscv64", "riscv64"),
    ("loongarch64", "loongarch64"),
    ("armv7", "arm"),
    ("-v7", "arm"),
    ("i686", "i386"),
)
"""What distributions put into the release."""

_WORDING = tuple(
    (lazy_regex(pattern), name)
    for pattern, name in (
        # entry code and system calls, as traces name them
        (r"\b(?:entry_SYSCALL_64|do_syscall_64|system_call_fastpath)", "x86_64"),
        (r"\b(?:asm_(?:exc|sysvec)_\w|__x64_sys_\w|secondary_startup_64|x86_64_start_)", "x86_64"),
        (r"\b(?:entry_INT80_32|do_int80_syscall_32|sysenter_past_esp|startup_32_smp)\b", "i386"),
        (r"\b(?:__arm64_sys_\w|do_el0_svc|el[01][th]?_(?:64_)?(?:sync|svc|irq|da)\b)", "arm64"),
        (r"\b(?:ret_fast_syscall|__(?:irq|dabt|und|pabt)_svc)\b", "arm"),
        (r"\b(?:system_call_exception|system_call_vectored_common)\b", "ppc64"),
        (r"\b(?:__s390x_sys_\w|__do_pgm_check|pgm_check_handler|ilc:\d \[#)", "s390x"),
        (r"\b(?:__riscv_sys_\w|do_trap_ecall_u|do_trap_load_page_fault)", "riscv64"),
        (r"\b(?:handle_adel_int|handle_tlb[ls]|syscall_common)\b", "mips"),
        # heads: arch/x86/mm/fault.c, arch/arm64/kernel/traps.c __die
        (
            r"BUG: unable to handle (?:page fault for address:|kernel .* at) [0-9a-f]{16}\b",
            "x86_64",
        ),
        (r"BUG: kernel NULL pointer dereference, address: [0-9a-f]{16}\b", "x86_64"),
        (r"BUG: unable to handle page fault for address: [0-9a-f]{8}\b", "i386"),
        (r"BUG: kernel NULL pointer dereference, address: [0-9a-f]{8}\b", "i386"),
        (r"Internal error: .*: (?:0{8})?(?:8[4-7]|9[4-7]|be|bf|f2)[0-9a-f]{6} \[#", "arm64"),
    )
)
"""What only one architecture says, where nothing better is left of a report."""


def architecture(lines: Sequence[str], release: str | None) -> str | None:
    """The architecture that the lines are of."""
    for text in lines:
        for pattern, name in _DUMPS:
            if pattern.match(text):
                return name
    for mark, name in _RELEASES:
        if release is not None and mark in release:
            return name
    for text in lines:
        for pattern, name in _WORDING:
            if pattern.search(text):
                return name
    return None


_USER = lazy_regex(r"\s*(?:RIP: 0033:|EIP: 00(?:73|23):|RIP: 0023:)")
_KERNEL = lazy_regex(r"\s*(?:RIP: 0010:|EIP: 0060:|RIP: e030:)")

_X86 = lazy_regex(
    (
        r"\b(R(?:[ABCD]X|[SD]I|[BSI]P|\d\d)|E(?:[ABCD]X|[SD]I|[BSI]P|FLAGS)|CR[0-4]|FS|GS|PKRU): "
        r"*(?:[0-9a-f]{4}:)?\[?<?([0-9a-f]{16}|[0-9a-f]{8})\b"
    ),
    re.IGNORECASE,  # i386 printed small letters to 2.6.25
)
_ARM64 = lazy_regex(
    r"\b(x\d{1,2}|sp|lr|pc|pstate) ?: ?\[?<?([0-9a-f]{16}|(?<=pstate: )[0-9a-f]{8})\b"
)
_ARM = lazy_regex(r"\b(r\d{1,2}|sp|lr|pc|ip|fp|psr) ?: ?\[?<?([0-9a-f]{8})\b")
_POWER = lazy_regex(
    r"\b(NIP|LR|CTR|MSR|CR|XER|CFAR|DAR|DSISR|IRQMASK): +<?"
    r"([0-9a-f]{16}|[0-9a-f]{8}|(?<=IRQMASK: )[0-9a-f]{1,2})\b"
)
_RISCV = lazy_regex(
    r"\b(epc|ra|sp|gp|tp|t[0-6]|s\d{1,2}|a[0-7]|status|badaddr|cause) ?: ?([0-9a-f]{16})\b"
)
_LOONGARCH = lazy_regex(r"\b(pc|ra|tp|sp|a[0-7]|t[0-8]|u0|s\d|ERA|BADV)(?: |: )([0-9a-f]{16})\b")
_MIPS = lazy_regex(r"(Hi|Lo|epc|ra|Status|Cause|BadVA)\s*: ([0-9a-f]{16}|[0-9a-f]{8})\b")
_ROWS = {
    "ppc64": lazy_regex(r"\s*GPR(?P<first>\d\d): (?P<values>(?:[0-9a-f]{16}\b\s*)+)"),
    "ppc": lazy_regex(r"\s*GPR(?P<first>\d\d): (?P<values>(?:[0-9a-f]{8}\b\s*)+)"),
    "mips": lazy_regex(
        r"\s*\$ ?(?P<first>\d+)\s*: (?P<values>(?:(?:[0-9a-f]{16}|[0-9a-f]{8})\b\s*)+)"
    ),
    "loongarch64": lazy_regex(r"\s*\$ ?(?P<first>\d+)\s*: (?P<values>(?:[0-9a-f]{16}\b\s*)+)"),
}
_NAMED = {
    "x86_64": _X86, "i386": _X86, "arm64": _ARM64, "arm": _ARM, "ppc64": _POWER, "ppc": _POWER,
    "riscv64": _RISCV,
    "loongarch64": _LOONGARCH, "mips": _MIPS,
}  # fmt: skip
_PSW = lazy_regex(r"\s*Krnl PSW : ([0-9a-f]{16}) ([0-9a-f]{16})")
_GPRS = lazy_regex(r"\s*(?:.*Krnl GPRS: |)((?:[0-9a-f]{16} ?){4})\s*$")
_LEADING_ZERO = lazy_regex(r"^(r)0(?=\d)")  # x86 prints R08, everyone else calls it r8
_ARM_ALIASES = {"fp": "r11", "ip": "r12", "sp": "r13", "lr": "r14", "pc": "r15"}

_CODE = lazy_regex(r"\s*(?:Code|Instruction dump): ?(.*)")
_CODE_WORD = lazy_regex(r"[<(]?[0-9a-fXx]{2,8}[>)]?")


@dataclass(frozen=True, slots=True)
class MachineState:
    """The architecture, its registers by lower-case name, and the code around the faulting
    instruction as printed, marks removed.
    """

    arch: str | None = None
    registers: Mapping[str, int] = field(default_factory=dict)
    code: tuple[str, ...] = ()
    code_mark: int | None = None


def machine(lines: Sequence[str], release: str | None) -> MachineState:
    """Returns what a block says of the processor's state."""
    arch = architecture(lines, release)
    if arch is None:
        return MachineState()
    kernel = list(_kernel_lines(lines))
    registers = _s390(kernel) if arch == "s390x" else _registers(kernel, arch)
    code, mark = _code(kernel)
    return MachineState(arch, registers, code, mark)


def _kernel_lines(lines: Sequence[str]) -> Iterator[str]:
    """The lines without the register sets of user space."""
    user = False
    for text in lines:
        if _USER.match(text):
            user = True
        elif (
            _KERNEL.match(text)
            or not text.strip()
            or text.startswith(("---[", "Kernel panic", "Call "))
        ):
            user = False
        if not user:
            yield text


def _registers(lines: Sequence[str], arch: str) -> dict[str, int]:
    values: dict[str, int] = {}
    row = _ROWS.get(arch)
    for text in lines:
        for name, value in _NAMED[arch].findall(text):
            if arch == "x86_64" and name[0] in "Rr" and len(value) < 16:
                continue  # the line was cut within the value
            values.setdefault(_LEADING_ZERO.sub(r"\1", name.lower()), int(value, 16))
        matched = row.match(text) if row is not None else None
        if matched is not None:
            for number, value in enumerate(matched["values"].split(), int(matched["first"])):
                values.setdefault(f"r{number}", int(value, 16))
    if arch == "arm":
        values.update(
            {alias: values[name] for name, alias in _ARM_ALIASES.items() if name in values}
        )
    return values


def _s390(lines: Sequence[str]) -> dict[str, int]:
    """Mask and address of the PSW; the sixteen general registers stand four to a line, the
    first line named.
    """
    values: dict[str, int] = {}
    rows: list[str] = []
    for text in lines:
        if (matched := _PSW.match(text)) is not None:
            values.setdefault("psw_mask", int(matched[1], 16))
            values.setdefault("psw_addr", int(matched[2], 16))
        elif (
            (matched := _GPRS.match(text)) is not None
            and len(rows) < 16
            and ("Krnl GPRS" in text or rows)
        ):
            rows += matched[1].split()
    values.update({f"r{number}": int(value, 16) for number, value in enumerate(rows[:16])})
    return values


def _code(lines: Sequence[str]) -> tuple[tuple[str, ...], int | None]:
    """The first Code line that holds code; a line of nothing but code after it is its
    continuation.
    """
    for number, text in enumerate(lines):
        matched = _CODE.match(text)
        if matched is None:
            continue
        words = matched[1].split()
        for more in lines[number + 1 :]:
            if not more.strip() or not all(_CODE_WORD.fullmatch(word) for word in more.split()):
                break
            words += more.split()
        if len(words) > 1 and len(words[-1].strip("<>()")) < len(words[0].strip("<>()")):
            words.pop()  # the line was cut within the word
        if words and all(_CODE_WORD.fullmatch(word) for word in words):
            mark = next((index for index, word in enumerate(words) if word[0] in "<("), None)
            return tuple(word.strip("<>()") for word in words), mark
    return (), None
