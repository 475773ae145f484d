"""Common parts of the crash blocks of all architectures: the bug, the fault, symbols with
offsets.

In: names. Out: frozen facts and the small texts made of them. The blocks themselves are in `arm64`
and `x86`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

from detector.simulate.fleet import Host

KernelText = tuple[int, str]


@dataclass(frozen=True, slots=True)
class SimulatedBug:
    """A place in the kernel that can fault.

    `path` is who called it, nearest first, as "function" or "function [module]".

    `comm` is the process it happens in ("swapper": in an interrupt); `member` the offset of the
    structure member it reads; `kind` "null" faults at that offset, "page" at an address that leads
    nowhere.
    """

    function: str
    module: str
    path: tuple[str, ...]
    comm: str
    member: int
    kind: Literal["null", "page"]


@dataclass(frozen=True, slots=True)
class SimulatedFault:
    """One fault as it struck: `count` is die's counter, printed as `[#1]`."""

    bug: SimulatedBug
    address: int
    cpu: int
    pid: int
    comm: str
    count: int
    modules: str
    in_interrupt: bool


def symbol(host: Host, name: str) -> str:
    """`name` as %pS prints it: the same offset and size for the same function of the same
    kernel build.
    """
    function, _, module = name.partition(" ")
    number = zlib.crc32(f"{function} {host.kernel.release}".encode())
    size = 0x40 + (number & 0xFF) * 8
    offset = 4 + (number >> 8) % (size // 4 - 1) * 4
    return f"{function}+{offset:#x}/{size:#x}" + (f" {module}" if module else "")


def address_of(host: Host, name: str) -> int:
    """The address at which this kernel build has the function, so that a block names it the
    same way twice.
    """
    return 0xFFFF_0000_0808_0000 + (
        zlib.crc32(f"{host.kernel.release} {name}".encode()) & 0xFF_FFFC
    )


def culprit(bug: SimulatedBug) -> str:
    """The faulting function in the form of a path's entry."""
    return f"{bug.function} [{bug.module}]" if bug.module else bug.function


def header(host: Host, fault: SimulatedFault) -> str:
    """dump_stack_print_info's first line (lib/dump_stack.c); from 6.11 on with the user's id."""
    kernel = host.kernel
    user = " UID: 0" if kernel.generation >= (6, 11) else ""
    taint = "Not tainted" if fault.count == 1 else "Tainted: G      D           "
    kdump = " Kdump: loaded" if kernel.generation < (5, 0) else ""
    return (
        f"CPU: {fault.cpu}{user} PID: {fault.pid} Comm: {fault.comm}{kdump} {taint} "
        f"{kernel.release} {kernel.build.split()[0]}"
    )
