"""Classifies a bad address: NULL plus an offset, an error pointer, poison, a KASAN shadow,
text, or just in no place where a pointer belongs.

In: the address, the machine, the operand that made it (if the instruction could be decoded). Out:
`Meaning`s, the most telling first. End marks of hash chains are the part of
`detector.explain.decode.hash_nulls`, since they need the function and the layout of a struct.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from detector.explain.decode.machine import Architecture
from detector.explain.decode.operands import Operand
from detector.explain.decode.poison import byte_poison, kasan_shadow, pointer_poison
from detector.explain.decode.shadow_check import Checked
from detector.model import Confidence

_PAGE = 4096
_WORD = 8
_MAX_ERRNO = 4095  # include/linux/err.h
_KERNEL_TOP = (1 << 17) - 1  # bits 63 to 47 of a kernel address, x86_64 and arm64 with 48 bits
_NO_REGISTERS: Mapping[str, int] = MappingProxyType({})
_SMALL = 1 << 24  # far below any mapping that a pointer could come from


@dataclass(frozen=True, slots=True)
class Meaning:
    """One reading of an address: `mark` is its name in known issues, `text` a sentence."""

    mark: str
    text: str
    confidence: Confidence
    evidence: tuple[str, ...] = ()


def meanings(
    address: int,
    machine: Architecture,
    operand: Operand | None,
    registers: Mapping[str, int] = _NO_REGISTERS,
    checked: Checked | None = None,
) -> tuple[Meaning, ...]:
    """The readings of `address`; `operand` is the one that explains it, or None.

    `registers` are looked at for pointers that lie close by; `checked` is the access that KASAN's
    inline check at the instruction was made for.
    """
    address &= machine.mask
    candidates = [
        *_null(address, machine, operand),
        *_below_null(address, operand),
        *_error_pointer(address, machine, operand),
        *_poison(address, machine, operand),
        *_shadow(address, machine, operand, registers, checked),
    ]
    if not candidates:
        candidates = [
            *_flipped(machine, operand, registers),
            *_text(_pointer(operand) or address, machine),
            *_place(address, machine),
        ]
    return (*candidates, *_unaligned(address, operand))


def _pointer(operand: Operand | None) -> int | None:
    """The value of the pointer that was followed: the only register with a value of the
    operand.
    """
    return operand.base.value if operand is not None and operand.base is not None else None


def _null(address: int, machine: Architecture, operand: Operand | None) -> Iterator[Meaning]:
    if address >= _PAGE:
        return
    pointer = _pointer(operand)
    offset = f"NULL + {address:#x}"
    if pointer == 0 and operand is not None and len(operand.terms) == 1:
        member = f"the member at offset {address:#x} of an object" if address else "an object"
        yield Meaning(
            "null",
            f"A NULL pointer was followed, to {member}.",
            "certain",
            (operand.arithmetic(), f"{address:#x} = {offset}"),
        )
    elif pointer is not None and operand is not None:
        base = machine.hex(pointer)
        yield Meaning(
            "null",
            f"The address is {offset}: {base}, derived from a NULL pointer, was used as a pointer.",
            "likely",
            (operand.arithmetic(),),
        )
    else:
        text = (
            f"The address is {offset}: a NULL pointer was followed, to a member at about that "
            "offset."
        )
        yield Meaning("null", text, "likely", (f"{address:#x} is below {_PAGE:#x}",))


def _below_null(address: int, operand: Operand | None) -> Iterator[Meaning]:
    """An object around a member at NULL: container_of() subtracts the member's offset."""
    if operand is None or len(operand.terms) != 1 or _pointer(operand) != 0:
        return
    if -_PAGE < operand.displacement < 0:
        yield Meaning(
            "null",
            f"A NULL pointer was followed, {-operand.displacement:#x} bytes below: the object "
            "around a member was computed from NULL (container_of() of a NULL pointer, or the end "
            "of an empty list).",
            "likely",
            (operand.arithmetic(), f"{address:#x} = NULL - {-operand.displacement:#x}"),
        )


def _flipped(
    machine: Architecture, operand: Operand | None, registers: Mapping[str, int]
) -> Iterator[Meaning]:
    """A pointer that is a single bit away from one into the kernel, in the bits that all
    pointers share; only where another register shows that such a pointer is at home there.
    """
    pointer = _pointer(operand)
    if machine.bits != 64 or pointer is None:
        return
    for bit in range(47, 64):
        other = pointer ^ 1 << bit
        if other >> 47 != _KERNEL_TOP:
            continue
        near = next(
            (
                name
                for name, value in registers.items()
                if value != pointer and value >> 32 == other >> 32
            ),
            None,
        )
        if near is not None:
            yield Meaning(
                "bit-flip",
                f"The pointer is a single bit away from {other:#x}, a pointer like others of this "
                f"report: bit {bit} flipped. Suspect the RAM, unless the same happens on other "
                f"hosts.",
                "likely",
                (
                    f"{pointer:#x} ^ {other:#x} = {1 << bit:#x}, bit {bit}",
                    f"{near} = {registers[near]:#x}",
                ),
            )
            return


def _error_pointer(
    address: int, machine: Architecture, operand: Operand | None
) -> Iterator[Meaning]:
    pointer = _pointer(operand)
    value = address if pointer is None else pointer & machine.mask
    number = (1 << machine.bits) - value
    if not 0 < number <= _MAX_ERRNO:
        return
    if number not in errno.errorcode:
        yield Meaning(
            "null",
            f"The address is {number:#x} below NULL: an offset was subtracted from a NULL pointer "
            "(container_of(), or the end of an empty list).",
            "possible",
            (f"{value:#x} = NULL - {number:#x}",),
        )
        return
    name = errno.errorcode[number]
    text = (
        f"An error pointer, ERR_PTR(-{name}), was followed as if it were valid, or an offset "
        "was subtracted from NULL."
    )
    yield Meaning(
        "error-pointer",
        text,
        "likely" if pointer is not None else "possible",
        (f"{value:#x} = -{number}",),
    )


def _poison(address: int, machine: Architecture, operand: Operand | None) -> Iterator[Meaning]:
    pointer = _pointer(operand)
    for value in (address,) if pointer is None else (pointer & machine.mask, address):
        candidates = pointer_poison(value, machine) or byte_poison(value, machine)
        if candidates is not None:
            yield Meaning(
                candidates.mark,
                candidates.text,
                candidates.confidence,
                (f"{value:#x} = {candidates.arithmetic}",),
            )
            return


def _shadow(
    address: int,
    machine: Architecture,
    operand: Operand | None,
    registers: Mapping[str, int],
    checked: Checked | None,
) -> Iterator[Meaning]:
    candidates = kasan_shadow(
        address, machine, {term.value for term in operand.terms} if operand else set()
    )
    if candidates is not None:
        offset, shift, shadowed = candidates
        end = (shadowed + (1 << shift) - 1) & machine.mask
        text = (
            "The address lies in KASAN's shadow memory: the access being checked was to "
            f"{machine.hex(shadowed)} up to {machine.hex(end)}."
        )
        evidence = [f"({address:#x} - {offset:#x}) << {shift} = {machine.hex(shadowed)}"]
        if checked is not None and checked.base is not None:
            evidence.append(checked.arithmetic())
        made = _made_of(checked, machine)
        if made:
            text += f" {made}"
        elif shadowed < _PAGE:
            text += f" That is a NULL pointer plus a small offset{_or_error(registers, machine)}."
        elif poison := pointer_poison(shadowed, machine) or byte_poison(shadowed, machine):
            text += f" {poison.text}"
        yield Meaning("kasan-shadow", text, "likely", tuple(evidence))


def _made_of(checked: Checked | None, machine: Architecture) -> str:
    """The pointer that the address was made of, where the code before the check shows it and it is
    none: NULL, an error pointer, or a small number.
    """
    if checked is None or checked.base is None or checked.offset < 0:
        return ""
    base, offset = checked.base, checked.offset
    where = f"It was computed in {checked.register} as {base:#x} + {offset:#x}"
    number = machine.mask + 1 - base
    if base == 0:
        return (
            f"It was computed in {checked.register} from a NULL pointer: the member at offset "
            f"{offset:#x} of an object."
        )
    if number in errno.errorcode:
        instead = ", or an offset was subtracted from NULL" if number % _WORD == 0 else ""
        return (
            f"{where}: an error pointer, ERR_PTR(-{errno.errorcode[number]}), was followed as if "
            f"it were valid{instead}."
        )
    if base < _PAGE:
        return (
            f"{where}: {base:#x} is no pointer (NULL or an error pointer plus an offset, or a "
            "number)."
        )
    return ""


def _or_error(registers: Mapping[str, int], machine: Architecture) -> str:
    """The other reading of a small number, where a register holds an error pointer."""
    for name, value in registers.items():
        number = machine.mask + 1 - value
        if number in errno.errorcode and not name.startswith("orig"):
            return (
                f", or an error pointer plus one: {name} holds {value:#x}, which may be "
                f"ERR_PTR(-{errno.errorcode[number]})"
            )
    return ""


def _text(address: int, machine: Architecture) -> Iterator[Meaning]:
    size = machine.bits // 8
    data = (address & machine.mask).to_bytes(size, "little")
    printable = data if machine.bits == 32 else data.rstrip(b"\0")
    if len(printable) >= max(4, size - 2) and all(0x20 <= byte < 0x7F for byte in printable):
        quoted = printable.decode("ascii")
        yield Meaning(
            "ascii",
            f'The bytes of the address spell "{quoted}": text was probably read as a pointer.',
            "possible",
            (f"{address:#x}",),
        )


def _place(address: int, machine: Architecture) -> Iterator[Meaning]:
    if machine.family == "other":
        return
    bits = f"{address:#x}"
    if address < _SMALL:
        yield Meaning(
            "small",
            f"{bits} is too small for a pointer: a number was followed as one.",
            "likely",
            (bits,),
        )
    elif address < machine.user_end:
        text = "The address lies in the range of user space, where no kernel object is."
        # On 32 bit the border is a choice of the configuration (CONFIG_VMSPLIT).
        yield Meaning(
            "user-range",
            text,
            "certain" if machine.bits == 64 else "likely",
            (f"{bits} < {machine.user_end:#x}",),
        )
    elif machine.family == "x86_64" and address < (1 << 64) - (1 << 47):
        yield _between(
            address,
            "x86_64 with four-level page tables wants bits 63 to 47 equal",
            (1 << 64) - (1 << 56),
        )
    elif machine.family == "arm64" and address < 0xFFF0_0000_0000_0000:
        if address >> 56 != 0xFF and address | 0xFF << 56 >= 0xFFF0_0000_0000_0000:
            yield Meaning(
                "non-canonical",
                f"The top byte of the address, {address >> 56:#04x}, is none of an address: it "
                f"is the "
                "tag of a tagged pointer, or the pointer was overwritten.",
                "likely",
                (f"{address:#x} >> 56 = {address >> 56:#04x}",),
            )
        else:
            yield _between(address, "arm64 wants the upper bits all zeros or all ones", 1 << 63)


def _between(address: int, rule: str, five_level: int) -> Meaning:
    text = (
        "The address is not canonical: it belongs neither to user space nor to the kernel, so "
        "the pointer is garbage or was overwritten."
    )
    # With five-level tables (or a tagged arm64 pointer) some of these are addresses after all.
    confidence: Confidence = "likely" if 1 << 56 <= address < five_level else "possible"
    return Meaning("non-canonical", text, confidence, (f"{address:#x}: {rule}",))


def _unaligned(address: int, operand: Operand | None) -> Iterator[Meaning]:
    if operand is not None and operand.width == operand.bits // 8 and address % operand.width:
        text = (
            f"The address is not a multiple of {operand.width}, as that of a pointer member "
            "would be."
        )
        yield Meaning(
            "unaligned",
            text,
            "certain",
            (f"{address:#x} % {operand.width} = {address % operand.width}",),
        )
