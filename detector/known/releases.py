"""Status of a kernel release for a bug whose affected and fixed releases are known.

In: a release as `uname -r` prints it and a `Bug`. Out: a `Standing`. A vendor's build never counts
as fixed or as older than the bug by its number: vendors backport fixes and bugs alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from detector.known.bug import Bug, Fix
from detector.lazy_regex import lazy_regex
from detector.release import KernelRelease

Status = Literal[
    "affected",
    "fixed",
    "before",
    "development",
    "vendor",
    "vendor-fixed",
    "vendor-before",
    "unknown",
]
"""`affected`: a plain release with the bug. `fixed`, `before`: a plain release that has the fix,
that never had the bug. `development`: a build between two releases of which only one has the bug.
`vendor`, `vendor-fixed`, `vendor-before`: a vendor's build whose base is so, which alone proves
nothing; that of the whole series where its name has no patch number. `unknown`: the release or the
bug's releases are not known."""

# A build from git names the last tag only: it may hold what the next release introduced.
_FROM_GIT = lazy_regex(r"\+|-dirty|-next-\d|-\d{5}-g[0-9a-f]{7}|-g[0-9a-f]{7}|-syzkaller")
_LAST_MINOR = {4: 20, 5: 19, 6: 19}  # the last series before the next major number


@dataclass(frozen=True, slots=True)
class ReleaseStanding:
    """Status of a release for a bug, and the fix that its own series has, else mainline's."""

    status: Status
    fix: Fix | None = None


def standing(kernel: KernelRelease | None, bug: Bug) -> ReleaseStanding:
    """Compares the kernel with the intervals of affected releases."""
    fix = nearest_fix(kernel, bug.fixes)
    if kernel is None or not (bug.affected or fix):
        return ReleaseStanding("unknown", fix)
    if kernel.vendor:
        return ReleaseStanding(_VENDOR[_vendor_state(kernel.base, bug)], fix)
    states = {_state(release, bug) for release in _window(kernel)}
    if len(states) > 1 and "affected" in states:
        return ReleaseStanding("development", fix)
    return ReleaseStanding(min(states), fix)


_VENDOR: dict[Status, Status] = {
    "affected": "vendor",
    "fixed": "vendor-fixed",
    "before": "vendor-before",
    "unknown": "unknown",
}


def nearest_fix(kernel: KernelRelease | None, fixes: Iterable[Fix]) -> Fix | None:
    """The fix in the kernel's own series; where that has none, the first one after it."""
    known = sorted(
        ((release, fix) for fix in fixes if (release := KernelRelease.parse(fix.release))),
        key=lambda pair: pair[0],
    )
    if not known:
        return None
    if kernel is not None:
        own = [fix for release, fix in known if release.series == kernel.series and release.patch]
        if own:
            return own[-1]
    mainline = [fix for release, fix in known if not release.patch]
    return mainline[0] if mainline else known[-1][1]


def _state(base: KernelRelease, bug: Bug) -> Status:
    if any(since <= base < until for since, until in intervals(bug.affected)):
        return "affected"
    fixed = (release for fix in bug.fixes if (release := KernelRelease.parse(fix.release)))
    if any(
        base >= release and (not release.patch or release.series == base.series)
        for release in fixed
    ):
        return "fixed"
    return "before" if bug.affected else "unknown"


def _vendor_state(base: KernelRelease, bug: Bug) -> Status:
    """The state of a vendor's base. A name without a patch number (5.15.0-112-generic) does not
    tell which stable release is built in: the whole series counts.
    """
    end = KernelRelease(base.major, base.minor + 1)
    if not base.patch and any(a < end and base < b for a, b in intervals(bug.affected)):
        return "affected"
    return _state(base, bug)


def intervals(
    affected: Iterable[tuple[str, str]],
) -> Iterable[tuple[KernelRelease, KernelRelease]]:
    """The intervals as releases; one that is not readable is left out."""
    for since, until in affected:
        start, end = KernelRelease.parse(since), KernelRelease.parse(until)
        if start is not None and end is not None:
            yield start, end


def _window(kernel: KernelRelease) -> tuple[KernelRelease, ...]:
    """The releases between which a kernel lies: itself alone, but for development builds.

    Candidates come after the last release before them and before their own; a build from git may
    hold whatever went in before the next tag.
    """
    base = kernel.base
    final = KernelRelease(base.major, base.minor, base.patch)
    from_git = bool(_FROM_GIT.search(kernel.suffix)) and not base.patch
    first = (_before(final),) if base.candidate != final.candidate else ()
    return (*first, final, _next(final)) if from_git else (*first, final)


def _next(release: KernelRelease) -> KernelRelease:
    if release.minor >= _LAST_MINOR.get(release.major, 1_000):
        return KernelRelease(release.major + 1, 0)
    return KernelRelease(release.major, release.minor + 1)


def _before(release: KernelRelease) -> KernelRelease:
    """The release before this one: of its series, else of mainline."""
    if release.patch:
        return KernelRelease(release.major, release.minor, release.patch - 1)
    if release.minor:
        return KernelRelease(release.major, release.minor - 1)
    return KernelRelease(release.major - 1, _LAST_MINOR.get(release.major - 1, 0))


def merged(ranges: Sequence[tuple[KernelRelease, KernelRelease]]) -> list[tuple[str, str]]:
    """Overlapping intervals put together, in order, as text."""
    spans: list[tuple[KernelRelease, KernelRelease]] = []
    for since, until in sorted(ranges):
        if since >= until:
            continue
        if spans and since <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], until))
        else:
            spans.append((since, until))
    return [(spelled(since), spelled(until)) for since, until in spans]


def spelled(release: KernelRelease) -> str:
    """A release as kernel.org writes it: 6.12, 6.6.59, 2.6.12."""
    patch = f".{release.patch}" if release.patch else ""
    return f"{release.major}.{release.minor}{patch}"
