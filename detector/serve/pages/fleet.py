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
    what = query.asked(request, now_us(request), _FIELDS)
    view: dict[str, Any] = {
        "by": "kernel",
        "fields": query.form(what, ("since", "until"), {}),
        "few": f"fewer than {FEW_CRASHES} crashes or {FEW_HOST_WEEKS:g} host-weeks",
        "rows": (),
    }
    try:
        asked = what.checked()
        view["by"] = by = _by(what)
        found = history(request).crash_rates(
            by, asked.since_us, asked.until_us, now_us=now_us(request)
        )
    except FilterError as error:
        view |= {"wrong_field": error.field}
        return PageContent("fleet.html", "Fleet", PLACE, view, {}, status=422, notice=str(error))
    view |= {
        "found": found,
        "rows": [{"row": row, "href": _faults(row, found)} for row in found.rows[:SHOWN]],
        "more": max(0, len(found.rows) - SHOWN),
    }
    return PageContent("fleet.html", "Fleet", PLACE, view, found, found.rows)


def _by(what: PageQuery) -> By:
    """What crashes are counted by; raises `FilterError` for what they are not counted by."""
    given = what.params.get("by", ["kernel"])
    if given in (["hardware"], ["kernel"]):
        return "hardware" if given == ["hardware"] else "kernel"
    raise FilterError("by", f"{', '.join(given)[:100]!r} is neither kernel nor hardware")


def _faults(row: CrashRate, found: CrashRates) -> str | None:
    """The crashes behind a rate: faults are found by kernel, not by hardware."""
    if found.by != "kernel":
        return None
    asked = {
        "kernel": [row.name],
        "severity": ["critical"],
        "since": [query.spelled(found.since_us)],
        "until": [query.spelled(found.until_us)],
    }
    return PageQuery("/faults", asked, Filter(), None).link()
