"""Streams of lines for the tests of the assembler: written short, with the shipped signatures'
verdicts.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from detector.assemble import Assembler, AssemblyLimits
from detector.model import Block, Line, Match
from tests.support.feeding import found, matched, opening, parsed

FOLDER = Path(__file__).parents[1] / "crash" / "blocks"

FAULT = """\
[  100.000001] Unable to handle kernel paging request at virtual address 0001950b
[  100.000002] Mem abort info:
[  100.000003]   ESR = 0x96000007
[  100.000004] Internal error: Oops: 96000007 [#1] SMP
[  100.000005] CPU: 12 PID: 0 Comm: swapper/12 Not tainted 5.10.0-28-arm64 #1
[  100.000006] pc : frob_lookup+0xac/0x2a8
[  100.000007] Call trace:
[  100.000008]  frob_lookup+0xac/0x2a8
[  100.000009]  frob_rx+0x348/0xb34
[  100.000010] ---[ end trace 0f4b7d2c5a6e9d10 ]---
"""
FAULT_TEXTS = tuple(line.split("] ", 1)[1] for line in FAULT.splitlines())


def stored(name: str) -> str:
    """The log of a block of the reader's tests."""
    return (FOLDER / f"{name}.log").read_text(encoding="utf-8")


def called(log: str, caller: str) -> str:
    """The log as a kernel with CONFIG_PRINTK_CALLER prints it."""
    return re.sub(r"(?m)^(\[ *\d+\.\d+\])(?:\[ *[CT]\d+\])?", rf"\1[{caller:>6}]", log)


def shifted(log: str, seconds: int) -> str:
    """The log, later."""
    return re.sub(r"(?m)^\[ *(\d+)\.", lambda stamp: f"[{int(stamp[1]) + seconds:5}.", log)


def feed(assembler: Assembler, lines: list[Line], now_us: int = 0) -> list[Block]:
    """Feeds the lines; returns the blocks that they closed."""
    return [
        block for line in lines for block in assembler.feed(line, found(assembler, line), now_us)
    ]


def assembler(limits: AssemblyLimits | None = None) -> Assembler:
    """An assembler that opens reports at the shipped heads."""
    return Assembler(opening(), limits)


def interleave(*logs: str) -> str:
    """The lines of several logs in turns."""
    rows = [log.splitlines() for log in logs]
    longest = max(map(len, rows))
    return "\n".join(row[place] for place in range(longest) for row in rows if place < len(row))


def on_host(lines: list[Line], host: str) -> list[Line]:
    """The lines as another host's."""
    return [replace(line, host=host) for line in lines]


def texts(blocks: list[Block]) -> list[tuple[str, ...]]:
    """What the blocks hold."""
    return [block.lines for block in blocks]


def head_of(log: str) -> tuple[Line, Match]:
    """The first line of a log and its match."""
    line, match = matched(parsed(log))[0]
    assert match is not None
    return line, match
