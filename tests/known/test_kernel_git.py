"""Fixes read from a kernel repository, made up in a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from detector.app.known import reader_of
from detector.known import Fix
from detector.known.commit import introduced_by, release_of, upstream
from detector.release import KernelRelease
from detector.sources import SourceError
from detector.sources.known import gather
from tests.known.records import TRACE, as_bytes, record
from tests.support.shipped import shipped

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
AUTHOR = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


class Repository:
    """A small kernel with tags and a stable branch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=master")

    def git(self, *arguments: str) -> str:
        """What git prints."""
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            env={**os.environ, **AUTHOR},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, message: str, file: str = "Makefile", tag: str | None = None) -> str:
        """A commit that changes one file, with a tag on it."""
        target = self.path / file
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("a") as lines:
            lines.write(message.splitlines()[0] + "\n")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", message)
        if tag:
            self.git("tag", tag)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def kernel(tmp_path):
    """5.4 without the bug, 6.1 with it, 6.2 with the fix, 6.1.2 with the backport."""
    repository = Repository(tmp_path / "linux")
    repository.commit("Linux 5.4", tag="v5.4")
    culprit = repository.commit("demo: add the pump", "drivers/demo/pump.c")
    repository.commit("Linux 6.1-rc1", tag="v6.1-rc1")
    repository.commit("Linux 6.1", tag="v6.1")
    subject, _, body = TRACE.partition("\n")
    message = f'{subject}\n{body}\nFixes: {culprit[:12]} ("demo: add the pump")\n'
    fix = repository.commit(message, "drivers/demo/pump.c")
    repository.commit("demo: tidy up\n\nNo trace.", "drivers/demo/pump.c")
    repository.commit("Linux 6.2-rc1", tag="v6.2-rc1")
    repository.commit("Linux 6.2", tag="v6.2")
    repository.git("checkout", "--quiet", "-b", "linux-6.1.y", "v6.1")
    repository.commit("Linux 6.1.1", tag="v6.1.1")
    backport = repository.commit(
        f"{subject}\n\ncommit {fix} upstream.\n{body}", "drivers/demo/pump.c"
    )
    repository.commit("Linux 6.1.2", tag="v6.1.2")
    repository.git("checkout", "--quiet", "master")
    return repository.path, fix, backport


def test_a_fix_with_its_releases(kernel):
    """The release of mainline and of the stable branch, where the bug came, its trace and file."""
    path, fix, backport = kernel
    found = gather([path], reader_of(shipped())).bugs
    assert list(found) == [fix[:12]]
    bug = found[fix[:12]]
    assert bug.affected == (("6.1", "6.1.2"),)
    assert bug.fixes == (Fix("6.1.2", backport[:12]), Fix("6.2", fix[:12]))
    assert bug.files == ("drivers/demo/pump.c",)
    assert bug.traces[0].function == "demo_read_valve"


def test_a_fix_that_is_a_record_adds_its_trace_to_it(kernel, tmp_path):
    """One bug, not two; the order of the sources is no matter."""
    path, fix, _ = kernel
    cut = record(
        text="demo: pump: hold the valve\n---truncated---", commits=["1" * 40, "2" * 40, fix]
    )
    (tmp_path / "record.json").write_bytes(as_bytes(cut))
    found = gather([path, tmp_path / "record.json"], reader_of(shipped())).bugs
    assert list(found) == ["CVE-2024-00001"]
    assert found["CVE-2024-00001"].traces[0].function == "demo_read_valve"


def test_a_repository_of_something_else(tmp_path):
    """Without a release of the kernel it is a folder like any other."""
    repository = Repository(tmp_path / "other")
    repository.commit("hello", tag="v1")
    with pytest.raises(SourceError, match="neither CVE records"):
        gather([repository.path], reader_of(shipped()))


def test_a_damaged_repository(kernel):
    """Git's own complaint, in one line."""
    path, _, _ = kernel
    shutil.rmtree(path / ".git" / "objects")
    with pytest.raises(SourceError, match="git ") as caught:
        gather([path], reader_of(shipped()))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("commit " + "a" * 40 + " upstream.\n\nText", "a" * 40),
        ("[ Upstream commit " + "b" * 40 + " ]\n\nText", "b" * 40),
        ("\ncommit " + "c" * 40 + " upstream\n", "c" * 40),
        ("Text\n\n\n\ncommit " + "d" * 40 + " upstream.\n", None),
        ("", None),
    ],
)
def test_a_backport_names_its_original(body, expected):
    """In one of its first lines, in both spellings."""
    assert upstream(body) == expected


def test_words_of_messages():
    """Releases by their subject alone, culprits by `Fixes:`."""
    assert release_of("Linux 6.6.59") == KernelRelease(6, 6, 59)
    assert release_of("Linux 6.7-rc3") == KernelRelease(6, 7, 0, 3)
    assert release_of("Linux is fine") is None
    assert introduced_by('x\nFixes: 0123456789ab ("y")\nFixes: 0123456789ab ("y")') == (
        "0123456789ab",
    )
