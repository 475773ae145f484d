"""Known bugs in words: what a crash looks like and why, and whether its kernel has the bug.

In: a `Named` bug and the release as the log prints it. Out: `Statement`s, none surer than the name.
A vendor's build is called neither fixed nor unfixed: the sentence names the command that tells.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from detector.known.bug import Bug, Fix
from detector.known.match import Named
from detector.known.releases import ReleaseStanding, Status
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

CAUTION = (
    "Told from a trace that the fix's author published: crashes with this trace and another cause "
    "exist."
)
EXPOSURE: dict[Status, str] = {
    "affected": "has the bug",
    "development": "a development build, which may have it",
    "vendor": "cannot be told: a vendor's build of a series with the bug",
    "vendor-fixed": "cannot be told: a vendor's build on a release with the fix",
    "vendor-before": "cannot be told: a vendor's build on a release older than the bug",
    "fixed": "has the fix",
    "before": "never had it",
    "unknown": "cannot be told: the release is not known",
}
"""How a host stands to a bug, the most urgent first."""
_RPM = lazy_regex(r"\.(?:el|fc|amzn|oe|ky|an|tl|uek)\d|\.(?:el|fc|amzn|oe|uek)", re.IGNORECASE)
_SUSE = lazy_regex(r"-(?:default|rt|azure|preempt)$")
_LONGEST_SUBJECT = 120

KernelT = TypeVar("KernelT")
"""A release as text, or what prints as one."""


def running(report: CrashReport) -> str | None:
    """The kernel that crashed, with its package where it says that."""
    return f"{report.kernel} ({report.package})" if report.package else report.kernel


def statements(
    bugs: Sequence[Named], kernel: str | None, issue: str | None = None
) -> list[Statement]:
    """Returns the sentences on the bugs that a crash looks like.
    They stand beside the hand-written issue that names it.
    """
    if not bugs:
        return []
    also = "also " if issue else ""
    statements_given = [
        Statement(likeness(bugs, also), bugs[0].confidence, tuple(map(_reason, bugs)))
    ]
    statements_given += [
        Statement(release(named.bug, named.standing, kernel), named.confidence) for named in bugs
    ]
    return [*statements_given, Statement(CAUTION, "possible")]


def likeness(bugs: Sequence[Named], also: str = "") -> str:
    """Words what the crash looks like, in one sentence."""
    if len(bugs) == 1:
        return f"It {also}looks like {title(bugs[0].bug)}."
    return f"It {also}looks like one of these, which cannot be told apart: " + "; ".join(
        title(named.bug) for named in bugs
    )


def title(bug: Bug) -> str:
    """The id and the subject of the fix."""
    subject = bug.subject[:_LONGEST_SUBJECT]
    return f"{bug.id} ({subject})" if subject else bug.id


def _reason(named: Named) -> str:
    same = "the same report in the same function" if named.same else "the same function"
    return f"{named.bug.id}: {same}, {named.common} of {named.of} calls in the same order"


def release(bug: Bug, standing: ReleaseStanding, kernel: str | None) -> str:
    """Words whether the kernel has the bug, and where the fix is."""
    fixed = _fixed(bug, standing.fix)
    running = kernel or "The release is not known, which"
    match standing.status:
        case "affected":
            return f"{running} has the bug{_came(bug)}; {fixed}."
        case "fixed":
            return f"{running} has the fix: {fixed}."
        case "before":
            return f"{running} never had the bug{_came(bug)}; {fixed}."
        case "development":
            return f"{running} is a development build: the bug{_came(bug)} may be in it; {fixed}."
        case "vendor" | "vendor-fixed" | "vendor-before":
            return f"{running} is a vendor's build {_base(bug, standing)}; {check(bug, running)}"
        case _:
            return f"Whether the running kernel has the bug{_came(bug)} cannot be told; {fixed}."


def _base(bug: Bug, standing: ReleaseStanding) -> str:
    fixed = _fixed(bug, standing.fix)
    return {
        "vendor": f"of a series with the bug; upstream it is {fixed}",
        "vendor-fixed": f"on a release that has the fix ({fixed})",
        "vendor-before": (
            f"on a release older than the bug, and vendors backport bugs too ({fixed})"
        ),
    }[standing.status]


def _came(bug: Bug) -> str:
    first = bug.affected[0][0] if bug.affected else "0.0"
    return f" (it came with {first})" if first != "0.0" else ""


def _fixed(bug: Bug, fix: Fix | None) -> str:
    """The fix of the kernel's own series, and mainline's beside it."""
    if fix is None:
        return "no release with a fix is known"
    by = f" by {fix.commit}" if fix.commit else ""
    if bug.main is None or fix.commit == bug.main:
        return f"fixed in {fix.release}{by}"
    mainline = next((known.release for known in bug.fixes if known.commit == bug.main), None)
    return f"fixed in {fix.release}{by} (mainline {bug.main}" + (
        f", {mainline})" if mainline else ")"
    )


def check(bug: Bug, kernel: str) -> str:
    """Words the command that shows whether a vendor's package has the fix.
    Every word of it that comes from a record is quoted for a shell.
    """
    words = " ".join(
        f"-e {shlex.quote(word)}" for word in (bug.id, bug.subject) if word and word.isprintable()
    )
    if _RPM.search(kernel) or _SUSE.search(kernel):
        return f"its changelog tells: rpm -q --changelog kernel | grep -F {words}"
    return (
        "its changelog tells: zgrep -hF "
        f"{words} /usr/share/doc/linux-image-{'$(uname -r)'}/changelog*.gz"
    )


def checks(bug: Bug, kernels: Iterable[KernelT]) -> dict[str, list[KernelT]]:
    """The commands that tell of vendors' kernels, each with those that it is for."""
    by_command: dict[str, list[KernelT]] = {}
    for kernel in kernels:
        by_command.setdefault(check(bug, str(kernel)), []).append(kernel)
    return by_command


def record_lines(bug: Bug) -> Iterator[str]:
    """A bug's record for people: fix by fix, then how it was seen."""
    yield title(bug)
    if bug.main:
        yield f"  mainline   {bug.main}"
    for since, until in bug.affected:
        end = "no release" if until.startswith("999") else until
        yield f"  affected   from {since if since != '0.0' else 'the first release'}, until {end}"
    for fix in bug.fixes:
        yield f"  fixed      {fix.release}" + (f" by {fix.commit}" if fix.commit else "")
    for path in bug.files[:8]:
        yield f"  file       {path}"
    if len(bug.files) > 8:
        yield f"             and {len(bug.files) - 8} more"
    for trace in bug.traces:
        yield f"  seen as    {trace.title or 'a trace without its first line'}"
        if trace.frames:
            yield f"             {' <- '.join(trace.frames[:7])}"
