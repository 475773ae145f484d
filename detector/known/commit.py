"""Reads the commits of a kernel repository into facts: what a fix's message says of its
bug.

In: commits of mainline and of stable branches, and the release that first holds each. Out:
`Published` facts, one for each fix of mainline whose message quotes a report. A stable branch's
commit names mainline's in its first line (`commit HASH upstream.`, `[ Upstream commit HASH ]`); a
fix names the commit that brought the bug after `Fixes:` (Documentation/process).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from detector.known.bug import Fix
from detector.known.cve import Published, between, subject_line
from detector.known.releases import merged, spelled
from detector.lazy_regex import lazy_regex
from detector.release import KernelRelease

HINTS = (
    "Call Trace|Call trace|BUG: |WARNING: |general protection|Unable to handle|unable to handle|"
    "INFO: task|unreferenced object"
)
"""A message with one of these may quote a report: an extended regular expression for `git log`."""

_SHORT = 12
_UPSTREAM = lazy_regex(
    r"\s*(?:commit ([0-9a-f]{40}) upstream|\[ ?Upstream commit ([0-9a-f]{40}) ?\])", re.IGNORECASE
)
_FIXES = lazy_regex(r"^Fixes:\s*([0-9a-f]{8,40})\b", re.MULTILINE)
_RELEASE_SUBJECT = lazy_regex(r"Linux (\d{1,3}\.\d{1,3}(?:\.\d{1,3})?(?:-rc\d{1,2})?)")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: its hash, its subject, the message below it, the files that it changes."""

    hash: str
    subject: str
    body: str = ""
    files: tuple[str, ...] = ()


@dataclass(slots=True)
class Stable:
    """Fixes by mainline commit: the release of each stable series that has it, and the commit
    there.
    """

    fixes: dict[str, list[Fix]] = field(default_factory=dict)

    def branch(self, commits: Iterable[Commit]) -> None:
        """Takes a stable branch, oldest commit first: a fix is in the next release after it."""
        waiting: list[tuple[str, str]] = []
        for commit in commits:
            if (release := release_of(commit.subject)) is not None:
                if release.patch:
                    for main, own in waiting:
                        self.fixes.setdefault(main, []).append(Fix(spelled(release), own[:_SHORT]))
                waiting = []
            elif (original := upstream(commit.body)) is not None:
                waiting.append((original, commit.hash))


def release_of(subject: str) -> KernelRelease | None:
    """The release that a commit makes (`Linux 6.6.59`); None for any other commit."""
    matched = _RELEASE_SUBJECT.fullmatch(subject.strip())
    return KernelRelease.parse(matched[1]) if matched else None


def upstream(body: str) -> str | None:
    """The mainline commit that a stable commit is made from: one of its first lines names it."""
    for line in body.lstrip().split("\n", 3)[:3]:
        if (matched := _UPSTREAM.match(line)) is not None:
            return matched[1] or matched[2]
    return None


def introduced_by(body: str) -> tuple[str, ...]:
    """The commits that the fix says brought the bug, as abbreviated there."""
    return tuple(dict.fromkeys(_FIXES.findall(body)))


def facts(
    commits: Iterable[Commit], first: Mapping[str, KernelRelease], stable: Stable
) -> Iterator[Published]:
    """The facts of mainline's fixes.

    `first` is the mainline release that first holds a commit, by the first twelve characters of
    its hash.
    """
    for commit in commits:
        release = first.get(commit.hash[:_SHORT])
        fixes = [*stable.fixes.get(commit.hash, ())]
        if release is not None:
            fixes.append(Fix(spelled(release), commit.hash[:_SHORT]))
        yield Published(
            id=commit.hash[:_SHORT],
            subject=subject_line(commit.subject),
            main=commit.hash[:_SHORT],
            affected=_affected(introduced_by(commit.body), first, fixes),
            fixes=tuple(sorted(fixes, key=_in_order)),
            files=tuple(sorted(commit.files)),
            text=commit.body,
        )


def _affected(
    culprits: Sequence[str], first: Mapping[str, KernelRelease], fixes: Sequence[Fix]
) -> tuple[tuple[str, str], ...]:
    """Returns from the first release with any of the culprits to each series' fix; nothing
    where they are not known.
    """
    came = [release for name in culprits if (release := _first(name, first)) is not None]
    if not came or len(came) < len(culprits):
        return ()
    sound = [(KernelRelease(0, 0), min(came))]
    for fix in fixes:
        release = KernelRelease.parse(fix.release)
        assert release is not None
        end = KernelRelease(release.major, release.minor + 1)
        sound.append((release, end if release.patch else KernelRelease(999, 0)))
    return tuple(merged(between(sound)))


def _first(name: str, first: Mapping[str, KernelRelease]) -> KernelRelease | None:
    """The release of a commit by its abbreviated hash, which may be shorter than ours."""
    if len(name) >= _SHORT:
        return first.get(name[:_SHORT])
    return next((release for known, release in first.items() if known.startswith(name)), None)


def _in_order(fix: Fix) -> KernelRelease:
    release = KernelRelease.parse(fix.release)
    assert release is not None
    return release
