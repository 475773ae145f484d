"""Hosts: the list, one with its boots and incidents, and crash rates of the fleet.

In: a pattern, or a host's name. Out: pages.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from detector.serve.deps import catalogue, history
from detector.serve.pages import query
from detector.serve.pages.query import PageQuery
from detector.serve.pages.rendering import PageContent, missing, now_us
from detector.store.query.filters import Filter, FilterError
from detector.store.query.fleet import FEW_CRASHES, FEW_HOST_WEEKS, By, CrashRate, CrashRates
from detector.store.query.results import BootRow

PLACE = "/hosts"
LIMIT = 90
FAULTS = 20


def hosts(request: Request) -> PageContent:
    """Hosts that a filter asks for."""
    what = query.page_query(request, now_us(request))
    view: dict[str, Any] = {
        "fields": query.form(what, ("host",)),
        "asked": bool(what.params),
        "rows": (),
    }
    try:
        page = history(request).hosts(what.checked(), after=what.after, limit=LIMIT)
    except FilterError as error:
        return PageContent(
            "hosts.html",
            "Hosts",
            PLACE,
            view | {"wrong_field": error.field},
            {},
            status=422,
            notice=str(error),
        )
    data = {"hosts": page.rows, "next": page.next}
    return PageContent(
        "hosts.html",
        "Hosts",
        PLACE,
        view | {"rows": page.rows, **what.neighbours(page.next)},
        data,
        page.rows,
    )


def host(request: Request) -> PageContent:
    """One host."""
    name = request.path_params["name"]
    reading = history(request)
    detail = reading.host(name)
    if detail is None:
        return missing(
            f"host {name[:100]}",
            PLACE,
            "Nothing that oopswatch knows was ever said by a host of this name.",
        )
    view = {
        "row": detail.row,
        "boots": [{"row": boot, "name": boot_name(boot)} for boot in detail.boots],
        "incidents": detail.incidents,
        "faults": reading.faults(
            Filter(host=(name,)), catalogue(request).opening, limit=FAULTS
        ).rows,
        "noise": detail.noise,
    }
    return PageContent("host.html", name, PLACE, view, detail, detail.incidents)


def boot_name(boot: BootRow) -> str:
    """Returns by what a boot is told from others: journald's id, else when it began by the
    wall clock, else its number.
    """
    if boot.boot_id:
        return boot.boot_id
    return "wall clock" if boot.epoch_us is not None else f"counted in its stream, row {boot.id}"


FLEET_PLACE = "/fleet"
SHOWN = 100
_FIELDS = ("by", "since", "until")


def fleet(request: Request) -> PageContent:
    """Crashes per 1,000 hosts and week."""
    what = query.page_query(request, now_us(request), _FIELDS)
    view: dict[str, Any] = {
        "by": "kernel",
        "fields": query.form(what, _FIELDS, {"by": ("kernel", "hardware")}, always=("by",)),
        "asked": bool(what.params),
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
        return PageContent(
            "fleet.html", "Fleet", FLEET_PLACE, view, {}, status=422, notice=str(error)
        )
    view |= {
        "found": rates,
        "rows": [{"row": row, "href": _faults(row, rates)} for row in rates.rows[:SHOWN]],
        "more": max(0, len(rates.rows) - SHOWN),
    }
    return PageContent("fleet.html", "Fleet", FLEET_PLACE, view, rates, rates.rows)


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
