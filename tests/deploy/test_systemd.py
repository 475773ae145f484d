from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.debian
MOST_EXPOSED = 15  # tenths: systemd's own scale goes to 100
# The files of a crash, and kernel images, are root's alone.
AS_ROOT = {"oopswatch-collect.service": 25, "oopswatch-send-image.service": 25}


UNITS = sorted(
    path.name for path in (Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service")
)


@pytest.fixture(params=UNITS)
def unit(request, deploy, tmp_path) -> Path:
    """A shipped unit, with the command of this environment: systemd-analyze demands that the
    command exists.
    """
    text = (deploy / "systemd" / request.param).read_text()
    command = Path(sys.executable).with_name("oopswatch")
    path = tmp_path / request.param
    path.write_text(text.replace("/opt/oopswatch/bin/oopswatch", str(command)))
    return path


def test_systemd_accepts_the_unit_without_a_word(unit, program):
    """systemd-analyze verify ends with 0 on unknown keys, and only says so: silence is the
    proof.
    """
    done = subprocess.run(
        [program("systemd-analyze", "systemd"), "verify", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_misspelt_key_would_be_noticed(unit, program):
    """The check above can fail."""
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHouse="))
    done = subprocess.run(
        [program("systemd-analyze", "systemd"), "verify", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ProtectHouse" in done.stderr


def test_pages_cannot_write_the_history(deploy):
    """The unit that serves shares the state directory of the one that reads logs, and only reads
    it.
    """
    lines = (deploy / "systemd" / "oopswatch-serve.service").read_text().splitlines()
    assert {"User=oopswatch", "StateDirectory=oopswatch", "ReadOnlyPaths=%S/oopswatch"} <= set(
        lines
    )


def test_units_that_share_a_directory_share_its_user(deploy):
    """systemd gives all of a state directory to the user of whoever starts last: one that runs as
    root would lock the others out.
    """
    owners: dict[str, set[str]] = {}
    for path in sorted((deploy / "systemd").glob("*.service")):
        keys = dict(re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE))
        user = keys.get("User", path.stem) if keys.get("DynamicUser") == "yes" else "root"
        for kind in ("StateDirectory", "CacheDirectory"):
            if kind in keys:
                owners.setdefault(f"{kind} {keys[kind]}", set()).add(user)
    assert owners["StateDirectory oopswatch"] == {"oopswatch"}
    assert {name: users for name, users in owners.items() if len(users) > 1} == {}


def test_unit_is_hardened(unit, program):
    """Systemd's own measure of exposure stays low."""
    command = [
        program("systemd-analyze", "systemd"),
        "security",
        "--offline=true",
        f"--threshold={AS_ROOT.get(unit.name, MOST_EXPOSED)}",
        unit,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:]
