"""Problems: the list, and one with its incidents over time, its hosts and kernels, and what is
known of the bug.

In: the filter of an address, or a fingerprint. Out: pages. Resolving and reopening are forms that
`acting` answers.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from detector.clock import DAY_US
from detector.serve.deps import history
from detector.serve.knowledge import catalogue
from detector.serve.pages import histograms, knowing
from detector.serve.pages import query as asking
from detector.serve.pages.query import PageQuery
from detector.serve.pages.rendering import PageContent, missing, now_us
from detector.store.query import filters
from detector.store.query.filters import Filter, FilterError
from detector.store.query.results import Facet, ProblemDetail, ProblemShare

PLACE = "/problems"
LIMIT = 50
SHOWN_INCIDENTS = 15
_FORM = ("host", "since", "until", "severity", "state", "function", "module", "kernel")
_CHOICES = {"severity": filters.SEVERITIES, "state": ("open", "resolved")}


def problems(request: Request) -> PageContent:
    """Problems that a filter asks for, the latest first."""
    what = asking.asked(request, now_us(request))
    view: dict[str, Any] = {
        "fields": asking.form(what, _FORM, _CHOICES),
        "asked": bool(what.params),
    }
    try:
        found = history(request).problems(what.checked(), after=what.after, limit=LIMIT)
    except FilterError as error:
        view |= {"rows": (), "next": None, "wrong_field": error.field}
        return PageContent(
            "problems.html", "Problems", PLACE, view, {}, status=422, notice=str(error)
        )
    data = {"query": filters.as_query(what.filter), "problems": found.rows, "next": found.next}
    return PageContent(
        "problems.html",
        "Problems",
        PLACE,
        view | {"rows": found.rows, "next": what.next(found.next)},
        data,
        found.rows,
    )


def problem(request: Request) -> PageContent:
    """One problem."""
    fingerprint = request.path_params["fingerprint"]
    reading = history(request)
    detail = reading.problem(fingerprint)
    if detail is None:
        return missing(
            f"problem {fingerprint[:100]}",
            PLACE,
            "A problem's fingerprint stands on the page of each of its incidents.",
        )
    only = Filter(problem=(fingerprint,))
    what = PageQuery("/incidents", {"problem": [fingerprint]}, only, None)
    view = {
        "row": detail.row,
        "incidents": detail.incidents[:SHOWN_INCIDENTS],
        "all_incidents": what.link(),
        "issue": knowing.issue_of(catalogue(request), detail.row.known_issue),
        "groups": asking.facets(
            what, {"host": _shares(detail.hosts), "kernel": _shares(detail.kernels)}
        ),
        "chart": _days(detail, what),
    }
    return PageContent(
        "problem.html", detail.row.title or fingerprint, PLACE, view, detail, detail.incidents
    )


def _days(detail: ProblemDetail, what: PageQuery) -> dict[str, Any] | None:
    if not detail.days:
        return None
    days = histograms.spread(detail.days, detail.days[0].start_us, detail.days[-1].end_us, DAY_US)
    return histograms.histogram(
        days,
        "incident",
        lambda start, end: what.link(since=asking.spelled(start), until=asking.spelled(end)),
    )


def _shares(shares: list[ProblemShare]) -> list[Facet]:
    return [Facet(one.name, one.incidents) for one in shares]
