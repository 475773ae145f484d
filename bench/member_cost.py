"""How long the member behind a fault takes: python -m bench.member_cost IMAGE.

Places are drawn of all of a kernel's code; each is located by the bytes that a log would print and
named, as an explanation does it. CPU time; the first, which makes what is kept of a kernel, is
printed by itself. Then the largest functions, as the worst of the worst.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from bench.member_eval import kernel_of
from detector.member.kernel import KernelBuild
from detector.member.matching import LoggedCode, locate
from detector.member.naming import name_in

PLACES = 300
BEFORE, PRINTED = 42, 64  # bytes of a Code: line of x86-64


def explained(kernel: KernelBuild, address: int) -> tuple[float, bool] | None:
    """(seconds, whether it is named); None where no instruction begins there."""
    start = kernel.symbols.containing(address)
    if start is None:
        return None
    offset, size = address - start, kernel.symbols.end_of(start) - start
    before = min(BEFORE if kernel.arch == "x86_64" else 16, offset)
    code = kernel.bytes_at(address - before, PRINTED if kernel.arch == "x86_64" else 20)
    name = kernel.symbols.names_at(start)[0]
    began = time.process_time()
    place = locate(kernel, name, offset, size, LoggedCode(code, before))
    access = name_in(place.flow, place.address) if place is not None else None
    return (time.process_time() - began, access is not None) if place is not None else None


def main() -> None:
    """Prints the percentiles."""
    kernel = kernel_of(Path(sys.argv[1]))
    draw, part = random.Random(7), kernel.code[0]
    step = 4 if kernel.arch == "arm64" else 1
    times: list[float] = []
    while len(times) < PLACES:
        done = explained(kernel, part.address + draw.randrange(0, len(part.data), step))
        if done is not None:
            times.append(done[0])
    first, *times = times
    times.sort()
    shown = ", ".join(f"p{p} {times[len(times) * p // 100] * 1e3:.1f} ms" for p in (50, 95, 99))
    print(f"first {first * 1e3:.0f} ms; {shown}, at most {times[-1] * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
