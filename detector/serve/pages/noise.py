"""Noise: which program of user space crashes where and how often, by the hour.

In: the filter of an address. Out: a page; none of it is an incident.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from detector.clock import DAY_US, HOUR_US
from detector.serve.deps import history
from detector.serve.pages import histograms, query
from detector.serve.pages.query import PageQuery
from detector.serve.pages.rendering import PageContent, now_us
from detector.store.query.filters import FilterError
from detector.store.query.noise import EVERYTHING, NoiseColumn
from detector.store.query.results import Noise, NoiseRow

PLACE = "/noise"
SHOWN = 80
MOST = 10_000
PROGRAMS: tuple[NoiseColumn, ...] = ("process", "signature")
_NAMES = ("host", "process", "since", "until")


def noise(request: Request) -> PageContent:
    """Programs that crashed, the most frequent first."""
    now = now_us(request)
    what = query.page_query(request, now, _NAMES)
    view: dict[str, Any] = {
        "fields": query.form(what, _NAMES),
        "asked": bool(what.params),
        "most": MOST,
        "rows": (),
        "chart": None,
    }
    try:
        page, hours = _read(request, what, now)
    except FilterError as error:
        return PageContent(
            "noise.html",
            "Noise",
            PLACE,
            view | {"wrong_field": error.field},
            {},
            status=422,
            notice=str(error),
        )
    view |= {
        "rows": [_shown(row, what) for row in page.rows[:SHOWN]],
        "more": len(page.rows) > SHOWN,
        "counted_us": page.counted_us,
        "chart": histograms.histogram(
            hours,
            "crash",
            lambda start, end: what.link(since=query.spelled(start), until=query.spelled(end)),
            now_us=now,
        ),
    }
    as_json = {"noise": page.rows[:SHOWN], "counted_us": page.counted_us, "hours": hours}
    return PageContent("noise.html", "Noise", PLACE, view, as_json, page.rows)


def _read(
    request: Request, what: PageQuery, now_us: int
) -> tuple[Noise, list[histograms.TimePart]]:
    """The rows, and the crashes over the time that is asked for: a week where none is.

    Of all hosts and programs the sums over hosts are shown: a large fleet has millions of rows, and
    the first question is which program.
    """
    criteria, reading = what.checked(), history(request)
    host = criteria.host[0] if criteria.host else None
    process = next(iter(what.params.get("process", ())), None)
    until = criteria.until_us if criteria.until_us is not None else now_us
    since = criteria.since_us if criteria.since_us is not None else until - 7 * DAY_US
    by = PROGRAMS if host is None and process is None else EVERYTHING
    begin = criteria.since_us if host else since
    top = MOST if request.url.path.endswith(".csv") else SHOWN + 1
    page = reading.noise(
        by=by,
        host=host,
        process=process,
        since_us=begin,
        until_us=criteria.until_us,
        top=top,
        quick=True,
    )
    hours = reading.noise_hours(host=host, process=process, since_us=since, until_us=until)
    return page, histograms.spread(hours, since, until, HOUR_US)


def _shown(row: NoiseRow, what: PageQuery) -> dict[str, Any]:
    columns = ("host", "process", "signature", "count", "last_us")
    return {name: getattr(row, name) for name in columns} | {
        "process_href": what.link(process=row.process)
    }
