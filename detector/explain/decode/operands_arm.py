"""Memory operands of decoded arm64 and 32-bit arm instructions.

In: a capstone instruction and the registers of the report (`x0`…`x30`, `sp`, `pc`; `r0`…`r10`,
`fp`, `ip`, `sp`, `lr`, `pc`).
Out: `Operand`s. A fault leaves the registers as they were before the instruction, so pre-indexed
forms add their offset and post-indexed ones do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.explain.decode.operands import Operand, Term

_BITS64 = 64
_KNOWN_BITS = (
    56  # the top byte of a reported address is not the access's own: it holds a tag, or the sign
)
_ZVA_BLOCK = 64  # bytes: DCZID_EL0.BS of every core in use; also the usual cache line
_LITERALS = ("ldr", "ldrsw")
_PAIRS = (
    "ldp",
    "stp",
    "ldnp",
    "stnp",
    "ldpsw",
    "ldxp",
    "stxp",
    "ldaxp",
    "stlxp",
    "casp",
    "caspa",
    "caspl",
    "caspal",
)
_NO_ACCESS = ("prfm", "prfum")
_WIDTHS = {"w": 4, "x": 8, "b": 1, "h": 2, "s": 4, "d": 8, "q": 16}


def arm64(instruction: Any, registers: Mapping[str, int]) -> list[Operand]:
    """Returns where an arm64 instruction touches memory."""
    from capstone import arm64 as cs

    if instruction.mnemonic in _NO_ACCESS:
        return []
    width = _arm64_width(instruction, cs)
    operands = [
        _arm64_operand(instruction, item, width, registers)
        for item in instruction.operands
        if item.type == cs.ARM64_OP_MEM
    ]
    if not operands and instruction.mnemonic in _LITERALS:
        operands = [
            Operand((), item.imm, width, _BITS64)
            for item in instruction.operands
            if item.type == cs.ARM64_OP_IMM
        ]
    if (
        instruction.mnemonic in ("dc", "ic")
        and len(instruction.operands) > 1
        and instruction.operands[-1].type == cs.ARM64_OP_REG
    ):
        term = _arm64_term(instruction.reg_name(instruction.operands[-1].reg), registers)
        operands = [
            Operand((term,), 0, 1, _BITS64, known_bits=_KNOWN_BITS),
            Operand((term,), 0, _ZVA_BLOCK, _BITS64, _ZVA_BLOCK, _KNOWN_BITS),
        ]
    return operands


def _arm64_operand(
    instruction: Any, item: Any, width: int, registers: Mapping[str, int]
) -> Operand:
    terms = [_arm64_term(instruction.reg_name(item.mem.base), registers)]
    if item.mem.index:
        factor = 1 << item.shift.value if item.shift.type else 1
        terms.append(
            _arm64_term(
                instruction.reg_name(item.mem.index), registers, factor, _extension(item.ext)
            )
        )
    return Operand(tuple(terms), item.mem.disp, width, _BITS64, known_bits=_KNOWN_BITS)


def _extension(ext: int) -> tuple[int, bool]:
    """(bits taken of the index register, whether sign-extended)."""
    from capstone import arm64 as cs

    return {cs.ARM64_EXT_UXTW: (32, False), cs.ARM64_EXT_SXTW: (32, True)}.get(ext, (64, False))


def _arm64_term(
    name: str,
    registers: Mapping[str, int],
    factor: int = 1,
    extension: tuple[int, bool] = (64, False),
) -> Term:
    if name in ("xzr", "wzr"):
        return Term(name, 0, factor)
    name = {"fp": "x29", "lr": "x30"}.get(name, name)
    full = "x" + name[1:] if name.startswith("w") else name
    value = registers.get(full)
    if value is None and full == "x30":
        value = registers.get("lr")
    bits, signed = extension
    if value is not None and bits < 64:
        value &= (1 << bits) - 1
        if signed and value >> (bits - 1):
            value -= 1 << bits
    return Term(full, value, factor)


def _arm64_width(instruction: Any, cs: Any) -> int:
    """Bytes accessed: by the mnemonic's last letters, else by the size of the register moved."""
    name = instruction.mnemonic
    if name.startswith(("ld1", "ld2", "ld3", "ld4", "st1", "st2", "st3", "st4")):
        return 64
    stem = name.removeprefix("ld").removeprefix("st")
    if stem.endswith("b"):
        return 1
    if stem.endswith("h"):
        return 2
    moved = [
        instruction.reg_name(item.reg)
        for item in instruction.operands
        if item.type == cs.ARM64_OP_REG
    ]
    if name.startswith(("stxr", "stlxr", "stxp", "stlxp")):
        moved = moved[1:]  # the first one receives the status
    single = 4 if stem.endswith("sw") else _WIDTHS.get(moved[0][0], 8) if moved else 8
    return single * 2 if name in _PAIRS else single


def arm(instruction: Any, registers: Mapping[str, int]) -> list[Operand]:
    """Returns where a 32-bit arm or Thumb instruction touches memory."""
    from capstone import arm as cs

    operands = [
        _arm_operand(instruction, item, registers)
        for item in instruction.operands
        if item.type == cs.ARM_OP_MEM
    ]
    if not operands and instruction.mnemonic.startswith(("ldm", "stm", "push", "pop")):
        operands = [_arm_multiple(instruction, cs, registers)]
    return operands


def _arm_operand(instruction: Any, item: Any, registers: Mapping[str, int]) -> Operand:
    terms = [_arm_base(instruction, _arm_name(instruction.reg_name(item.mem.base)), registers)]
    if item.mem.index:
        factor = item.mem.scale * (1 << (item.shift.value if item.shift.type else item.mem.lshift))
        terms.append(
            Term(
                name := _arm_name(instruction.reg_name(item.mem.index)),
                _arm_value(name, registers),
                factor,
            )
        )
    displacement = 0 if instruction.post_index else item.mem.disp
    stem = instruction.mnemonic.partition(".")[0]
    width = 8 if "rd" in stem else 1 if stem.endswith("b") else 2 if stem.endswith("h") else 4
    return Operand(tuple(terms), displacement, width, 32)


def _arm_base(instruction: Any, name: str, registers: Mapping[str, int]) -> Term:
    value = _arm_value(name, registers)
    if (
        name == "pc" and value is not None
    ):  # reads as the instruction's address plus 8, in Thumb plus 4 and rounded down
        value = (value + 4) & ~3 if instruction.size == 2 else value + 8
    return Term(name, value)


def _arm_name(name: str) -> str:
    """r9 and r10 as the kernel's dump calls them."""
    return {"sb": "r9", "sl": "r10"}.get(name, name)


def _arm_value(name: str, registers: Mapping[str, int]) -> int | None:
    synonyms = {
        "r11": "fp",
        "fp": "r11",
        "r12": "ip",
        "ip": "r12",
        "r13": "sp",
        "sp": "r13",
        "r14": "lr",
        "lr": "r14",
    }
    return registers.get(name, registers.get(synonyms.get(name, name)))


def _arm_multiple(instruction: Any, cs: Any, registers: Mapping[str, int]) -> Operand:
    """ldm/stm and push/pop: the lowest address of the block that is moved."""
    names = [
        _arm_name(instruction.reg_name(item.reg))
        for item in instruction.operands
        if item.type == cs.ARM_OP_REG
    ]
    stack = instruction.mnemonic.startswith(("push", "pop"))
    base, count = ("sp", len(names)) if stack else (names[0], len(names) - 1)
    down = instruction.mnemonic.startswith("push") or instruction.mnemonic[3:5] in ("db", "da")
    before = instruction.mnemonic[3:5] == "ib"
    shift = (
        -4 * count + (4 if instruction.mnemonic[3:5] == "da" else 0) if down else 4 if before else 0
    )
    return Operand((Term(base, _arm_value(base, registers)),), shift, 4 * count, 32)
