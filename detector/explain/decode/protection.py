"""Explains x86 general protection faults by error code, address and the class of the
instruction.

In: a report, its machine, what was decoded. Out: statements. The error code is 0 or a selector
(Intel SDM volume 3A, 6.13); the head names an address from 5.6 on, which the kernel computes from
the instruction (arch/x86/kernel/traps.c get_kernel_gp_address(), exc_general_protection(); LASS
from 6.19 on).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from detector.explain.block_text import first, quoted
from detector.explain.decode.fault import Decoded, is_canonical
from detector.explain.decode.instruction import Instruction
from detector.explain.decode.machine import Architecture
from detector.explain.decode.poison import byte_poison, pointer_poison
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

_HEAD = lazy_regex(
    r"(?:Oops: )?(?:segment-related )?general protection fault(?:, (?P<hint>probably for "
    r"non-canonical "
    r"address|maybe for address|probably LASS violation for address|kernel NULL pointer "
    r"dereference) "
    r"0x(?P<address>[0-9a-f]{1,16}))?: (?P<code>[0-9a-f]{4}) "
)
_CONTROL = lazy_regex(r"mov (?P<register>cr[0-8]), (?P<source>\w+)")
_INDIRECT = lazy_regex(r"(?:call|jmp) (?P<register>r\w+)$")
_THUNK = lazy_regex(r"__x86_indirect_(?:thunk|call_thunk|jump_thunk)_(?P<register>r\w+)$")
_SEGMENT = lazy_regex(r"(?:mov|pop|l[defgs]s) (?:[defgs]s)\b|pop [fg]s")
_PLAIN_HEX = lazy_regex(r"[0-9a-f]+")
_PUSH, _PUSH_LENGTH = 0x68, 5  # push imm32; Intel SDM volume 2, PUSH
_MSR = ("wrmsr", "rdmsr")
_PRIVILEGED = ("xsetbv", "lgdt", "lidt", "lldt", "ltr", "lmsw", "invpcid", "swapgs", "rdpmc",
    "clts",
               "vmxon", "vmptrld", "vmlaunch", "vmresume", "hlt")  # fmt: skip
# Instructions that want an aligned operand of their size; those of the XSAVE family want 64.
_ALIGNED = ("movaps", "movapd", "movdqa", "movntdq", "movntps", "movntpd", "movntdqa", "fxsave",
            "fxrstor", "cmpxchg16b")  # fmt: skip
_ALIGNED_WIDE = ("vmovaps", "vmovapd", "vmovdqa", "vmovntdq", "vmovntps", "vmovntpd", "vmovntdqa")
_XSAVE = ("xsave", "xrstor")
_UNALIGNED = ("movu", "movdqu", "lddqu", "movq", "movhp", "movlp")
# Bits of CR4 that Linux names; arch/x86/include/uapi/asm/processor-flags.h (6.x).
_CR4: Mapping[int, str] = {
    0: "VME", 1: "PVI", 2: "TSD", 3: "DE", 4: "PSE", 5: "PAE", 6: "MCE", 7: "PGE", 8: "PCE",
    9: "OSFXSR", 10: "OSXMMEXCPT", 11: "UMIP", 12: "LA57", 13: "VMXE", 14: "SMXE", 16: "FSGSBASE",
    17: "PCIDE", 18: "OSXSAVE", 20: "SMEP", 21: "SMAP", 22: "PKE", 23: "CET", 28: "LAM_SUP",
}  # fmt: skip


def explain_protection(
    report: CrashReport, machine: Architecture, decoded: Decoded
) -> list[Statement]:
    """Returns what was refused: an address, a selector, a privileged act, an operand that is
    not aligned.
    """
    head = first(report.lines, _HEAD)
    code = int(head["code"], 16) if head is not None else report.error_code or 0
    statements = list(_head(report, head, code, decoded))
    if decoded.instruction is not None:
        statements += _class(report, machine, decoded.instruction, code)
    return statements


def _head(
    report: CrashReport, head: re.Match[str] | None, code: int, decoded: Decoded
) -> Iterator[Statement]:
    evidence = (quoted(head),) if head is not None else (report.title or "",)
    if code:
        yield _selector(code, evidence)
    elif head is not None and head["address"] is not None:
        address = int(head["address"], 16)
        if "LASS" in head["hint"] or "NULL" in head["hint"]:
            yield Statement(
                f"The CPU refused an access to {address:#x}, an address of the half that is user "
                "space's: LASS forbids the kernel to touch it outside of get_user(), "
                "copy_from_user() and the like.",
                "likely",
                evidence,
            )
        elif not is_canonical(address):
            # The kernel only guesses the address ("probably"); five-level tables take some of
            # these.
            shown = decoded.operand is not None and decoded.operand.covers(address)
            sure = shown and (address >> 56) not in (0x00, 0xFF)
            text = f"The CPU refused an access to {address:#x}, which is no canonical address."
            yield Statement(text, "certain" if sure else "likely", evidence)
        else:
            text = (
                f"The CPU refused the instruction; its operand, {address:#x}, is a canonical "
                f"address, "
                "so something else was refused than the address."
            )
            yield Statement(text, "likely", evidence)
    else:
        text = (
            "The CPU refused the instruction (general protection fault), and the report names no "
            "address for it."
        )
        yield Statement(text, "certain", evidence)


def _selector(code: int, evidence: tuple[str, ...]) -> Statement:
    """The error code as a selector: bit 0 external, bit 1 IDT, bit 2 LDT, the index above."""
    index = code >> 3
    table = "IDT" if code & 2 else "LDT" if code & 4 else "GDT"
    what = (
        f"the gate of interrupt vector {index:#x} is not valid"
        if code & 2
        else f"the segment selector {code & 0xFFFC:#06x} (entry {index} of the {table}) is not "
        f"valid"
    )
    return Statement(
        f"The CPU refused to use a segment: {what}. It is no matter of an address.",
        "certain",
        (*evidence, f"error code {code:#06x}: index {code:#06x} >> 3 = {index}, table {table}"),
    )


def _class(
    report: CrashReport, machine: Architecture, instruction: Instruction, code: int
) -> Iterator[Statement]:
    """Yields what instructions of this class are refused for, beyond an address."""
    name = instruction.text.split()[-1 if instruction.text.startswith("rep") else 0]
    source = f"Code: {instruction.raw} is `{instruction.text}`"
    if name.startswith("iret"):
        yield _return_frame(report, code, source)
    elif name in _MSR:
        yield _msr(report, name, source)
    elif (control := _CONTROL.match(instruction.text)) is not None:
        yield _control(report, control, source)
    elif (register := _jumps_through(report, instruction)) is not None:
        yield from _target(report, machine, register, source)
    elif name in _PRIVILEGED:
        text = f"`{name}` acts on the state of the processor, and was refused its operand."
        yield Statement(text, "certain", (source,))
    elif _SEGMENT.match(instruction.text):
        text = (
            "The instruction loads a segment register: the selector, or its descriptor, is "
            "not valid."
        )
        yield Statement(text, "likely", (source,))
    else:
        yield from _misaligned(instruction, name, source)


def _jumps_through(report: CrashReport, instruction: Instruction) -> str | None:
    """The register that holds the target of an indirect jump; with retpolines the jump is the
    `ret` of a thunk that is named after it (arch/x86/lib/retpoline.S, 4.15 on).
    """
    if (direct := _INDIRECT.match(instruction.text)) is not None:
        return direct["register"]
    thunk = _THUNK.match(report.pc.function) if report.pc is not None else None
    return thunk["register"] if thunk is not None and instruction.text == "ret" else None


def is_thunk(report: CrashReport) -> bool:
    """Returns whether the program counter stands in a retpoline's thunk."""
    return report.pc is not None and _THUNK.match(report.pc.function) is not None


def _return_frame(report: CrashReport, code: int, source: str) -> Statement:
    if code and (pushed := _pushed(report, code)) is not None:
        text = (
            f"`iret` took the selector {code & 0xFFFC:#06x} for CS or SS from the frame on the "
            "stack, and the code before it pushes that value itself: the frame is as the code "
            "made it."
        )
        return Statement(text, "likely", (source, pushed))
    if code:
        text = (
            f"`iret` took the selector {code & 0xFFFC:#06x} for CS or SS from the frame on the "
            "stack: that frame was overwritten, or the stack pointer was wrong."
        )
    else:
        text = (
            "`iret` found something in the frame on the stack that it cannot return to (address, "
            "flags or selectors): the frame was overwritten, or made wrongly."
        )
    return Statement(text, "likely", (source,))


def _pushed(report: CrashReport, code: int) -> str | None:
    """The `push imm32` before the marked instruction whose value is the selector refused (an error
    code has flags where a selector has its two lowest bits), or None.
    """
    marked = (at for at, word in enumerate(report.code) if word[:1] == "<")
    mark = report.code_mark if report.code_mark is not None else next(marked, None)
    text = "".join(report.code[: mark or 0])
    if not _PLAIN_HEX.fullmatch(text) or len(text) % 2:
        return None
    before = bytes.fromhex(text)
    for at in range(len(before) - _PUSH_LENGTH, -1, -1):
        value = int.from_bytes(before[at + 1 : at + _PUSH_LENGTH], "little")
        if before[at] == _PUSH and value & ~3 == code & 0xFFFC:
            return f"Code: {before[at : at + _PUSH_LENGTH].hex()} is `push {value:#x}`"
    return None


def _msr(report: CrashReport, name: str, source: str) -> Statement:
    number = report.registers.get("rcx", report.registers.get("ecx"))
    high = report.registers.get("rdx", report.registers.get("edx"))
    low = report.registers.get("rax", report.registers.get("eax"))
    which = f" {number & 0xFFFF_FFFF:#x}" if number is not None else ""
    evidence = [source]
    if number is not None:
        evidence.append(f"ecx = {number & 0xFFFF_FFFF:#x}")
    if name == "rdmsr":
        text = (
            f"The model-specific register{which} was to be read, and this processor (or its "
            f"hypervisor) has none."
        )
        return Statement(text, "likely", tuple(evidence))
    value = ""
    if high is not None and low is not None:
        whole = (high & 0xFFFF_FFFF) << 32 | low & 0xFFFF_FFFF
        value = f" the value {whole:#x}"
        evidence.append(f"edx:eax = {whole:#x}")
    text = (
        f"The model-specific register{which} was to be written{value}: this processor (or its "
        "hypervisor) has no such register, or does not take that value."
    )
    return Statement(text, "certain", tuple(evidence))


def _control(report: CrashReport, control: re.Match[str], source: str) -> Statement:
    name = control["register"]
    new, old = report.registers.get(control["source"]), report.registers.get(name)
    if new is None:
        text = (
            f"Control register {name} was to be written, and the processor does not take that "
            f"value."
        )
        return Statement(text, "certain", (source,))
    evidence = [source, f"{control['source']} = {new:#x}"]
    changed = ""
    if old is not None and old != new:
        bits = [bit for bit in range(64) if (old ^ new) >> bit & 1]
        named = ", ".join(
            f"{_CR4[bit]} (bit {bit})" if name == "cr4" and bit in _CR4 else f"bit {bit}"
            for bit in bits[:6]
        )
        evidence.append(f"{name} = {old:#x}; {old:#x} ^ {new:#x} = {old ^ new:#x}")
        changed = f", which holds {old:#x}: it would change {named}"
    text = (
        f"The value {new:#x} was to be written to control register {name}{changed}. The processor "
        "does not take it in its present state."
    )
    return Statement(text, "certain", tuple(evidence))


def _target(
    report: CrashReport, machine: Architecture, register: str, source: str
) -> Iterator[Statement]:
    value = report.registers.get(register)
    if value is None or is_canonical(value):
        return
    poison = pointer_poison(value, machine) or byte_poison(value, machine)
    why = poison.text if poison else "The function pointer was overwritten, or its object freed."
    yield Statement(
        f"The target of the jump, {register} = {value:#x}, is no canonical address. {why}",
        "likely",
        (source, f"{register} = {value:#x}"),
    )


def _misaligned(instruction: Instruction, name: str, source: str) -> Iterator[Statement]:
    """SSE and XSAVE operands that must lie on a multiple of their size and do not."""
    for operand in instruction.operands:
        need = (
            64
            if name.startswith(_XSAVE)
            else operand.width
            if name.startswith(_ALIGNED_WIDE)
            else 16
            if name.startswith(_ALIGNED)
            or (operand.width == 16 and not name.startswith((*_UNALIGNED, "v")))
            else 1
        )
        address = operand.address
        if address is None or not is_canonical(address):
            continue
        if address % need:
            yield Statement(
                f"`{name}` needs an operand on a multiple of {need} bytes; this one is not: "
                f"{address:#x}.",
                "certain",
                (source, f"{address:#x} % {need} = {address % need}"),
            )
        elif name.startswith("xrstor"):
            text = f"`{name}` found a saved state that is not valid: bits are set that must not be."
            yield Statement(text, "likely", (source,))
