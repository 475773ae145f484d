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

from detector.crash.architecture import architecture
from detector.lazy_regex import lazy_regex

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
