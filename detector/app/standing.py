"""Standing of a problem: its known issue, the weeks before; problems alike.

In: a problem with its shares, a known issue, the time now. Out: sentences and rows, the same on
pages and on the command line. Whether a crash is the issue is decided when it is diagnosed, not
here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from detector.catalogue import Catalogue
from detector.catalogue.known_issues import KnownIssue, ReleaseStatus
from detector.clock import DAY_US
from detector.diagnose import Diagnoser, Story, explanation_item
from detector.known.lookup import KnownBugs
from detector.release import KernelRelease, status
from detector.render.objects import Item, as_object
from detector.render.units import several
from detector.store import History
from detector.store.ingest.traces import names
from detector.store.query.alike import AlikeProblem
from detector.store.query.faults import FaultDetail
from detector.store.query.fleet import ReleasesWith
from detector.store.query.results import ProblemDetail, ProblemShare

WEEK_DAYS = 7
_WORDS: dict[ReleaseStatus, str] = {
    "affected": "releases with the bug",
    "vendor": "vendors' builds on a release with the bug: ask the vendor",
    "fixed": "releases that have the fix: the issue does not explain these",
    "vendor-fixed": "vendors' builds on a release that has the fix",
    "before": "releases older than the bug: the issue does not explain these",
    "unknown": "of unknown standing",
}


@dataclass(frozen=True, slots=True)
class KernelsAlike:
    """The kernels of a problem that stand alike to an issue, and the reports on them."""

    status: ReleaseStatus
    words: str
    kernels: tuple[str, ...]
    reports: int


def kernels_by_status(kernels: Iterable[ProblemShare], issue: KnownIssue) -> list[KernelsAlike]:
    """The kernels of a problem, apart by how they stand to an issue; those with the bug first."""
    releases: defaultdict[ReleaseStatus, list[ProblemShare]] = defaultdict(list)
    for kernel in kernels:
        releases[status(KernelRelease.parse(kernel.name), issue)].append(kernel)
    return [
        KernelsAlike(
            which,
            words,
            tuple(item.name for item in releases[which]),
            sum(max(item.reports, item.incidents) for item in releases[which]),
        )
        for which, words in _WORDS.items()
        if which in releases
    ]


def attributed_words(detail: ProblemDetail, issue: str) -> str:
    """Returns how many of a problem's occurrences are attributed to an issue, and how surely."""
    all_of = max(detail.row.reports, detail.row.incidents)
    named = [item for item in detail.attributed if item.known_issue == issue]
    if not named:
        return (
            f"None of its newest incidents is attributed to it, of {several(all_of, 'occurrence')}."
        )
    counts = "; ".join(
        f"{item.incidents:,} of {several(all_of, 'occurrence')}, {item.confidence}"
        for item in named
    )
    return f"Attributed to it: {counts}."


def is_dated(detail: ProblemDetail) -> bool:
    """Returns whether a wall clock stands by any of its reports; else its times are those of
    finding it.
    """
    return bool(detail.days)


def trend_words(detail: ProblemDetail, now_us: int) -> str:
    """The reports of the last seven days beside those of the seven before."""
    if not is_dated(detail):
        return "on which days is unknown: no wall clock stands by them"
    week = WEEK_DAYS * DAY_US
    today = now_us - now_us % DAY_US + DAY_US
    recent, before = (
        sum(day.count for day in detail.days if start <= day.start_us < start + week)
        for start in (today - week, today - 2 * week)
    )
    return f"{recent:,} in the last {WEEK_DAYS} days, {before:,} in the {WEEK_DAYS} before"


def since_words(releases: ReleasesWith | None) -> str:
    """Returns since which kernel release a problem is seen: "" where its kernels are no
    releases.
    """
    if releases is None:
        return ""
    seen = f"on {releases.oldest}" + (
        "" if releases.oldest == releases.newest else f" to {releases.newest}"
    )
    without = f"; not on {releases.before}, the next older release that hosts run or ran"
    return f"seen {seen}{without if releases.before else ''}"


SHOWN = 5


def alike_of(story: Story, catalogue: Catalogue, history: History) -> list[AlikeProblem]:
    """The problems that resemble the report of a story, the most alike first."""
    if story.block is None:
        return []
    reading = Diagnoser(catalogue).read(story.block)
    return history.alike(reading.fingerprint, names(reading.report.frames), SHOWN)


def alike_words(alike_problem: AlikeProblem) -> str:
    """Returns how much a problem resembles it."""
    if alike_problem.same:
        return "the same crash"
    return f"{alike_problem.common} of {alike_problem.of} functions of the trace in the same order"


def fault_item(detail: FaultDetail, catalogue: Catalogue, known_bugs: KnownBugs) -> Item:
    """Returns a fault's row, its line, its report verbatim, what it means, which known bugs it
    looks like.
    """
    story = Story(detail.block, (detail.match,))
    return {
        "type": "fault",
        **as_object(detail.row),
        "text": detail.match.text,
        "source": detail.match.source,
        "line_number": detail.match.number,
        "report_lines": list(detail.block.lines) if detail.block else [],
        "explanation": explanation_item(story, catalogue, known_bugs),
    }
