"""rsyslogd with the shipped configuration, in front of a broker of the tests."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KERN_ERR, KERN_ALERT, USER_ERR = 3, 1, 11


@dataclass(frozen=True)
class Shipper:
    """A running rsyslogd with the shipped configuration: its input's port and the topic that it
    writes to.
    """

    port: int
    topic: str

    def feed(self, *lines: str) -> None:
        """Hands lines to rsyslogd as the kernel's log would be."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as link:
            link.sendall("".join(line + "\n" for line in lines).encode())


def kernel_line(host: str, uptime: str, text: str, priority: int = KERN_ERR) -> str:
    """One line as a syslog daemon hands it on, stamped now.

    rsyslog makes the line's time the record's: a broker removes records older than its retention,
    seven days by default.
    """
    stamp = time.strftime("%b %e %H:%M:%S", time.gmtime())
    return f"<{priority}>{stamp} {host} kernel: [{uptime}] {text}"


def configuration(shipped: str, folder: Path, broker: str, topic: str) -> str:
    """The shipped file with this test's broker, topic and folder, and a port in place of the
    kernel's log; templates and action stay.
    """
    lines = (
        'module(load="imtcp")\ninput(type="imtcp" port="0" address="127.0.0.1" name="imklog" '
        'listenPortFileName="port")\n'
    )
    changes = (
        (r'^module\(load="imklog".*\n', lines.replace('"port"', f'"{folder / "port"}"')),
        (r'broker=\["localhost:9092"\]', f'broker=["{broker}"]'),
        (r'topic="kernel-logs"', f'topic="{topic}"'),
        (r"/var/spool/rsyslog/(?=oopswatch)", f"{folder}/"),
    )
    text = shipped
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count == 1, pattern
    return f'global(workDirectory="{folder}")\n{text}'


@contextmanager
def running(
    rsyslogd: str, shipped: str, folder: Path, broker: str, topic: str
) -> Iterator[Shipper]:
    """rsyslogd with the shipped configuration, which writes to a topic; it ends with the block."""
    path = folder / "rsyslog.conf"
    path.write_text(configuration(shipped, folder, broker, topic))
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            [rsyslogd, "-n", "-i", str(folder / "pid"), "-f", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield Shipper(listening_port(folder / "port", process), topic)
    finally:
        process.terminate()
        process.wait(30)


def listening_port(file: Path, process: subprocess.Popen[bytes]) -> int:
    """The port that rsyslogd chose; it writes it down when it listens."""
    deadline = time.monotonic() + 30
    while not (file.exists() and file.read_text().strip()):
        assert process.poll() is None, (file.parent / "out").read_text()
        assert time.monotonic() < deadline, "rsyslogd did not listen within 30 s"
        time.sleep(0.05)
    return int(file.read_text())
