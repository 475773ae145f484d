"""Kernel faults: the list of all, and one with its report and what it means.

In: the filter of an address, or a number. Out: pages.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from detector.app.faults import fault_item
from detector.serve.deps import history
from detector.serve.knowledge import bugs, catalogue
from detector.serve.pages import knowing, query
from detector.serve.pages.rendering import PageContent, missing, now_us
from detector.store.query import filters
from detector.store.query.faults import FIELDS
from detector.store.query.filters import FilterError
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
        "next": None,
    }
    heads, reading = catalogue(request).opening, history(request)
    view["entered"] = reading.percent_entered()
    try:
        page = reading.faults(what.checked(), heads, after=what.after, limit=LIMIT)
    except FilterError as error:
        view |= {"wrong_field": error.field}
        return PageContent("faults.html", "Faults", PLACE, view, {}, status=422, notice=str(error))
    data = {"query": filters.as_query(what.filter), "faults": page.rows, "next": page.next}
    view |= {"rows": page.rows, "next": what.next(page.next)}
    notice = knowing.naming_words(what.filter, reading.naming())
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
