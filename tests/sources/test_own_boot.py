"""A log handed over is this machine's where the kernel's own buffer has its lines."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from detector.cli import oopswatch
from detector.sources import own_boot
from detector.sources.own_boot import is_of_this_boot, own_records

OWN = [(0, b"Linux version 6.1.0")] + [
    (n * 1_001, b"usb 1-%d: new device" % n) for n in range(1, 9)
]
LOG = b"".join(b"[    %d.%06d] %s\n" % (at // 1_000_000, at % 1_000_000, text) for at, text in OWN)


def test_a_log_of_the_buffer_is_of_this_boot() -> None:
    """Also behind `dmesg -x`'s level, and cut within its last line."""
    assert is_of_this_boot(LOG, OWN)
    assert is_of_this_boot(
        b"".join(b"kern  :info  : " + line for line in LOG.splitlines(True)), OWN
    )
    assert is_of_this_boot(LOG + b"[    9.000001] half a li", OWN)


def test_a_log_of_another_boot_is_not() -> None:
    """One text or one microsecond that differs, too few lines, none with a time, no buffer."""
    assert not is_of_this_boot(LOG.replace(b"0.004004", b"0.004005"), OWN)
    assert not is_of_this_boot(LOG + b"[    9.000001] another line\n", OWN)
    assert not is_of_this_boot(b"\n".join(LOG.splitlines()[:5]) + b"\n", OWN)
    assert not is_of_this_boot(b"[    0.000000] Linux version 6.1.0\n" * 9, OWN)
    assert not is_of_this_boot(LOG, [])
    assert not is_of_this_boot(b"[Mon Nov 30 09:00:00 2026] usb 1-1: new device\n" * 9, OWN)


def test_what_the_buffer_has_lost_is_not_missed() -> None:
    """It is a ring: a log that was saved earlier begins before it."""
    assert is_of_this_boot(LOG, OWN[3:])


def test_records_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    """A text of two lines is two lines of a log; what may not be read is no buffer."""
    record = b"6,1,1001,-;first\\x0asecond \xc3\n SUBSYSTEM=usb\n"
    (tmp_path / "kmsg").write_bytes(record)
    assert list(own_records(str(tmp_path / "kmsg"))) == [(1001, b"first"), (1001, b"second \xc3")]
    assert list(own_records(str(tmp_path / "none"))) == []


@pytest.mark.parametrize("own", [True, False])
def test_scan_of_a_pipe_names_this_machine(
    own: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the log is its own, and takes nothing of the log; else the host stays unnamed."""
    fault = b"Unable to handle kernel paging request at virtual address 0001950b"
    log = LOG + b"[    0.500000] %s\n" % fault
    buffer = [*OWN, (500_000, fault)] if own else []
    monkeypatch.setattr(own_boot, "own_records", lambda: buffer)
    reading, writing = os.pipe()
    os.write(writing, log)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        with pytest.raises(SystemExit):
            oopswatch(["scan", "-", "--json"])
    match, summary = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert match["host"] == (socket.gethostname() if own else "-")
    assert summary["bytes"] == len(log)
