"""One machine under several names is one host, from the bytes to the incident."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from detector.cli import oopswatch

RELEASE = "IPv4: Attempt to release TCP socket in state 10 000000004ce017aa"
FAULT = "BUG: kernel NULL pointer dereference, address: 0000000000000018"
REPORT = [
    "#PF: supervisor read access in kernel mode",
    "Oops: 0000 [#1] SMP NOPTI",
    "CPU: 3 PID: 812 Comm: tidewatch Not tainted 5.10.92-umbra #1",
    "RIP: 0010:tidewatch_poll+0x2b/0x70 [tidewatch]",
    "Call Trace:",
    " tidewatch_thread+0x4e/0xb0 [tidewatch]",
    "---[ end trace 2f9a81c66d0e4b17 ]---",
]
OTHER = "Jun  2 08:14:23 edge-9 kernel: [    9.{:06d}] eth0: link becomes ready"


def syslog(host: str, seconds: float, text: str) -> str:
    """A line of rsyslog's traditional format."""
    return f"Jun  2 08:14:{int(seconds):02d} {host} kernel: [{700 + seconds:12.6f}] {text}"


def journald(host: str, seconds: float, text: str, boot: str = "b" * 32) -> str:
    """A line of `journalctl -o json`."""
    return json.dumps(
        {
            "_HOSTNAME": host,
            "_BOOT_ID": boot,
            "_TRANSPORT": "kernel",
            "_SOURCE_MONOTONIC_TIMESTAMP": str(round(seconds * 1e6)),
            "__REALTIME_TIMESTAMP": str(1_780_000_000_000_000 + round(seconds * 1e6)),
            "MESSAGE": text,
        }
    )


def incidents(tmp_path: Path, *arguments: str, **files: list[str]) -> list[dict[str, Any]]:
    """The incidents of some files, by name, in the working directory of a scan."""
    for name, lines in files.items():
        path = tmp_path / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
    done = CliRunner().invoke(
        oopswatch, ["scan", "--json", *arguments, str(tmp_path)], catch_exceptions=False
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [item for item in found if item["type"] == "incident"]


@pytest.mark.parametrize("name", ["EDGE-7", "edge-7.", "Edge-7."])
def test_a_report_is_followed_however_its_host_is_spelled(tmp_path: Path, name: str) -> None:
    """The records between the head and the end hold no phrase: only the host's name finds them."""
    lines = [syslog("edge-7", 20, RELEASE), syslog(name, 22, FAULT)]
    for number, text in enumerate(REPORT):
        lines += [OTHER.format(number), syslog(name, 22 + number / 1e6, text)]
    (incident,) = incidents(tmp_path, messages=lines)
    assert (incident["host"], incident["report"]["function"]) == ("edge-7", "tidewatch_poll")
    assert incident["report"]["complete"]


@pytest.mark.parametrize("full", ["web-12.example.com", "web-12.fra.example.com."])
@pytest.mark.parametrize("turned", [False, True])
def test_a_short_and_a_full_name_of_one_boot_are_one_host(
    tmp_path: Path, full: str, turned: bool
) -> None:
    """Without any setting, since the boots of both began together."""
    names = (full, "web-12") if turned else ("web-12", full)
    lines = [syslog(names[0], 20, RELEASE), syslog(names[1], 22, FAULT)]
    assert len(incidents(tmp_path, messages=lines)) == 1


def test_two_machines_with_one_short_name_stay_apart(tmp_path: Path) -> None:
    """Two full names are two hosts."""
    lines = [
        syslog("web-12.fra.example.com", 20, RELEASE),
        syslog("web-12.ams.example.com", 22, FAULT),
    ]
    assert incidents(tmp_path, messages=lines) == []


def test_a_machine_that_gets_its_name_late_is_one_host(tmp_path: Path) -> None:
    """Lines of `localhost` under the boot id of web-12; another boot's stay apart."""
    lines = [journald("localhost", 2.0, RELEASE), journald("web-12", 4.5, FAULT)]
    (incident,) = incidents(tmp_path, journal=lines)
    assert incident["host"] == "web-12"
    turned = [journald("localhost", 2.0, FAULT), journald("web-12", 4.5, RELEASE)]
    (incident,) = incidents(tmp_path, journal=turned)
    assert incident["host"] == "web-12"
    apart = [journald("localhost", 2.0, RELEASE), journald("web-12", 4.5, FAULT, "c" * 32)]
    assert incidents(tmp_path, journal=apart) == []


def test_a_crash_file_is_of_the_host_that_its_path_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of a vmcore has no host; its folder has."""
    monkeypatch.setenv("OOPSWATCH_HOSTS_PATHS", "crash/{host}/")
    dump = [f"[{702 + number / 1e6:12.6f}] {text}" for number, text in enumerate([FAULT, *REPORT])]
    live = [syslog("edge-7", 1, RELEASE)]
    (incident,) = incidents(tmp_path, messages=live, **{"crash__EDGE-7__vmcore-dmesg.txt": dump})
    assert (incident["host"], incident["report"]["function"]) == ("edge-7", "tidewatch_poll")
