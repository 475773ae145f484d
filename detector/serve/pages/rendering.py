"""Renders a page's content: HTML by a template, or the same as JSON or CSV.

Every text in a template is made inert and escaped.

In: a request and a `PageContent`. Out: a response. A template can neither forget to escape
(autoescape) nor to make control characters and direction marks visible (`finalize`): both happen to
every value that it prints. What a page says is decided in the modules beside this one.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, JSONResponse, Response

from detector.render.csv_rows import write_csv
from detector.render.escape import inert
from detector.render.objects import as_object
from detector.render.units import exact_seconds, host_name, several, uptime
from detector.serve.http.access import csrf_token, visitor
from detector.serve.http.errors import HttpError
from detector.serve.pages import formatting
from detector.store.query.results import row_number

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parents[1]
NAVIGATION = (
    ("/", "Overview"),
    ("/incidents", "Incidents"),
    ("/faults", "Faults"),
    ("/problems", "Problems"),
    ("/hosts", "Hosts"),
    ("/fleet", "Fleet"),
    ("/noise", "Noise"),
    ("/kernel-errors", "Kernel errors"),
    ("/rules", "Rules"),
    ("/signatures", "Signatures"),
    ("/explain", "Explain"),
)
THEMES = ("auto", "light", "dark")
THEME_COOKIE = "theme"
FORMATS = ("json", "csv")
# What a page says after an act that led back to it, by `?done=`.
DONE = {
    "acknowledge": "Acknowledged: it is repeated to nobody.",
    "resolve": "Resolved.",
    "reopen": "Reopened.",
    "note": "The note is kept.",
    "silenced": "Silenced.",
    "expired": "The silence is over.",
    "advised": "Kept: the next incident and its message say it.",
}
# The same of the `?count=` incidents that were selected in a list.
DONE_WITH_MANY = {"acknowledge": "acknowledged", "resolve": "resolved"}
# A page of a name that ends like a format is asked for with one more ending.
_ENDINGS = (".json", ".csv", ".html")


@dataclass(frozen=True, slots=True)
class PageContent:
    """The content of a page: `data` as JSON, `rows` as CSV, `view` for its template.

    `view` holds what the template needs beside the frame; `place` is the page's entry in the
    navigation.
    """

    template: str
    title: str
    place: str
    view: Mapping[str, Any]
    data: Any = None
    rows: Sequence[Any] = ()
    status: int = 200
    notice: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


Make = Callable[[Request], PageContent]


def serve(router: APIRouter, path: str, make: Make) -> None:
    """Adds a page with its JSON and its CSV. `path` may hold one parameter.

    The plain path comes last, so that an ending is a format before it is part of a name.
    """
    for ending, answer in ((".json", as_json), (".csv", as_csv), (".html", as_html), ("", as_html)):
        if path == "/" and ending:
            continue
        router.add_api_route(
            path + ending, _endpoint(make, answer), methods=["GET"], include_in_schema=False
        )
    if path == "/":
        for ending, answer in (("overview.json", as_json), ("overview.csv", as_csv)):
            router.add_api_route(
                f"/{ending}", _endpoint(make, answer), methods=["GET"], include_in_schema=False
            )


def _endpoint(
    make: Make, answer: Callable[[Request, PageContent], Response]
) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        return answer(request, make(request))

    return endpoint


def as_html(request: Request, page: PageContent) -> Response:
    """The page for people."""
    context = _frame(request, page) | dict(page.view)
    return HTMLResponse(
        _environment().get_template(page.template).render(context), page.status, dict(page.headers)
    )


def as_json(request: Request, page: PageContent) -> Response:
    """The page for programs. Raises HttpError where it has no such form, or is an error."""
    del request
    if page.status >= 400:
        raise HttpError(page.status, page.notice or page.title, field=page.view.get("wrong_field"))
    return JSONResponse(as_object(page.data), page.status)


def as_csv(request: Request, page: PageContent) -> Response:
    """The rows of the page for a spreadsheet: no cell begins a formula, none holds a line end."""
    del request
    if page.status >= 400:
        raise HttpError(page.status, page.notice or page.title, field=page.view.get("wrong_field"))
    rows = [as_object(row) for row in page.rows]
    out = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    write_csv(out, names, rows)
    return Response(out.getvalue(), page.status, media_type="text/csv; charset=utf-8")


def missing(what: str, place: str, hint: str) -> PageContent:
    """The page where there is nothing."""
    view = {
        "text": f"There is no {what}.",
        "hint": hint,
        "back": place,
        "back_words": "Back to the list",
    }
    return PageContent(
        "message.html",
        f"No such {what.split(maxsplit=1)[0]}",
        place,
        view,
        status=404,
        notice=f"there is no {what}",
    )


def segment(name: str) -> str:
    """A name as one segment of an address; one that ends like a format gets an ending of its
    own.
    """
    spelled = quote(name, safe="")
    return f"{spelled}.html" if name.lower().endswith(_ENDINGS) else spelled


def host_page(name: str) -> str:
    """The address of a host's page."""
    return f"/hosts/{segment(name)}"


def known_page(bug: str) -> str:
    """The problems that look like a known bug."""
    return f"/problems?known={quote(bug)}"


def problem_page(fingerprint: str) -> str:
    """The address of a problem's page."""
    return f"/problems/{segment(fingerprint)}"


def theme_of(request: Request) -> str:
    """The theme that the visitor chose, "auto" for none."""
    chosen = request.cookies.get(THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"


def now_us(request: Request) -> int:
    """The time of the application's clock."""
    clock: Callable[[], int] = request.app.state.clock
    return clock()


# A longer query is not repeated in the page's links: they then lead to the page without it.
_ADDRESS_BOUND = 4_000


def _frame(request: Request, page: PageContent) -> dict[str, Any]:
    """What every page has around its content."""
    who = visitor(request)
    path, query = request.url.path.removesuffix(".html"), request.url.query
    suffix = f"?{query}" if query else ""

    def address(form: str) -> str:
        return f"{'/overview' if path == '/' else path}.{form}{suffix}"

    return {
        "title": page.title,
        "place": page.place,
        "navigation": NAVIGATION,
        "theme": theme_of(request),
        "here": f"{request.url.path}{suffix if len(suffix) <= _ADDRESS_BOUND else ''}",
        "address": address,
        "formats": FORMATS if page.data is not None and page.status < 400 else (),
        "notice": page.notice or _done(request.query_params),
        "notice_wrong": page.status >= 400,
        "wrong_field": None,
        "visitor": who,
        "may_act": who.may("act"),
        "may_log_out": who.via == "session",
        "csrf": csrf_token(request),
        "request_id": secrets.token_hex(12),
        "now_us": now_us(request),
    }


def _done(params: Mapping[str, str]) -> str:
    """Returns what the act did that led to this page; empty where none did."""
    words = DONE.get(params.get("done", ""), "")
    count, left = row_number(params.get("count", "")), row_number(params.get("left", ""))
    many = DONE_WITH_MANY.get(params.get("done", ""))
    if many is None or count is None:
        return words
    rest = f" {several(left, 'incident')} stayed: the state does not allow it." if left else ""
    return f"{several(count, 'incident')} {many}.{rest}"


def _inert(value: object) -> object:
    """Every value on its way into the page; markup is this project's own."""
    return inert(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    """Made for the first page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_inert,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "stamp": formatting.stamp,
        "ago": formatting.ago,
        "when": formatting.when,
        "gap": exact_seconds,
        "uptime": uptime,
        "number": formatting.number,
        "plural": several,
        "shortened": formatting.shortened,
        "host_page": host_page,
        "problem_page": problem_page,
        "known_page": known_page,
        "pattern": formatting.pattern,
        "multiline": formatting.multiline,
        "host_name": host_name,
    }
    environment.globals["newline"] = Markup("\n")
    return environment
