"""Holds the code that a log prints against the code of a kernel: equal, or nothing is said.

In: a kernel, a function's name, offset and size, the bytes of the `Code:` line. Out: the
instruction in that kernel, its function decoded, or None. What the kernel itself patches may
differ: calls and jumps (ftrace, static calls, return thunks), nops (static branches, alternatives),
lock prefixes (on a machine with one CPU), addresses that KASLR moves, all by one distance, and in a
module what its loader fills in.

Sources: arch/x86/kernel/alternative.c, arch/x86/boot/compressed/kaslr.c (CONFIG_PHYSICAL_ALIGN,
2 MB), arch/arm64/kernel/patching.c (5.4 to 6.12).
"""

from __future__ import annotations

from dataclasses import dataclass

from detector.member.flow import TypeFlow
from detector.member.kernel import FunctionCode, KernelBuild
from detector.member.naming import flow_of
from detector.symbols.image import CodeRange
from detector.symbols.table import SymbolTable

_SLIDE = 0x20_0000
_LOWEST_ADDRESS = 0x8000_0000  # low half of the addresses of x86-64's kernel
_ANYWHERE = 0xFFFF_FFFF_8100_0000  # where code stands whose address nothing says
_FEWEST_EQUAL = 2  # instructions, the faulting one among them


@dataclass(frozen=True, slots=True)
class LoggedCode:
    """The bytes of a `Code:` line in memory order; the instruction begins at `mark`."""

    data: bytes
    mark: int


@dataclass(frozen=True, slots=True)
class LocatedCode:
    """An instruction of the kernel, and its function, decoded."""

    address: int
    flow: TypeFlow


def locate(
    kernel: KernelBuild, name: str, offset: int, size: int, logged: LoggedCode
) -> LocatedCode | None:
    """The instruction at `name+offset/size`, where all that is printed agrees."""
    if is_instrumented(kernel):
        return None
    symbols = kernel.symbols
    places = [
        LocatedCode(start + offset, flow)
        for start in symbols.addresses_of(name)
        if symbols.end_of(start) - start == size
        and (function := kernel.function_at(start)) is not None
        and (flow := _agreeing(kernel, function, start + offset, logged)) is not None
    ]
    return places[0] if len(places) == 1 else None


def build_of_log(
    types: KernelBuild, arch: str, name: str, offset: int, size: int, logged: LoggedCode
) -> KernelBuild | None:
    """A kernel by its types and by the code that the log prints, where a pack has no code.

    None where the function's entry is not printed.
    """
    start = logged.mark - offset
    if start < 0 or size <= offset or name not in types.types.functions:
        return None
    code = logged.data[start : start + size]
    symbols = SymbolTable.of(((_ANYWHERE, "t", name), (_ANYWHERE + size, "t", "")))
    return KernelBuild(arch, (CodeRange(_ANYWHERE, code),), symbols, types.types)


def is_instrumented(kernel: KernelBuild) -> bool:
    """Tell if KASAN checks each access: then a check faults, not the access."""
    names = ("__asan_load8", "__asan_loadN", "__hwasan_loadN_noabort", "kasan_check_range")
    functions = kernel.types.functions
    return any(name in functions or kernel.symbols.addresses_of(name) for name in names)


def _agreeing(
    kernel: KernelBuild, function: FunctionCode, address: int, logged: LoggedCode
) -> TypeFlow | None:
    """The function, decoded; None where its code is not what the log prints."""
    slides: set[int] = set()
    equal = 0
    flow = flow_of(kernel, function)
    start = address - logged.mark
    if address not in flow.instructions:
        return None
    for place, (size, mnemonic) in flow.instructions.items():
        first = place - start
        if first < 0 or first + size > len(logged.data):
            continue
        printed = logged.data[first : first + size]
        own = function.code[place - function.start : place - function.start + size]
        printed = _without_relocations(kernel, place, own, printed)
        same = printed == own or _is_unlocked(kernel, own, printed)
        if same or _is_moved(kernel, own, printed, slides):
            equal += 1
        elif place == address or not _is_patched(kernel, mnemonic, own):
            return None
    return flow if equal >= _FEWEST_EQUAL and len(slides) <= 1 else None


def _without_relocations(kernel: KernelBuild, place: int, own: bytes, printed: bytes) -> bytes:
    """What is printed, but for the bytes that a module's loader fills in. On arm64 these are a part
    of a word, so all of it is left out of the comparison.
    """
    spots = [kernel.is_relocated(place + byte) for byte in range(len(own))]
    if not any(spots):
        return printed
    return bytes(
        mine if is_filled else theirs
        for mine, theirs, is_filled in zip(own, printed, spots, strict=True)
    )


def _is_unlocked(kernel: KernelBuild, own: bytes, printed: bytes) -> bool:
    """Tell if only the lock prefix differs, which a machine with one CPU makes a segment's: DS."""
    prefixes = own[:1], printed[:1]
    return kernel.arch == "x86_64" and prefixes == (b"\xf0", b"\x3e") and own[1:] == printed[1:]


def _is_patched(kernel: KernelBuild, name: str, own: bytes) -> bool:
    """Tell if the kernel rewrites such instructions at boot or while it runs."""
    if kernel.arch == "arm64":
        return name in ("nop", "b", "bl")
    if name in ("call", "jmp"):
        return own[0] in (0xE8, 0xE9, 0xEB)
    return bool(name == "nop")


def _is_moved(kernel: KernelBuild, own: bytes, printed: bytes, slides: set[int]) -> bool:
    """Tell if only an address in the instruction differs, by the distance that KASLR chose."""
    if kernel.arch != "x86_64" or len(own) < 5:
        return False
    for place in range(1, len(own) - 3):
        if own[:place] != printed[:place] or own[place + 4 :] != printed[place + 4 :]:
            continue
        linked = int.from_bytes(own[place : place + 4], "little")
        moved = int.from_bytes(printed[place : place + 4], "little")
        slide = moved - linked
        if linked >= _LOWEST_ADDRESS and slide > 0 and slide % _SLIDE == 0:
            slides.add(slide)
            return True
    return False
