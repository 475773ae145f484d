"""What heads without a block cost in a host's chatter: python -m bench.lone_heads [LINES] [HEADS].

A log of chatter is scanned with heads in it and without, in turns; the ratio of the CPU times is
said, of the shortest of three runs each. A head alone makes the lines after it be read until enough
of them are foreign.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

LINES, HEADS, ROUNDS = 7_000_000, 70, 3
STEP_US = 3_000
HEAD = "Unable to handle kernel paging request at virtual address 0001950b"
CHATTER = (
    "docker0: port {n}(veth{n:x}) entered forwarding state",
    "IPv6: ADDRCONF(NETDEV_CHANGE): veth{n:x}: link becomes ready",
    "EXT4-fs (dm-{n}): mounted filesystem with ordered data mode. Opts: (null)",
    "usb 1-{n}: new high-speed USB device number {n} using xhci_hcd",
    (
        "[UFW BLOCK] IN=eth0 OUT= MAC= SRC=192.0.2.{n} DST=198.51.100.7 LEN=40 TTL=244 ID={n} "
        "PROTO=TCP"
    ),
    "systemd[1]: Started Session {n} of User demo.",
    "device veth{n:x} entered promiscuous mode",
)


def write(path: Path, lines: int, heads: int) -> None:
    """Writes chatter with so many heads spread over it."""
    apart = lines // heads if heads else lines + 1
    with path.open("w", encoding="utf-8") as out:
        for number in range(lines):
            seconds, us = divmod(10_000_000 + number * STEP_US, 1_000_000)
            lone = number % apart == apart // 2
            text = HEAD if lone else CHATTER[number % len(CHATTER)].format(n=number % 250 + 1)
            out.write(f"[{seconds:5}.{us:06}] {text}\n")


def scan_s(path: Path) -> float:
    """The CPU seconds of one scan."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [Path(sys.executable).with_name("oopswatch"), "scan", "--json", path]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(arguments: list[str]) -> None:
    """Measures and prints."""
    lines, heads = (*map(int, arguments), *(LINES, HEADS)[len(arguments) :])
    with tempfile.TemporaryDirectory() as folder:
        without, with_heads = Path(folder, "without.log"), Path(folder, "with.log")
        write(without, lines, 0)
        write(with_heads, lines, heads)
        took = [(scan_s(without), scan_s(with_heads)) for _ in range(ROUNDS)]
    plain, beset = (min(times) for times in zip(*took, strict=True))
    sys.stdout.write(
        f"{lines:,} lines: {plain:.2f} s without heads, {beset:.2f} s with {heads}: "
        f"{beset / plain:.2f} times\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
