"""Kernel releases: reads `uname -r`, and decides whether that kernel has a bug's fix.

In: a release string and a `KnownIssue`. Out: a `KernelRelease`, a `ReleaseStatus`. A vendor's build
is never called fixed by its number alone: its patches are its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from detector.lazy_regex import lazy_regex

if TYPE_CHECKING:
    from detector.catalogue.known_issues import KnownIssue, ReleaseStatus

_RELEASE = lazy_regex(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?:-rc(\d{1,2}))?(.*)", re.DOTALL)
# What scripts/setlocalversion and linux-next add to a tree that is upstream's otherwise, and
# distributions that build upstream's stable releases as they are.
_PLAIN_SUFFIX = lazy_regex(
    r"(?:\+|-dirty|-next-\d{8}|-\d{5}-g[0-9a-f]{7,40}|-g[0-9a-f]{7,40}|-syzkaller(?:-[0-9a-g-]+)?"
    r"|-talos|-arch\d{1,2}(?:-\d{1,3})?)*"
)
# What the kernels of Debian and Ubuntu print behind the number of their build: the package, which
# names the stable release that it is built on (Ubuntu's in banners alone: CONFIG_VERSION_SIGNATURE
# of its debian/rules.d).
_PACKAGE = lazy_regex(r"\bDebian \d[^\s()]*|\bUbuntu [^\s()]+ \d{1,3}\.\d{1,3}\.\d{1,3}\b")
_BUILT_ON = lazy_regex(r"(?:Debian |Ubuntu \S+ )(\d{1,3})\.(\d{1,3})\.(\d{1,3})\b")
# Releases that are held: those that known issues name, and those of the fleet.
_RELEASES = 1_024
_FINAL = 1 << 30  # a final release comes after all its candidates


@dataclass(frozen=True, slots=True, order=True)
class KernelRelease:
    """A kernel's release: (major, minor, patch, candidate) in order.
    `suffix` is what the builder added, `built_on` the patch level of the stable release that a
    package names, both outside the order.
    """

    major: int
    minor: int
    patch: int = 0
    candidate: int = _FINAL
    suffix: str = ""
    built_on: int | None = field(default=None, compare=False)

    @classmethod
    def of(cls, text: str | None, package: str | None = None) -> KernelRelease | None:
        """Read a release with the package that the kernel names beside it: Debian's 6.1.0-28-amd64
        of package 6.1.119-1 is built on 6.1.119.
        """
        parsed = cls.parse(text or "")
        named = _BUILT_ON.match(package or "")
        if parsed is None or named is None or (int(named[1]), int(named[2])) != parsed.series:
            return parsed
        return replace(parsed, built_on=int(named[3]))

    @classmethod
    @lru_cache(maxsize=_RELEASES)
    def parse(cls, text: str) -> KernelRelease | None:
        """Read "4.14.0-115.el7a.0.1.aarch64", "5.5-rc3", "6.1.36"; None where it is no release."""
        matched = _RELEASE.fullmatch(text.strip())
        if matched is None:
            return None
        major, minor, patch, candidate, suffix = matched.groups()
        return cls(
            int(major), int(minor), int(patch or 0), int(candidate) if candidate else _FINAL, suffix
        )

    @property
    def base(self) -> KernelRelease:
        """The upstream release that it is built on."""
        patch = self.patch if self.built_on is None else self.built_on
        return KernelRelease(self.major, self.minor, patch, self.candidate)

    @property
    def series(self) -> tuple[int, int]:
        """The stable series, such as (4, 19)."""
        return self.major, self.minor

    @property
    def vendor(self) -> bool:
        """Returns whether a builder's own patches may be in it.
        That is any suffix that the kernel's own build does not add.
        """
        return not _PLAIN_SUFFIX.fullmatch(self.suffix)

    def __str__(self) -> str:
        """The release as `uname -r` prints it."""
        patch = f".{self.patch}" if self.patch or self.candidate == _FINAL else ""
        candidate = "" if self.candidate == _FINAL else f"-rc{self.candidate}"
        return f"{self.major}.{self.minor}{patch}{candidate}{self.suffix}"


def package_of(banner: str) -> str | None:
    """The package that a boot banner names behind the number of its build ("Debian 6.1.119-1",
    "Ubuntu 5.15.0-112.122-generic 5.15.149"); the compiler's stands before it.
    """
    package = _PACKAGE.search(banner.partition(" #")[2])
    return package[0] if package else None


def within(kernel: KernelRelease, since: str, until: str | None) -> bool:
    """Returns whether the base of `kernel` lies in [since, until)."""
    start, end = KernelRelease.parse(since), KernelRelease.parse(until or "")
    return start is not None and start <= kernel.base and (end is None or kernel.base < end)


def status(kernel: KernelRelease | None, issue: KnownIssue) -> ReleaseStatus:
    """Returns whether `kernel` has the bug of `issue` or its fix, as far as releases show it.
    An issue without releases says nothing of any kernel, and of a vendor's kernel on an older base
    nobody knows what was ported back into it.
    """
    if kernel is None or (issue.since is None and issue.fixed is None):
        return "unknown"
    if issue.since and not within(kernel, issue.since, None):
        return "unknown" if kernel.vendor else "before"
    if _has_fix(kernel.base, issue):
        return "vendor-fixed" if kernel.vendor else "fixed"
    return "vendor" if kernel.vendor else "affected"


def _has_fix(base: KernelRelease, issue: KnownIssue) -> bool:
    fixed = KernelRelease.parse(issue.fixed or "")
    if fixed is not None and base >= fixed:
        return True
    releases = (KernelRelease.parse(stable.release) for stable in issue.stable)
    return any(
        base.series == release.series and base >= release
        for release in releases
        if release is not None
    )
