"""The fleet: how often it crashes, by kernel release and by hardware model.

In: a time. Out: a page.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from detector.serve.deps import history
from detector.serve.pages import query
from detector.serve.pages.query import PageQuery
from detector.serve.pages.rendering import PageContent, now_us
from detector.store.query.filters import Filter, FilterError
from detector.store.query.fleet import FEW_CRASHES, FEW_HOST_WEEKS, By, CrashRate, CrashRates

PLACE = "/fleet"
SHOWN = 100
_FIELDS = ("by", "since", "until")


def fleet(request: Request) -> PageContent:
    """Crashes per 1,000 hosts and week."""
    what = query.page_query(request, now_us(request), _FIELDS)
    view: dict[str, Any] = {
        "by": "kernel",
        "fields": query.form(what, ("since", "until"), {}),
        "few": f"fewer than {FEW_CRASHES} crashes or {FEW_HOST_WEEKS:g} host-weeks",
        "rows": (),
        "entered": history(request).percent_entered(),
    }
    try:
        parameters = what.checked()
        view["by"] = by = _by(what)
        rates = history(request).crash_rates(
            by, parameters.since_us, parameters.until_us, now_us=now_us(request)
        )
    except FilterError as error:
        view |= {"wrong_field": error.field}
        return PageContent("fleet.html", "Fleet", PLACE, view, {}, status=422, notice=str(error))
    view |= {
        "found": rates,
        "rows": [{"row": row, "href": _faults(row, rates)} for row in rates.rows[:SHOWN]],
        "more": max(0, len(rates.rows) - SHOWN),
    }
    return PageContent("fleet.html", "Fleet", PLACE, view, rates, rates.rows)


def _by(what: PageQuery) -> By:
    """Returns what crashes are counted by; raises `FilterError` for what they are not counted
    by.
    """
    given = what.params.get("by", ["kernel"])
    if given in (["hardware"], ["kernel"]):
        return "hardware" if given == ["hardware"] else "kernel"
    raise FilterError("by", f"{', '.join(given)[:100]!r} is neither kernel nor hardware")


def _faults(row: CrashRate, rates: CrashRates) -> str | None:
    """The crashes behind a rate: faults are found by kernel, not by hardware."""
    if rates.by != "kernel":
        return None
    parameters = {
        "kernel": [row.name],
        "severity": ["critical"],
        "since": [query.spelled(rates.since_us)],
        "until": [query.spelled(rates.until_us)],
    }
    return PageQuery("/faults", parameters, Filter(), None).link()
