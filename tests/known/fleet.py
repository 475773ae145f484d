"""A fleet whose hosts crashed in a made-up driver, and the records of the bug."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner, Result

from detector.cli import oopswatch
from tests.known.records import as_bytes, record

FRAMES = ("demo_read_valve", "demo_turn", "demo_pump_work", "demo_pump_ioctl", "demo_dev_ioctl")
HOSTS: Mapping[str, str] = {
    "db-1": "6.1.7",
    "db-2": "6.1.7",
    "deb-1": "6.1.0-28-amd64",
}
REPORT = """\
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010
Internal error: Oops: 0000000096000004 [#1] SMP
CPU: 1 PID: 321 Comm: pump Not tainted {kernel} #1
Hardware name: Demo board
pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : demo_read_valve+0x10/0x80
lr : demo_turn+0x20/0x100
Call trace:
 demo_read_valve+0x10/0x80
 demo_turn+0x20/0x100
 demo_pump_work+0x30/0x200
 demo_pump_ioctl+0x40/0x300
 demo_dev_ioctl+0x50/0x400
 __arm64_sys_ioctl+0x60/0x90
---[ end trace 0000000000000000 ]---"""
FIX = "demo: pump: check the valve before it is read"


def crash(host: str, kernel: str) -> str:
    """A host's log: a socket released while listening, then the crash."""
    head = "IPv4: Attempt to release TCP socket in state 10 000000001234abcd"
    lines = [head, *REPORT.format(kernel=kernel).splitlines()]
    return "".join(
        f"Nov  1 10:00:00 {host} kernel: [  100.{number:06d}] {text}\n"
        for number, text in enumerate(lines)
    )


def banner(host: str, kernel: str) -> str:
    """A host's first line."""
    return (
        f"Nov  1 09:58:20 {host} kernel: [    0.000000] Linux version {kernel} (build@demo) "
        "(gcc 12.2.0) #1 SMP\n"
    )


def oops(*arguments: object, code: int = 0) -> Result:
    """A command that ends with this code."""
    done = CliRunner().invoke(oopswatch, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done


def fleet(folder: Path) -> Path:
    """The history of the fleet; one more host never crashed and runs a kernel with the fix."""
    log, path = folder / "kern.log", folder / "history.db"
    log.write_text(
        "".join(banner(host, kernel) + crash(host, kernel) for host, kernel in HOSTS.items())
        + banner("new-1", "6.1.30")
    )
    oops("scan", "--store", path, log, code=1)
    return path


def records(folder: Path, **change: object) -> Path:
    """A folder with the record of the bug that the fleet has."""
    target = folder / "records"
    target.mkdir(exist_ok=True)
    text = f"{FIX}\n\nIt may be gone:\n\n{REPORT.format(kernel='6.4.0')}\n"
    made = record(7, text=text, title=FIX, **change)  # type: ignore[arg-type]
    (target / "7.json").write_bytes(as_bytes(made))
    return target
