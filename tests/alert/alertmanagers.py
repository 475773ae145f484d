"""Real Alertmanagers on loopback, as Debian packages them: one, or a cluster, with a webhook as
their receiver.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.receivers import Receiver

PROGRAM = "prometheus-alertmanager"
# The second member waits so long for word of the first one's notification, after the group's own
# wait of 200 ms. A group's interval must be longer than that, or the second one acts on what was
# the case before.
PEER_WAIT_S = 0.5
CONFIG = """
route:
  receiver: hook
  group_by: [alertname, host]
  group_wait: 200ms
  group_interval: {interval}
  repeat_interval: {repeat}
receivers:
  - name: hook
    webhook_configs: [{{url: "{hook}", send_resolved: true}}]
"""


@dataclass
class Member:
    """One running Alertmanager."""

    url: str
    cluster: str

    def get(self, path: str) -> Any:
        """What its API answers."""
        with urllib.request.urlopen(f"{self.url}/api/v2/{path}", timeout=10) as response:
            return json.load(response)

    def post(self, path: str, item: Any) -> Any:
        """What its API answers to an object."""
        request = urllib.request.Request(
            f"{self.url}/api/v2/{path}",
            json.dumps(item).encode(),
            {"Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


def installed() -> str | None:
    """The program, where it is there."""
    return shutil.which(PROGRAM, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"]))


@contextmanager
def alertmanagers(
    program: str, folder: Path, hook: Receiver, count: int = 1, repeat: str = "1h"
) -> Iterator[list[Member]]:
    """A cluster of some members that is ready and settled; it ends with the block."""
    (folder / "alertmanager.yml").write_text(
        CONFIG.format(hook=hook.url, repeat=repeat, interval="400ms" if count == 1 else "1500ms")
    )
    ports = _free_ports(2 * count)
    members = [
        Member(f"http://127.0.0.1:{web}", f"127.0.0.1:{gossip}")
        for web, gossip in zip(ports[::2], ports[1::2], strict=True)
    ]
    with ExitStack() as stack:
        for number in range(count):
            stack.enter_context(_running(_command(program, folder, number, members)))
        for member in members:
            wait_until(
                lambda member=member: _ready(member, count), f"{member.url} in a cluster of {count}"
            )
        yield members


def wait_until(holds: Callable[[], Any], what: str, seconds: float = 15) -> Any:
    """Waits for a condition, and returns what it gave."""
    end = time.monotonic() + seconds
    while not (given := holds()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return given


def _command(program: str, folder: Path, number: int, members: list[Member]) -> list[str]:
    member = members[number]
    alone = len(members) == 1
    gossip = [
        "--cluster.listen-address=" + ("" if alone else member.cluster),
        "--cluster.settle-timeout=1s",
        "--cluster.gossip-interval=50ms",
        "--cluster.pushpull-interval=500ms",
        f"--cluster.peer-timeout={int(PEER_WAIT_S * 1000)}ms",
    ]
    peers = (
        []
        if alone
        else [f"--cluster.peer={other.cluster}" for other in members if other is not member]
    )
    return [
        program, f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / f'data-{number}'}",
        f"--web.listen-address={member.url.removeprefix('http://')}", "--log.level=error", *gossip,
        *peers,
    ]  # fmt: skip


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _ready(member: Member, count: int) -> bool:
    try:
        cluster = member.get("status")["cluster"]
    except (urllib.error.URLError, ConnectionError):
        return False
    return bool(
        cluster["status"] == "disabled"
        if count == 1
        else cluster["status"] == "ready" and len(cluster["peers"]) == count
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
