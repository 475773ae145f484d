from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the built wheel's content, as an installer would lay it out."""
    built = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = built.glob("*.whl")
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_wheel_carries_all_patterns(installed):
    """Each pattern file of the checkout, byte for byte."""
    shipped = {
        path.relative_to(ROOT / "patterns"): path.read_bytes()
        for path in (ROOT / "patterns").rglob("*")
        if path.is_file()
    }
    carried = installed / "detector" / "_patterns"
    assert {
        path.relative_to(carried): path.read_bytes()
        for path in carried.rglob("*")
        if path.is_file()
    } == shipped
    assert any(path.suffix == ".toml" for path in shipped)


def test_wheel_carries_the_package_alone(installed):
    """No tests, no caches, no folder beside the package."""
    assert {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} == {
        "detector"
    }
    assert not list(installed.rglob("__pycache__"))


def test_command_finds_the_patterns_that_the_wheel_brought(installed, tmp_path):
    """`oopswatch patterns list`, run from the wheel's content, reads the patterns inside it."""
    code = (
        "import detector.cli as cli, sys; print(cli.__file__, file=sys.stderr); sys.argv[0] = "
        "'oopswatch'; cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "patterns", "list"],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(installed),
            "PYTHONDONTWRITEBYTECODE": "1",
        },  # the folder stays as the wheel laid it out
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.startswith(str(installed))
    assert "kernel.paging-request" in done.stdout
    assert done.returncode == 0
