"""Kernel faults, each with its report, and kernel errors that no signature claims.

In: the filter of an address, or a number. Out: pages.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from detector.app.standing import fault_item
from detector.clock import DAY_US
from detector.kernel_errors.tally import FOLDED
from detector.serve.deps import bugs, catalogue, history, store_option
from detector.serve.pages import formatting, histograms, query
from detector.serve.pages.rendering import PageContent, missing, now_us
from detector.store.query import filters
from detector.store.query.faults import FIELDS
from detector.store.query.filters import FilterError
from detector.store.query.kernel_errors import FIELDS as ERROR_FIELDS
from detector.store.query.results import row_number

PLACE = "/faults"
LIMIT = 50
_FORM = ("host", "since", "until", "severity", "class", "signature", "function", "kernel", "known")


def faults(request: Request) -> PageContent:
    """Kernel faults that a filter asks for, the newest first."""
    what = query.page_query(request, now_us(request), FIELDS)
    view: dict[str, Any] = {
        "fields": query.form(what, _FORM, {"severity": filters.SEVERITIES}),
        "asked": bool(what.params),
        "rows": (),
    }
    heads, reading = catalogue(request).opening, history(request)
    view["entered"] = reading.percent_entered()
    try:
        page = reading.faults(what.checked(), heads, after=what.after, limit=LIMIT)
    except FilterError as error:
        view |= {"wrong_field": error.field}
        return PageContent("faults.html", "Faults", PLACE, view, {}, status=422, notice=str(error))
    data = {"query": filters.as_query(what.filter), "faults": page.rows, "next": page.next}
    view |= {"rows": page.rows, **what.neighbours(page.next)}
    notice = formatting.naming_words(what.filter, reading.naming())
    return PageContent("faults.html", "Faults", PLACE, view, data, page.rows, notice=notice)


def fault(request: Request) -> PageContent:
    """One fault."""
    text = request.path_params["identity"]
    number = row_number(text)
    detail = None if number is None else history(request).fault(number)
    if detail is None:
        return missing(f"fault {text[:100]}", PLACE, "A fault's number stands in its list.")
    item = fault_item(detail, catalogue(request), bugs(request))
    view = {"row": detail.row, "item": item, "explanation": item["explanation"]}
    return PageContent("fault.html", detail.row.title, PLACE, view, item)


KERNEL_ERRORS_PLACE = "/kernel-errors"
KERNEL_ERRORS_TITLE = "Kernel errors"
SHOWN_US = 92 * DAY_US


def kernel_errors(request: Request) -> PageContent:
    """Templates of kernel errors, those that are news first."""
    now = now_us(request)
    what = query.page_query(request, now, (*ERROR_FIELDS, "news"))
    view: dict[str, Any] = {
        "fields": query.form(what, (*ERROR_FIELDS, "news"), {"news": ("yes",)}),
        "asked": bool(what.params),
        "rows": (),
    }
    news = bool(what.params.get("news"))
    reading = history(request)
    try:
        criteria = what.checked()
        page = reading.kernel_errors(criteria, now_us=now, news=news, after=what.after, limit=LIMIT)
    except FilterError as error:
        view |= {"wrong_field": error.field}
        return PageContent(
            "kernel_errors.html",
            KERNEL_ERRORS_TITLE,
            KERNEL_ERRORS_PLACE,
            view,
            {},
            status=422,
            notice=str(error),
        )
    query_string = filters.as_query(what.filter)
    data = {"query": query_string, "news": news, "kernel_errors": page.rows, "next": page.next}
    folded = reading.counters().get(FOLDED, 0)
    view |= {"rows": page.rows, "folded": folded, **what.neighbours(page.next)}
    return PageContent(
        "kernel_errors.html", KERNEL_ERRORS_TITLE, KERNEL_ERRORS_PLACE, view, data, page.rows
    )


def kernel_error(request: Request) -> PageContent:
    """One template."""
    identity, now = request.path_params["identity"], now_us(request)
    detail = history(request).kernel_error(identity, now)
    if detail is None:
        return missing(
            f"kernel error {identity[:100]}", KERNEL_ERRORS_PLACE, "Ids stand in the list."
        )
    days = histograms.spread(detail.days, now - SHOWN_US, now, DAY_US)
    chart = histograms.histogram(days, "line", now_us=now)
    view = {"row": detail.row, "detail": detail, "chart": chart, "store": store_option(request)}
    return PageContent(
        "kernel_error.html",
        detail.row.template,
        KERNEL_ERRORS_PLACE,
        view,
        detail,
        detail.last_hosts,
    )
