"""How often members are named, and how often wrongly, held against debug information.

`make member-eval`, or python -m bench.member_eval IMAGE VMLINUX [ACCESSES [SEED]]: IMAGE is what
/boot holds, VMLINUX the same build with debug information, which is used for judging alone. Source
files are drawn by the seed until there are enough accesses. An access is judged where DWARF has a
pointer to a named struct in its base register. It is right where the member that is named is one
of those that these pointers lead to; else listed, where a union has that one in the same bytes and
the sentence lists it; else wrong.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.member_truth import Holding, Truth
from detector.member.kernel import KernelBuild
from detector.member.layout import key_of
from detector.member.naming import flow_of
from detector.member.semantics import MemoryAccess
from detector.member.values import Basis, PointerValue
from detector.symbols.btf import COMPOSITES
from detector.symbols.image import read_image

ACCESSES = 20_000
SHOWN = 60  # wrong names that are printed
_NAMES = {"fp": "x29", "lr": "x30"}
Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """One access: its basis where it is named, and what DWARF says of that."""

    basis: Basis | None
    verdict: str
    text: str


def kernel_of(image: Path) -> KernelBuild:
    """The kernel that the product reads out of an image."""
    from detector.symbols.btf import Btf

    read = read_image(image.read_bytes())
    return KernelBuild(read.arch, read.code, read.symbols, Btf(read.btf))


def judge(kernel: KernelBuild, truth: Truth, file: str) -> Iterator[Judged]:
    """Each access of a file's functions."""
    for function in truth.functions(file):
        for low, high in function.ranges:
            start = low
            while start < high and (code := kernel.function_at(start)) is not None:
                flow = flow_of(kernel, code)
                for address, access in flow.analyse().items():
                    if low <= address < high:
                        yield _judged(kernel, f"{file}: {code.name}", access, function.holdings)
                start = code.start + len(code.code)


def _judged(
    kernel: KernelBuild, where: str, access: MemoryAccess, holdings: Sequence[Holding]
) -> Judged:
    pointer, place = access.pointer, access.place
    is_named = (
        place is not None
        and bool(place.text)
        and isinstance(pointer, PointerValue)
        and kernel.types.kind(pointer.type) in COMPOSITES
    )
    register = _whole(kernel, access.base)
    held = [
        each
        for each in holdings
        if each.register == register and each.begin <= access.address < each.end
    ]
    keys: set[Key] = set()
    for each in held:
        keys |= _keys(kernel, each, access)
    basis = pointer.basis if is_named and isinstance(pointer, PointerValue) else None
    if not keys:
        return Judged(basis, "not judged", "")
    if basis is None or place is None or not isinstance(pointer, PointerValue):
        return Judged(None, "unnamed", "")
    if key_of(place.path) in keys:
        return Judged(basis, "right", "")
    leaves = kernel.layouts.leaves(pointer.type, pointer.offset, access.size)
    if any(key_of(leaf.path) in keys for leaf in leaves if leaf.type and not leaf.offset):
        return Judged(basis, "listed", "")
    structs = ", ".join(sorted({each.struct for each in held}))
    text = (
        f"{where} {access.address:#x} {access.base}{access.displacement:+#x}: "
        f"{kernel.types.name(pointer.type)}.{place.text} ({' <- '.join(reversed(pointer.chain))}); "
        f"DWARF: {structs}: {sorted(keys)[:3]}"
    )
    return Judged(basis, "wrong", text)


def _whole(kernel: KernelBuild, register: str) -> str:
    if kernel.arch == "arm64":
        return _NAMES.get(register, register)
    return register


def _keys(kernel: KernelBuild, held: Holding, access: MemoryAccess) -> set[Key]:
    """The members at that place of the struct that a variable points to."""
    types, keys = kernel.types, set()
    offset = access.displacement - held.distance
    for number in types.composites.get(held.struct, ()):
        info = types.info(number)
        if info.value != held.size or offset < 0:
            continue
        if offset < info.value or kernel.layouts.is_flexible(number):
            leaves = kernel.layouts.leaves(number, offset, access.size)
            keys |= {key_of(leaf.path) for leaf in leaves}
    return keys


def main() -> None:
    """Prints the table, and the names that are wrong."""
    image, vmlinux = Path(sys.argv[1]), Path(sys.argv[2])
    wanted = int(sys.argv[3]) if len(sys.argv) > 3 else ACCESSES
    seed = sys.argv[4] if len(sys.argv) > 4 else "1"
    kernel = kernel_of(image)
    truth = Truth(vmlinux, kernel.symbols.addresses_of("_stext")[0])
    files = truth.files()
    random.Random(seed).shuffle(files)
    counts: Counter[tuple[Basis | None, str]] = Counter()
    wrong: list[str] = []
    used, began = 0, time.process_time()
    for file in files:
        for judged in judge(kernel, truth, file):
            counts[judged.basis, judged.verdict] += 1
            if judged.verdict == "wrong":
                wrong.append(
                    f"{judged.basis.name if judged.basis is not None else ''} {judged.text}"
                )
        used += 1
        if counts.total() >= wanted:
            break
    _print(image, used, counts)
    print(f"{time.process_time() - began:.0f} s of CPU time")
    print("\n".join(wrong[:SHOWN] if len(sys.argv) <= 5 else wrong))


def _print(image: Path, files: int, counts: Counter[tuple[Basis | None, str]]) -> None:
    total = counts.total()
    named = sum(count for (basis, _), count in counts.items() if basis is not None)
    judged = sum(count for (_, verdict), count in counts.items() if verdict != "not judged")
    print(f"{image.name}: {files} source files, {total:,} accesses")
    print(f"named {named:,} ({named / max(total, 1):.1%})")
    for basis in (None, *Basis):
        right, listed, wrong = (
            sum(n for (b, v), n in counts.items() if v == verdict and basis in (None, b))
            for verdict in ("right", "listed", "wrong")
        )
        name = "judged" if basis is None else basis.name.lower()
        whole = judged if basis is None else right + listed + wrong
        share = f"{wrong / max(whole, 1):.2%}"
        print(f"{name}: {whole:,}, right {right:,}, listed {listed:,}, wrong {wrong:,} ({share})")


if __name__ == "__main__":
    main()
