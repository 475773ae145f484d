"""Kernel errors that no signature claims: their templates, and each with its hosts.

In: the filter of an address, or an id. Out: pages.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from detector.clock import DAY_US
from detector.kernel_errors.tally import FOLDED
from detector.serve.deps import history
from detector.serve.pages import histograms, query
from detector.serve.pages.rendering import PageContent, missing, now_us
from detector.store.query import filters
from detector.store.query.filters import FilterError
from detector.store.query.kernel_errors import FIELDS

PLACE = "/kernel-errors"
TITLE = "Kernel errors"
LIMIT = 50
SHOWN_US = 92 * DAY_US


def kernel_errors(request: Request) -> PageContent:
    """Templates of kernel errors, those that are news first."""
    now = now_us(request)
    what = query.page_query(request, now, (*FIELDS, "news"))
    view: dict[str, Any] = {
        "fields": query.form(what, (*FIELDS, "news"), {"news": ("yes",)}),
        "asked": bool(what.params),
        "rows": (),
        "next": None,
    }
    news = bool(what.params.get("news"))
    reading = history(request)
    try:
        criteria = what.checked()
        page = reading.kernel_errors(criteria, now_us=now, news=news, after=what.after, limit=LIMIT)
    except FilterError as error:
        view |= {"wrong_field": error.field}
        return PageContent(
            "kernel_errors.html", TITLE, PLACE, view, {}, status=422, notice=str(error)
        )
    query_string = filters.as_query(what.filter)
    data = {"query": query_string, "news": news, "kernel_errors": page.rows, "next": page.next}
    folded = reading.counters().get(FOLDED, 0)
    view |= {"rows": page.rows, "next": what.next(page.next), "folded": folded}
    return PageContent("kernel_errors.html", TITLE, PLACE, view, data, page.rows)


def kernel_error(request: Request) -> PageContent:
    """One template."""
    identity, now = request.path_params["identity"], now_us(request)
    detail = history(request).kernel_error(identity, now)
    if detail is None:
        return missing(f"kernel error {identity[:100]}", PLACE, "Ids stand in the list.")
    days = histograms.spread(detail.days, now - SHOWN_US, now, DAY_US)
    chart = histograms.histogram(days, "line", now_us=now)
    view = {"row": detail.row, "detail": detail, "chart": chart}
    return PageContent(
        "kernel_error.html", detail.row.template, PLACE, view, detail, detail.last_hosts
    )
