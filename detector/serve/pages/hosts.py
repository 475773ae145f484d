"""Hosts: the list, and one with its boots, incidents and noise.

In: a pattern, or a host's name. Out: pages.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from detector.serve.deps import history
from detector.serve.knowledge import catalogue
from detector.serve.pages import query
from detector.serve.pages.rendering import PageContent, missing, now_us
from detector.store.query.filters import Filter, FilterError
from detector.store.query.results import BootRow

PLACE = "/hosts"
LIMIT = 90
FAULTS = 20


def hosts(request: Request) -> PageContent:
    """Hosts that a filter asks for."""
    what = query.page_query(request, now_us(request))
    view: dict[str, Any] = {
        "asked_host": (what.params.get("host") or [""])[0],
        "asked": bool(what.params),
        "rows": (),
        "next": None,
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
        view | {"rows": page.rows, "next": what.next(page.next)},
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
