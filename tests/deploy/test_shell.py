"""Shell scripts of the project pass shellcheck."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.debian
ROOT = Path(__file__).parents[2]
FOLDERS = "bench", "deploy", "tests"
SCRIPTS = [
    ROOT / ".ci" / "run",
    *(p for name in FOLDERS for p in sorted((ROOT / name).rglob("*.sh"))),
    *(ROOT / "deploy" / "debian" / name for name in ("postinst", "prerm", "postrm")),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_no_objection(script, program):
    """Quoting, unset variables and exit codes are as the shell takes them."""
    done = subprocess.run(
        [program("shellcheck", "shellcheck"), script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
