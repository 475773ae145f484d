"""A folder in which the commands of the pages run: what they name is there, made up."""

from __future__ import annotations

import gzip
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from detector.cli import oopswatch
from tests.known.records import as_bytes, record
from tests.member.demo_kernel import types
from tests.support.kernel_image import CODE, OWN
from tests.support.page_blocks import ROOT
from tests.symbols.images import PACKED, bzimage, vmlinux
from tests.symbols.modules import module

RELEASE = "6.1.0-28-amd64"
EXAMPLE = ROOT / "docs" / "example.log"
# Folders of a machine that the pages name; they lie in the sandbox.
MACHINE = re.compile(r"(?<![\w.])/(etc/oopswatch|var/lib/oopswatch|boot|lib/modules|lake)(?=/)")
SIGMA_RULE = """\
title: Socket released while it listens
id: 0b7e7a0e-4b1f-4c52-9d2f-6f0c3c1f5d11
logsource: {product: linux}
detection:
  keywords: ["Attempt to release TCP socket in state"]
  condition: keywords
level: high
"""


@dataclass(frozen=True)
class Sandbox:
    """A folder with settings, a history, logs, records, an image, and the environment to match."""

    folder: Path
    environment: Mapping[str, str]

    def words(self, command: str) -> tuple[list[str], Path | None]:
        """A command line's words without its comment, its folders those of the sandbox, its
        placeholders filled; and the file that `>` names.
        """
        words = shlex.split(re.sub(r"\s#.*$", "", command))
        words = [MACHINE.sub(lambda path: str(self.folder) + path[0], word) for word in words]
        if (
            "PATH" in words
        ):  # of the records of known bugs: those made up are fewer than the shipped
            at = words.index("PATH")
            words[at : at + 1] = [str(self.folder / "records"), "--fewer"]
        if ">" not in words:
            return words, None
        at = words.index(">")
        return words[:at], self.folder / words[at + 1]

    def run(self, command: str) -> str | None:
        """What is wrong with a command of ours, run in this process; None where it works."""
        words, target = self.words(command)
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            done = CliRunner().invoke(oopswatch, words[1:], env=self.environment)
        finally:
            os.chdir(before)
        if done.exit_code not in {0, 1} or not (
            done.exception is None or isinstance(done.exception, SystemExit)
        ):
            return f"{command}: exit {done.exit_code}: {done.exception!r}\n{done.output[-1_000:]}"
        if target is not None:
            target.parent.mkdir(exist_ok=True)
            target.write_text(done.stdout)
        # An answer of nothing shows nothing: the sandbox has something for each question.
        quiet = target is None and words[1] != "simulate" and not done.output.strip()
        return f"{command}: it prints nothing" if quiet else None


def made(folder: Path, history: Path, bootstrap: str = "127.0.0.1:9") -> Sandbox:
    """The folder, filled; `history` is copied."""
    settings, state = folder / "etc" / "oopswatch", folder / "var" / "lib" / "oopswatch"
    lake = folder / "lake" / "kernel" / "day"
    for each in (settings, state, lake, folder / "boot", folder / "records"):
        each.mkdir(parents=True)
    (settings / "oopswatch.toml").write_text(
        f'[kafka]\nbootstrap_servers = ["{bootstrap}"]\ntopics = ["kernel-logs"]\n'
        f'group = "pages"\n[store]\npath = "{state / "history.db"}"\n'
    )
    for copy in (state / "history.db", folder / "history.db"):
        shutil.copy(history, copy)
    (lake / "kern.log.gz").write_bytes(gzip.compress(EXAMPLE.read_bytes()))
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("img"))
    shutil.copytree(ROOT / "tests" / "golden" / "founding-dmesg", folder / "my-cases" / "one")
    image = bzimage(PACKED["zstd"](vmlinux(CODE, OWN, types(), release=RELEASE)))
    (folder / "boot" / f"vmlinuz-{RELEASE}").write_bytes(image)
    ext4 = folder / "lib" / "modules" / RELEASE / "kernel" / "fs" / "ext4" / "ext4.ko"
    ext4.parent.mkdir(parents=True)
    ext4.write_bytes(module(release=RELEASE, name="ext4"))
    for number in (1, 2):
        (folder / "records" / f"{number}.json").write_bytes(as_bytes(record(number)))
    (folder / "linux-rules.yml").write_text(SIGMA_RULE)
    return Sandbox(folder, {"CONFIGURATION_DIRECTORY": str(settings), "COLUMNS": "200"})


def with_the_example(path: Path) -> Path:
    """A history that holds the incident of docs/example.log."""
    words = ["scan", "--store", str(path), "--host", "web-12", str(EXAMPLE)]
    assert CliRunner().invoke(oopswatch, words).exit_code == 1
    return path
