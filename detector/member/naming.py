"""Names the member that one instruction touches.

In: a kernel, the address of an instruction. Out: a `NamedAccess`, or None where nothing is known of
the pointer. Memory whose content another layer defines is named as a private area alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from detector.member.flow import TypeFlow
from detector.member.kernel import FunctionCode, KernelBuild
from detector.member.values import Basis, Chain, PointerValue
from detector.symbols.btf import COMPOSITES


@dataclass(frozen=True, slots=True)
class NamedAccess:
    """An access of `size` bytes at `offset` of an object of type `struct`.

    `member` is its path, None in a `private` area, which is named instead, or where the struct has
    none: between its `neighbours`; `aliases` are the other
    members of unions there, `use` what the function does with the pointer where that is how its
    type is known. `base` and `displacement` are of the instruction's operand; `indexed`:
    an index is added, so the operand's address is not that of the object plus `offset`.
    """

    struct: str
    offset: int
    size: int
    member: str | None
    private: str | None
    neighbours: tuple[str, str] | None
    aliases: tuple[str, ...]
    chain: Chain
    basis: Basis
    use: str | None
    base: str
    displacement: int
    indexed: bool


def flow_of(kernel: KernelBuild, function: FunctionCode) -> TypeFlow:
    """The analysis of a function, for the kernel's architecture."""
    if kernel.arch == "arm64":
        from detector.member.arm64 import Arm64Flow

        return Arm64Flow(kernel, function)
    from detector.member.x86 import X86Flow

    return X86Flow(kernel, function)


def name_access(kernel: KernelBuild, address: int) -> NamedAccess | None:
    """The access of the instruction at an address."""
    function = kernel.function_at(address)
    if function is None:
        return None
    return name_in(flow_of(kernel, function), address)


def name_in(flow: TypeFlow, address: int) -> NamedAccess | None:
    """The access of an instruction of a function that is decoded already."""
    kernel = flow.kernel
    access = flow.access_at(address)
    if access is None or not isinstance(access.pointer, PointerValue):
        return None
    pointer, place = access.pointer, access.place
    if kernel.types.kind(pointer.type) not in COMPOSITES:
        return None
    private = None
    if place is None:
        private = kernel.layouts.private_area(pointer.type, pointer.offset)
    elif not place.text:
        return None
    neighbours = None
    if place is None and private is None:
        neighbours = kernel.layouts.neighbours(pointer.type, pointer.offset, access.size)
        if neighbours is None or access.scale:
            return None
    offset, size = pointer.offset, access.size
    return NamedAccess(
        kernel.types.name(pointer.type),
        offset,
        size,
        place.text if place else None,
        private,
        neighbours,
        tuple(kernel.layouts.aliases(place, pointer.type, offset, size)) if place else (),
        pointer.chain,
        pointer.basis,
        flow.hints.use_of(pointer.origins) if pointer.basis == Basis.USE else None,
        access.base,
        access.displacement,
        bool(access.scale),
    )
