"""A small fleet's log: pairs with their reports, and noise between them, one line of each host in
turn; as chunks of a file, and a pipeline that reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from detector.app import build
from detector.hooks import Hooks
from detector.pipeline import Pipeline
from detector.settings import Settings
from detector.sources.files.framing import FileChunk
from detector.store import Journal
from tests.support.shipped import shipped

CULPRIT = "db-culprit-7"
HOSTS = ("db-1", "db-2", CULPRIT, "db-3")


def report(host: str, start: int, address: str) -> list[str]:
    """A pair that makes an incident, with the report of its fault, and noise between its lines."""

    def line(us: int, text: str) -> str:
        return (
            f"Nov 22 10:00:{us // 1_000_000 % 60:02} {host} kernel: [  "
            f"{start + us / 1e6:.6f}] {text}"
        )

    return [
        line(0, f"IPv4: Attempt to release TCP socket in state 10 {address}"),
        line(
            100,
            "python[77]: segfault at 10 ip 00007f0000000000 sp 00007ffc00000000 error 4 in "
            "libc.so[7f0000000000+1000]",
        ),
        line(500_000, f"Unable to handle kernel paging request at virtual address {address}"),
        line(500_010, "Internal error: Oops: 96000004 [#1] SMP"),
        line(500_020, "pc : my_driver_poll+0x10/0x80 [mydrv]"),
        line(
            500_030,
            "perl[78]: segfault at 10 ip 00007f0000000000 sp 00007ffc00000000 error 4 in "
            "libc.so[7f0000000000+1000]",
        ),
        line(500_040, "Call trace:"),
        line(500_050, " my_driver_poll+0x10/0x80 [mydrv]"),
        line(500_060, "---[ end trace 0123456789abcdef ]---"),
    ]


def lines(hosts: Sequence[str] = HOSTS) -> list[str]:
    """The reports of some hosts, one line of each in turn."""
    places = {host: place for place, host in enumerate(dict.fromkeys((*HOSTS, *hosts)))}
    blocks = [
        report(host, 100 + 50 * places[host], f"ffff80001234a{places[host]:03x}") for host in hosts
    ]
    return [line for row in zip(*blocks, strict=True) for line in row]


def chunks(rows: Sequence[str], size: int) -> Iterator[FileChunk]:
    """A file in blocks of some lines."""
    number = end = 0
    for at in range(0, len(rows), size):
        data = "".join(f"{row}\n" for row in rows[at : at + size]).encode()
        end += len(data)
        yield FileChunk("fleet.log", data, end, number + 1)
        number += len(rows[at : at + size])


def watched(journal: Journal, told: Hooks, *, keeps_noise: bool = True) -> Pipeline:
    """A pipeline over a journal, as the settings say."""
    return build.watch_of(Settings(), journal, shipped(), hooks=told, keeps_noise=keeps_noise)
