"""Commits of a kernel checkout, read with git: mainline's fixes, stable branches, releases.

In: a repository, with or without a work tree. Out: facts of fixes whose message may quote a report.
Only what is there is read, nothing is fetched. Branches: mainline is the newest tag `vX.Y` or
`vX.Y-rcN`; stable ones are `linux-X.Y.y`, of whatever remote.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from detector.known.commit import HINTS, Commit, Stable, facts
from detector.known.cve import Published
from detector.lazy_regex import lazy_regex
from detector.release import KernelRelease
from detector.sources.errors import SourceError
from detector.sources.known.archive import Progress

_TAG = lazy_regex(r"v(\d{1,3}\.\d{1,3}(?:-rc\d{1,2})?|2\.6\.\d{1,2}(?:-rc\d{1,2})?)")
_STABLE = lazy_regex(r"(?:.*/)?linux-(\d{1,3}\.\d{1,3})\.y")
_FORMAT = "--format=%H%x00%s%x00%b%x00%x01"
_SAFE = (
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "log.showSignature=false",
)


def is_kernel(path: Path) -> bool:
    """Returns whether there is a git repository at `path`, bare or with a work tree, with a
    release of the kernel in it.
    """
    bare = (path / "HEAD").is_file() and (path / "objects").is_dir()
    if not bare and not (path / ".git").exists():
        return False
    return any(_TAG.fullmatch(name) for name in _lines(path, "tag", "--list", "v*"))


def commits(path: Path, progress: Progress | None = None) -> Iterator[Published]:
    """The facts of every fix of mainline whose message may quote a report."""
    tags = _releases(path)
    branches = [
        name
        for name in _lines(path, "for-each-ref", "--format=%(refname:short)")
        if _STABLE.fullmatch(name)
    ]
    steps = len(tags) + len(branches) + 1
    first: dict[str, KernelRelease] = {}
    for done, (tag, release, before) in enumerate(tags):
        span = tag if before is None else f"{before}..{tag}"
        for line in _lines(path, "rev-list", span):
            first.setdefault(line[:12], release)
        if progress is not None:
            progress(done + 1, steps)
    stable = Stable()
    for done, branch in enumerate(branches):
        stable.branch(_branch(path, branch, tags))
        if progress is not None:
            progress(len(tags) + done + 1, steps)
    newest = tags[-1][0]
    hinted = list(_log(path, "--no-merges", "-E", f"--grep={HINTS}", newest))
    yield from facts(_with_files(path, hinted), first, stable)
    if progress is not None:
        progress(steps, steps)


def _releases(path: Path) -> list[tuple[str, KernelRelease, str | None]]:
    """Mainline's tags in order, each with the release it counts for and the tag before it:
    what a candidate brings is in the release that it leads to.
    """
    commits_read = []
    for name in _lines(path, "tag", "--list", "v*"):
        release = KernelRelease.parse(name[1:]) if _TAG.fullmatch(name) else None
        if release is not None:
            commits_read.append((release, name))
    commits_read.sort()
    names = [None, *(name for _, name in commits_read)]
    return [
        (name, KernelRelease(release.major, release.minor, release.patch), before)
        for (release, name), before in zip(commits_read, names, strict=False)
    ]


def _branch(
    path: Path, branch: str, tags: Sequence[tuple[str, KernelRelease, str | None]]
) -> Iterator[Commit]:
    """A stable branch from its first release on, oldest commit first."""
    series = _STABLE.fullmatch(branch)
    assert series is not None
    start = f"v{series[1]}"
    span = f"{start}..{branch}" if any(tag == start for tag, _, _ in tags) else branch
    return _log(path, "--reverse", "--no-merges", "--first-parent", span)


def _with_files(path: Path, hinted: Sequence[Commit]) -> Iterator[Commit]:
    """The commits with the files that they change."""
    names = "\n".join(commit.hash for commit in hinted)
    output = _run(
        path, "log", "--no-walk=unsorted", "--stdin", "--name-only", "--format=%x01%H", input_=names
    )
    files: dict[str, tuple[str, ...]] = {}
    for block in output.split("\x01")[1:]:
        name, *changed = block.split()
        files[name] = tuple(changed)
    for commit in hinted:
        yield Commit(commit.hash, commit.subject, commit.body, files.get(commit.hash, ()))


def _log(path: Path, *arguments: str) -> Iterator[Commit]:
    for record in _run(path, "log", _FORMAT, *arguments).split("\x00\x01"):
        parts = record.lstrip("\n").split("\x00")
        if len(parts) == 3:
            yield Commit(parts[0], parts[1], parts[2])


def _lines(path: Path, *arguments: str) -> list[str]:
    return _run(path, *arguments).splitlines()


def _run(path: Path, *arguments: str, input_: str = "") -> str:
    """Returns what git prints; its complaint is the error.

    Nothing of the repository's own configuration that names a program is obeyed.
    """
    command = ["git", *_SAFE, "-C", str(path), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            command, input=input_.encode(), capture_output=True, check=False
        )
    except FileNotFoundError:
        raise SourceError("git is not installed: it is needed to read a kernel checkout") from None
    if done.returncode:
        messages = done.stderr.decode(errors="replace").strip().splitlines()
        raise SourceError(f"{path}: git {arguments[0]}: {messages[-1] if messages else 'failed'}")
    return done.stdout.decode(errors="replace")
