"""The founding case in a real kernel: python -m bench.member_founding IMAGE [PATTERNS].

Each instruction of the kernel's socket look-ups that reads `skc_net` is made to fault where the
founding case did: the log prints the image's own bytes, its base register holds what an end mark of
the established hash leaves in it. A catalogue without issues, layouts, signatures and rules
explains it by code and types alone. Then the layouts by hand are held against the image's types.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from bench.member_eval import kernel_of
from detector.catalogue import Catalogue
from detector.catalogue.known_issues import StructLayout
from detector.explain import explain
from detector.member.kernel import FunctionCode, KernelBuild
from detector.member.naming import flow_of
from detector.member.semantics import MemoryAccess
from detector.model import CrashReport, Frame

FAULT, OBJECT = 0x1950B, 0x194DB
LOOK_UPS = (
    "__inet_lookup_established",
    "__inet_lookup_listener",
    "inet_lhash2_lookup",
    "__inet6_lookup_established",
    "inet6_lhash2_lookup",
)


def accesses(kernel: KernelBuild) -> Iterator[tuple[FunctionCode, MemoryAccess]]:
    """The instructions of look-ups that read the namespace of a socket."""
    for name in LOOK_UPS:
        for start in kernel.symbols.addresses_of(name):
            function = kernel.function_at(start)
            for access in flow_of(kernel, function).analyse().values() if function else ():
                if function and access.place and "skc_net" in access.place.text:
                    yield function, access


def report_of(kernel: KernelBuild, function: FunctionCode, access: MemoryAccess) -> CrashReport:
    """The report of a fault at an instruction, as the kernel would have printed it."""
    is_x86 = kernel.arch == "x86_64"
    offset = access.address - function.start
    before = min(offset, 42 if is_x86 else 16)
    code = kernel.bytes_at(access.address - before, 64 if is_x86 else 20)
    width = 1 if is_x86 else 4
    words = [code[at : at + width][::-1].hex() for at in range(0, len(code), width)]
    size = kernel.symbols.end_of(function.start) - function.start
    return CrashReport(
        kind="memory-fault",
        function=function.name,
        display_function=function.name,
        offset=offset,
        size=size,
        pc=Frame(function.name, offset, size),
        kernel="the image",
        arch=kernel.arch,
        fault_address=FAULT,
        code=tuple(words),
        code_mark=before // width,
        registers={access.base: FAULT - access.displacement},
    )


def main() -> None:
    """Prints the sentences of each such fault, and whether layouts by hand agree."""
    kernel = kernel_of(Path(sys.argv[1]))
    bare = Catalogue(kernels=lambda _: (kernel,))
    count = right = 0
    for function, access in accesses(kernel):
        count += 1
        said = explain(report_of(kernel, function, access), (), bare).statements
        lines = [f"{part.text} {'; '.join(part.evidence)}" for part in said]
        own = [line for line in lines if "struct sock" in line]
        right += f"{FAULT:#x} - 0x30 = {OBJECT:#x}" in "\n".join(own)
        print(f"{function.name}+{access.address - function.start:#x}")
        print("\n".join(f"    {line}" for line in own) or "    nothing")
    print(f"founding case: {right} of {count} instructions with {FAULT:#x} and {OBJECT:#x}")
    _layouts(kernel, Path(sys.argv[2] if len(sys.argv) > 2 else "patterns"))


def _layouts(kernel: KernelBuild, patterns: Path) -> None:
    """Holds the layouts by hand against the image's types."""
    for path in sorted(patterns.glob("structs/*.toml")):
        for table in tomllib.loads(path.read_text())["struct"]:
            layout = StructLayout.model_validate(table)
            for member, by_hand in layout.members.items():
                own = kernel.layouts.offset_of(layout.name, member)
                verdict = "no such member" if own is None else "agrees"
                if own not in (None, by_hand):
                    verdict = f"differs: {own:#x}"
                print(f"layout {layout.id}: {layout.name}.{member} at {by_hand:#x}: {verdict}")


if __name__ == "__main__":
    main()
