"""The search for incidents: filter, facets, histogram, rows, and the link to the next page.

Facets narrow the filter down, and bars of the histogram lead to their times.

In: the filter of an address. Out: a page of incidents, newest first; also as JSON and CSV. A filter
that cannot be understood is said in the page, with the status 422.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from detector.serve.deps import history
from detector.serve.pages import formatting, histograms
from detector.serve.pages import query as asking
from detector.serve.pages.query import PageQuery
from detector.serve.pages.rendering import PageContent, now_us
from detector.store.query import filters
from detector.store.query.filters import FilterError

PLACE = "/incidents"
LIMIT = 20
FACETS = ("severity", "state", "rule", "known_issue", "function", "module", "kernel", "host")
_FORM = ("text", "host", "since", "until", "severity", "state", "function", "kernel")
_CHOICES: Mapping[str, tuple[str, ...]] = {"severity": filters.SEVERITIES, "state": filters.STATES}


def incidents(request: Request) -> PageContent:
    """Incidents that a filter asks for."""
    what = asking.page_query(request, now_us(request))
    reading = history(request)
    last_change = reading.last_change()
    try:
        now = now_us(request)
        seen = reading.survey(what.checked(), FACETS, values=5, rows=LIMIT, now_us=now)
        matched = (
            seen.first
            if what.after is None
            else reading.search(what.filter, after=what.after, limit=LIMIT)
        )
    except FilterError as error:
        return _wrong(what, error, last_change)
    buckets = seen.histogram
    data = {
        "query": filters.as_query(what.filter),
        "incidents": matched.rows,
        "facets": seen.facets,
        "histogram": buckets,
        "next": matched.next,
    }
    chart = histograms.histogram(
        buckets,
        "incident",
        lambda start, end: what.link(since=asking.spelled(start), until=asking.spelled(end)),
        now_us=now,
    )
    view = _form(what) | {
        "last_change": last_change,
        "rows": matched.rows,
        **what.neighbours(matched.next),
        "groups": asking.facets(what, seen.facets),
        "chart": chart,
    }
    notice = formatting.naming_words(what.filter, history(request).naming())
    return PageContent(
        "incidents.html", "Incidents", PLACE, view, data, matched.rows, notice=notice
    )


def _form(what: PageQuery) -> dict[str, Any]:
    return {"fields": asking.form(what, _FORM, _CHOICES), "chips": asking.chips(what)}


def _wrong(what: PageQuery, error: FilterError, last_change: int) -> PageContent:
    """The form as it was filled, with what is wrong in it, and no rows."""
    view = _form(what) | {
        "last_change": last_change,
        "rows": (),
        **what.neighbours(None),
        "groups": (),
        "chart": None,
        "wrong_field": error.field,
    }
    return PageContent(
        "incidents.html", "Incidents", PLACE, view, {}, status=422, notice=str(error)
    )
