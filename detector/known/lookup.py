"""Looks up the known bugs of a crash report: the one way in for explain, pages, alerts, API.

In: a report, the index, the list of generic functions. Out: the bugs that it looks
like. Hand-written issues come first: what one of them covers is not named again.
"""

from __future__ import annotations

from collections.abc import Container

from detector.known.index import Index
from detector.known.match import Named, named
from detector.known.trace import trace_of
from detector.model import CrashReport
from detector.release import KernelRelease


def look_up(
    report: CrashReport,
    index: Index,
    generic: Container[str],
    covered: Container[str] = (),
) -> tuple[Named, ...]:
    """The bugs that a report looks like, best first, without those that are `covered`.

    Most reports end here after one look: only a guilty function of the index can be named.
    """
    if report.function not in index.by_function:
        return ()
    kernel = KernelRelease.parse(report.kernel or "")
    found = named(trace_of(report, generic), kernel, report.arch, index)
    return tuple(one for one in found if one.bug.id not in covered)
