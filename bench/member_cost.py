"""How long the member behind a fault takes: python -m bench.member_cost IMAGE.

Places are drawn of all of a kernel's code; each is located by the bytes that a log would print and
named, as an explanation does it, weighted by the size of functions. CPU time; the first, which
makes what is kept of a kernel, is printed by itself.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from bench.member_eval import kernel_of
from detector.member.kernel import FunctionCode, KernelBuild
from detector.member.matching import LoggedCode, locate
from detector.member.naming import flow_of, name_in

PLACES = 150
BEFORE, PRINTED = 42, 64  # bytes of a Code: line of x86-64


def explained(kernel: KernelBuild, function: FunctionCode, address: int) -> float:
    """The seconds that locating and naming an instruction takes."""
    is_x86 = kernel.arch == "x86_64"
    offset, size = address - function.start, kernel.symbols.end_of(function.start) - function.start
    before = min(BEFORE if is_x86 else 16, offset)
    code = kernel.bytes_at(address - before, PRINTED if is_x86 else 20)
    began = time.process_time()
    place = locate(kernel, function.name, offset, size, LoggedCode(code, before))
    if place is not None:
        name_in(place.flow, place.address)
    return time.process_time() - began


def main() -> None:
    """Prints the percentiles."""
    kernel = kernel_of(Path(sys.argv[1]))
    draw, part = random.Random(7), kernel.code[0]
    times: list[float] = []
    while len(times) < PLACES:
        function = kernel.function_at(part.address + draw.randrange(len(part.data)))
        if function is not None and (order := sorted(flow_of(kernel, function).instructions)):
            times.append(explained(kernel, function, draw.choice(order)))
    first, *times = times
    times.sort()
    shown = ", ".join(f"p{p} {times[len(times) * p // 100] * 1e3:.1f} ms" for p in (50, 95, 99))
    print(f"first {first * 1e3:.0f} ms; {shown}, at most {times[-1] * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
