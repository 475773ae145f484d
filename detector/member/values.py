"""Values of registers and of the stack while a function is followed.

A value has an origin: where it came into being, as an instruction's address. Hints of later rounds
are about origins. `chain` says in words where a pointer is from, the latest step last. A value is
never changed once it is made; nothing enforces that, which would double the time of making one.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import IntEnum

ValueOrigin = Hashable
Chain = tuple[str, ...]

MASK = (1 << 64) - 1
SEVERAL_PATHS: Chain = ("several paths",)


class Basis(IntEnum):
    """The ways to know a pointer's type, the surest first."""

    DECLARED = 0
    SOME_PATHS = 1
    USE = 2
    ONLY_FIT = 3


@dataclass(slots=True)
class PointerValue:
    """A pointer `offset` bytes into an object of a type (a number of the BTF)."""

    type: int
    offset: int
    chain: Chain
    origins: frozenset[ValueOrigin]
    basis: Basis = Basis.DECLARED


@dataclass(slots=True)
class PlainValue:
    """A value of no known pointer type, plus `offset`."""

    origin: ValueOrigin
    offset: int
    chain: Chain


@dataclass(slots=True)
class ConstantValue:
    """A number, 64 bits."""

    number: int


@dataclass(slots=True)
class StackValue:
    """An address on the stack, relative to the stack pointer at the function's entry."""

    offset: int


@dataclass(slots=True)
class MixedValue:
    """Something that paths do not agree on, or nothing is known of."""

    origin: ValueOrigin = None


@dataclass(slots=True)
class PerCpuBase:
    """The distance to this CPU's copy of per-CPU variables."""


FlowValue = PointerValue | PlainValue | ConstantValue | StackValue | MixedValue | PerCpuBase
ValueState = dict[Hashable, FlowValue]
"""Register names, and (“stack”, offset) → values."""

UNKNOWN = MixedValue()


def origin_address(origin: ValueOrigin) -> int | None:
    """The address of the instruction where a value came into being; None at the entry."""
    parts = origin if isinstance(origin, tuple) else ()
    return next((part for part in parts if isinstance(part, int)), None)


def signed(number: int) -> int:
    """The number as the machine counts it with a sign."""
    return number - (1 << 64) if number >> 63 else number


def add(value: FlowValue, distance: int) -> FlowValue:
    """The value plus a constant."""
    if distance == 0:
        return value
    if isinstance(value, PointerValue):
        return PointerValue(
            value.type, value.offset + distance, value.chain, value.origins, value.basis
        )
    if isinstance(value, PlainValue):
        return PlainValue(value.origin, value.offset + distance, value.chain)
    if isinstance(value, StackValue):
        return StackValue(value.offset + distance)
    if isinstance(value, ConstantValue):
        return ConstantValue((value.number + distance) & MASK)
    return UNKNOWN
