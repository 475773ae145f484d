"""Crashes on many hosts, shipped into a pipeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from detector.app import build
from detector.pipeline import Pipeline
from detector.settings import settings_of
from tests.support.chunks import Lines
from tests.support.nouns import SECOND, WALL
from tests.support.outboxes import World
from tests.support.shipped import shipped

CRASH = (
    "[{up}.600000] Unable to handle kernel paging request at virtual address 0000000000012345",
    "[{up}.600010] Internal error: Oops: 96000004 [#1] SMP",
    "[{up}.600020] pc : my_driver_poll+0x10/0x80 [mydrv]",
    "[{up}.600030] Call trace:",
    "[{up}.600040]  my_driver_poll+0x10/0x80 [mydrv]",
    "[{up}.600050]  net_rx_action+0x100/0x3a0",
    "[{up}.600090] ---[ end trace 0123456789abcdef ]---",
)


SEGFAULT = (
    "[{up}.200000] {process}[77]: segfault at 10 ip 00007f0000000000 sp 00007ffc00000000 error 4 "
    "in libc.so[7f0000000000+1000]"
)


def pipeline(world: World, **switches: bool) -> Pipeline:
    """A pipeline over the world's history with some settings of rules."""
    settings, _ = settings_of(None, **{f"rules__{name}": on for name, on in switches.items()})
    return build.watch_of(settings, world.journal, shipped())


def ship(world: World, watch: Pipeline, host: str, *lines: str, ago_s: int = 0) -> None:
    """One batch of a host's lines, stamped with the world's time."""
    at = datetime.fromtimestamp(world.now // SECOND - ago_s, UTC) + timedelta(milliseconds=1)
    stamp = at.isoformat(timespec="milliseconds")
    up = 1_000 + (world.now - WALL) // SECOND
    watch.handle(
        [
            Lines(
                *(
                    f"{stamp} {host} kernel: {line.format(up=up, process='agent')}".encode()
                    for line in lines
                )
            )
        ],
        world.now,
    )
    watch.finish(world.now)


RELEASE = "[{up}.100000] IPv4: Attempt to release TCP socket in state 10 ffff80001234a000"
