"""The list of problems, and the page of one problem.

The page has the problem's incidents over time, its hosts and kernels, and what is known of the bug.

In: the filter of an address, or a fingerprint. Out: pages. Resolving and reopening are forms that
`acting` answers.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from detector.app import standing
from detector.app.standing import is_dated, since_words, trend_words
from detector.catalogue import Catalogue
from detector.clock import DAY_US
from detector.known.releases import Status
from detector.known.words import EXPOSURE, checks
from detector.render.units import Bucket
from detector.serve.deps import bugs, catalogue, history
from detector.serve.pages import formatting, histograms, silences
from detector.serve.pages import query as asking
from detector.serve.pages.query import PageQuery
from detector.serve.pages.rendering import PageContent, missing, now_us
from detector.store import History
from detector.store.query import filters
from detector.store.query.advice import ADVICE
from detector.store.query.filters import Filter, FilterError
from detector.store.query.known_bugs import Exposure
from detector.store.query.results import Facet, ProblemDetail, ProblemRow, ProblemShare

PLACE = "/problems"
LIMIT = 50
SHOWN_INCIDENTS = 8
SHOWN_FAULTS = 6
SHOWN_HOSTS = 8
_FORM = (
    *("host", "since", "until", "severity", "state", "function", "module", "kernel"),
    *("known", "fixable"),
)
_CHOICES = {
    "severity": filters.SEVERITIES,
    "state": ("open", "resolved"),
    "fixable": filters.FIXABLE,
}


def problems(request: Request) -> PageContent:
    """Problems that a filter asks for, the latest first."""
    what = asking.page_query(request, now_us(request))
    view: dict[str, Any] = {
        "fields": asking.form(what, _FORM, _CHOICES),
        "asked": bool(what.params),
        "entered": history(request).percent_entered(),
    }
    try:
        page = history(request).problems(what.checked(), after=what.after, limit=LIMIT)
    except FilterError as error:
        view |= {"rows": (), "wrong_field": error.field}
        return PageContent(
            "problems.html", "Problems", PLACE, view, {}, status=422, notice=str(error)
        )
    data = {"query": filters.as_query(what.filter), "problems": page.rows, "next": page.next}
    return PageContent(
        "problems.html",
        "Problems",
        PLACE,
        view | {"rows": page.rows, **what.neighbours(page.next)},
        data,
        page.rows,
        notice=formatting.naming_words(what.filter, history(request).naming()),
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
        **_known(catalogue(request), detail),
        "dated": is_dated(detail),
        "trend": trend_words(detail, now_us(request)),
        "since": since_words(reading.releases_with(fingerprint)),
        "faults": reading.faults(only, catalogue(request).opening, limit=SHOWN_FAULTS).rows,
        "all_faults": PageQuery("/faults", {"problem": [fingerprint]}, only, None).link(),
        "groups": asking.facets(
            PageQuery("/faults", {"problem": [fingerprint]}, only, None),
            {"host": _shares(detail.hosts), "kernel": _shares(detail.kernels)},
        ),
        **silences.of_problem(reading, fingerprint, now_us(request)),
        "hardware": detail.hardware,
        "advice": detail.advice,
        "kinds": ADVICE,
        "said": dict.fromkeys(ADVICE) | {item.about: item.text for item in detail.advice},
        "chart": _days(
            reading.problem_days(fingerprint),
            PageQuery("/faults", {"problem": [fingerprint]}, only, None),
            now_us(request),
        ),
        "exposure": _exposure(request, reading, detail.row),
    }
    return PageContent(
        "problem.html", detail.row.title or fingerprint, PLACE, view, detail, detail.incidents
    )


def _known(known: Catalogue, detail: ProblemDetail) -> dict[str, Any]:
    """The known issue of a problem, how many of it are attributed to it, how its kernels stand."""
    issue = formatting.issue_of(known, detail.row.known_issue)
    if issue is None:
        return {"issue": None}
    return {
        "issue": issue,
        "attributed": standing.attributed_words(detail, issue.id),
        "standings": standing.kernels_by_status(detail.kernels, issue),
    }


def _exposure(request: Request, reading: History, row: ProblemRow) -> dict[str, Any] | None:
    """The hosts by how their kernels stand to the bug that the problem likely is."""
    likely = [item for item in row.known_bugs if item.confidence == "likely"]
    bug = bugs(request).index().bugs.get(likely[0].id) if len(likely) == 1 else None
    if bug is None:
        return None
    page = reading.exposure(bug)
    rows = [
        {
            "meaning": meaning,
            "count": page.count(status),
            "hosts": listed(page, status),
            "checks": list(checks(bug, page.kernels[status]))
            if status.startswith("vendor")
            else [],
        }
        for status, meaning in EXPOSURE.items()
        if page.count(status)
    ]
    return {"bug": bug.id, "rows": rows}


def listed(page: Exposure, status: Status) -> str:
    """The first hosts that stand so, where it is they who need something."""
    if status in {"fixed", "before"}:
        return ""
    names = [name for hosts in page.kernels[status].values() for name in hosts]
    more = f" and {len(names) - SHOWN_HOSTS:,} more" if len(names) > SHOWN_HOSTS else ""
    return ", ".join(names[:SHOWN_HOSTS]) + more


def _days(met: list[Bucket], what: PageQuery, now_us: int) -> dict[str, Any] | None:
    """The days from the first report until now."""
    if not met:
        return None
    days = histograms.spread(met, met[0].start_us, max(now_us, met[-1].end_us), DAY_US)
    return histograms.histogram(
        days,
        "report",
        now_us=now_us,
        link=lambda start, end: what.link(since=asking.spelled(start), until=asking.spelled(end)),
    )


def _shares(shares: list[ProblemShare]) -> list[Facet]:
    return [Facet(share.name, max(share.reports, share.incidents)) for share in shares]
