"""The command line under odd circumstances: exit codes that scripts can rely on, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from detector.settings import load

OOPSWATCH = Path(sys.executable).parent / "oopswatch"
LOG = Path(__file__).parents[2] / "docs" / "example.log"
COMMANDS = (["scan", str(LOG)], ["scan", "--json", str(LOG)], ["explain", str(LOG)], ["--help"])


def run(arguments: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
    """Runs a command to its end."""
    return subprocess.run(
        [OOPSWATCH, *arguments], check=False, stderr=subprocess.PIPE, timeout=120, **options
    )


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("locale", ["en_US.ISO-8859-1", "C", "POSIX", "nothing"])
def test_any_locale(arguments: list[str], locale: str) -> None:
    """What the encoding lacks is spelled out."""
    environment = os.environ | {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = run(arguments, env=environment, stdout=subprocess.PIPE)
    assert done.returncode in {0, 1}
    assert b"Traceback" not in done.stderr
    assert done.stdout


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_full_disk_is_one_line(arguments: list[str]) -> None:
    """Never exit 1, which means found."""
    with Path("/dev/full").open("wb") as full:
        done = run(arguments, stdout=full)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"oopswatch: standard output cannot be written: No space left")


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_closed_pipe_is_silent(arguments: list[str]) -> None:
    """`| head`: as a program that SIGPIPE ended."""
    reading, writing = os.pipe()
    os.close(reading)
    done = run(arguments, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_ctrl_c_is_130(tmp_path: Path) -> None:
    """A scan that waits for its standard input is interrupted."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [OOPSWATCH, "scan", "-"],
        stdin=read,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A suite that runs in the background may ignore it, and hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    os.write(write, b"[    1.000000] eth0: link is up\n")
    deadline = time.monotonic() + 60
    while b"regex" not in Path(f"/proc/{process.pid}/maps").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    os.close(read)
    os.close(write)
    assert process.returncode == 130
    assert b"Traceback" not in errors


def test_our_own_fault_is_70(tmp_path: Path) -> None:
    """A fault of the program is told apart from a finding and from bad input."""
    program = (
        "import detector.cli, detector.cli.scan, sys\n"
        "def fail(*_, **__): raise KeyError('x')\n"
        "detector.cli.scan.scan.callback = fail\n"
        "sys.argv = ['oopswatch', 'scan', '-']\n"
        "detector.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, timeout=120
    )
    assert done.returncode == 70
    assert b"this is a fault of oopswatch" in done.stderr


def test_a_file_that_the_system_refuses_is_one_line() -> None:
    """A disk that turned read-only, a name that is too long: whichever call met it."""
    program = (
        "import detector.cli, detector.cli.scan, errno, os, sys\n"
        "def fail(*_, **__): raise OSError(errno.EROFS, os.strerror(errno.EROFS), '/srv/a\\nb')\n"
        "detector.cli.scan.scan.callback = fail\n"
        "sys.argv = ['oopswatch', 'scan', '-']\n"
        "detector.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (
        2,
        "oopswatch: /srv/a\\nb: it cannot be used: Read-only file system\n",
    )


@pytest.mark.parametrize("command", [["backup"], ["scan"], ["explain"], ["simulate", "--out"]])
def test_a_name_that_is_too_long_is_one_line(command: list[str], tmp_path: Path) -> None:
    """Of a file, or of a folder on the way to it."""
    done = run([*command, "a" * 300], cwd=tmp_path, stdout=subprocess.PIPE)
    assert done.returncode in {0, 2}
    assert b"Traceback" not in done.stderr


KUBERNETES = {
    "OOPSWATCH_METRICS_PORT": "tcp://10.0.11.7:9090",
    "OOPSWATCH_METRICS_PORT_9090_TCP": "tcp://10.0.11.7:9090",
    "OOPSWATCH_METRICS_PORT_9090_TCP_ADDR": "10.0.11.7",
    "OOPSWATCH_METRICS_PORT_9090_TCP_PORT": "9090",
    "OOPSWATCH_METRICS_PORT_9090_TCP_PROTO": "tcp",
    "OOPSWATCH_METRICS_SERVICE_HOST": "10.0.11.7",
    "OOPSWATCH_METRICS_SERVICE_PORT": "9090",
    "OOPSWATCH_METRICS_SERVICE_PORT_HTTP": "9090",
    "OOPSWATCH_SERVICE_HOST": "10.0.11.8",
    "OOPSWATCH_PORT": "tcp://10.0.11.8:8470",
    "OOPSWATCH_SERVE_PORT": "udp://10.0.11.8:8470",
}


def test_what_kubernetes_injects_is_no_setting() -> None:
    """Service links of services that are called like groups of settings."""
    assert load(environment=KUBERNETES)[0] == load(environment={})[0]
    settings, origins = load(environment=KUBERNETES | {"OOPSWATCH_SERVE_PORT": "8471"})
    assert settings.serve.port == 8471
    assert origins["serve.port"] == "OOPSWATCH_SERVE_PORT"


def test_an_export_to_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """Standard output has no name to give: the message is that of every command."""
    store = tmp_path / "history.db"
    run(["scan", "--store", str(store), str(LOG)], stdout=subprocess.PIPE)
    test_a_full_disk_is_one_line(["export", "--format", "otlp", "--store", str(store)])
