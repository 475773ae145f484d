"""The script that collects kernel images: one of each release and build, asked about once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.member.demo_kernel import RELEASE, x86_image
from tests.symbols.images import PACKED, bzimage

pytestmark = pytest.mark.debian


@pytest.fixture
def script(deploy, tmp_path, program):
    """Runs the script, with the boot folder and the packs of this test."""
    program("rsync", "rsync")
    environment = {
        **os.environ,
        "BOOT": str(tmp_path / "boot"),
        "RELEASE": RELEASE,
        "OOPSWATCH": str(Path(sys.executable).with_name("oopswatch")),
        "OOPSWATCH_SYMBOLS_DIRECTORY": str(tmp_path / "packs"),
    }

    def run(*words):
        command = [deploy / "images" / "kernel-images.sh", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def test_an_image_of_each_build_becomes_a_pack_once(script, tmp_path):
    """Two builds of one release; a second sending and a second adding do nothing."""
    (tmp_path / "boot").mkdir()
    images = tmp_path / "images"
    images.mkdir()
    for code in (b"\xc3", b"\x90\xc3"):
        image = bzimage(PACKED["gzip"](x86_image(demo_use=code)))
        (tmp_path / "boot" / f"vmlinuz-{RELEASE}").write_bytes(image)
        for _ in range(2):
            assert script("send", images).returncode == 0
    assert len(list(images.iterdir())) == 2
    done = script("add", images)
    assert (done.returncode, done.stdout.count("symbols")) == (0, 4), done.stderr
    assert len(list((tmp_path / "packs").iterdir())) == 2
    again = script("add", images)
    assert (again.returncode, again.stdout) == (0, "")


def test_what_cannot_be_read_is_one_line(script, tmp_path):
    """A host without an image; an image that is none, which is asked about once."""
    done = script("send", tmp_path / "images")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"no image of {RELEASE}" in done.stderr
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "vmlinuz-1-abc").write_bytes(b"no image")
    done = script("add", tmp_path / "images")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert script("add", tmp_path / "images").returncode == 0
    assert script("take", "x").returncode == script("send").returncode == 2
