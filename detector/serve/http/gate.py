"""The gate that every request passes before any route: name, rate, visitor, role, origin,
CSRF token, size.

In: an ASGI request. Out: the application's answer with the headers that every answer has
(`headers.py`), or a problem. A route that nobody thought of is shut: reading needs the role read,
every other method the role act, unless the tables below say otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detector import telemetry
from detector.serve.http.access import CSRF_FIELD, CSRF_HEADER, Access, Buckets, Visitor
from detector.serve.http.errors import HttpError, respond_to, wants_page
from detector.serve.http.roles import Role

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# What a stranger may ask for: whether the process lives, the log-in, and the style sheets of both.
PUBLIC = frozenset({"/healthz", "/readyz", "/login"})
PUBLIC_FOLDER = "/static/"
# Probes come by whatever address the machine has.
ANY_HOST = frozenset({"/healthz", "/readyz"})
# POST only because the question is too long for an address.
READING_POSTS = frozenset(
    {
        "/api/v1/explain",
        "/explain",
        "/api/v1/grafana/search",
        "/api/v1/grafana/query",
        "/api/v1/grafana/annotations",
        "/logout",
    }
)
SQL_DOOR = "/api/v1/sql"
API = "/api/"
# Seconds for a request's body.
BODY_S = 20.0
_FORM = "application/x-www-form-urlencoded"


def role_for(method: str, path: str) -> Role | None:
    """The role that a request needs, None for what strangers may have."""
    if path in PUBLIC or (path.startswith(PUBLIC_FOLDER) and method in SAFE):
        return None
    if path == SQL_DOOR:
        return "sql"
    return "read" if method in SAFE or path in READING_POSTS else "act"


class Gate:
    """ASGI middleware: lets a request through, with `visitor` in its scope, or answers it with
    a problem.
    """

    def __init__(self, app: ASGIApp, *, access: Access, clock: Callable[[], int]) -> None:
        self._app = app
        self._access = access
        self._clock = clock
        self._buckets = Buckets(access.settings.requests_per_second, access.settings.request_burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            body = await self._admit(request)
        except HttpError as problem:
            await _refusal(request, problem)(scope, receive, send)
            return
        if body is None:
            await self._app(scope, receive, send)
        else:
            await self._app(scope, _replayed(body, receive), _audited(request, send))

    async def _admit(self, request: Request) -> bytes | None:
        """Checks everything; returns the body where it had to be read. Raises HttpError."""
        path, method = request.url.path, request.method
        address = self._access.client_address(request)
        if path not in ANY_HOST and not self._access.host_allowed(request.headers.get("host", "")):
            raise self._refused(
                request,
                HttpError(421, "this server has another name: see serve.hosts", field="Host"),
                "host",
            )
        peer = request.client.host if request.client else ""
        visitor = self._access.visitor(request.headers, request.cookies, peer)
        self._limit(request, visitor, address)
        needed = role_for(method, path)
        if visitor is None and needed is not None:
            raise self._stranger(request, address)
        if visitor is not None:
            request.scope["visitor"] = visitor
            if needed is not None and not visitor.may(needed):
                raise self._refused(
                    request, HttpError(403, f"{visitor.name} has not the role {needed}"), "role"
                )
        self._from_elsewhere(request, visitor)
        if method in SAFE:
            return None
        body = await self._body(request)
        if visitor is not None and visitor.via != "token" and path != "/login":
            presented = request.headers.get(CSRF_HEADER) or _form_field(request, body)
            if not self._access.csrf_holds(visitor, presented):
                field = CSRF_FIELD if _is_form(request) else "X-CSRF-Token"
                raise self._refused(
                    request,
                    HttpError(
                        403,
                        (
                            "this form is too old or not ours: load the page again (API: GET "
                            "/api/v1/session)"
                        ),
                        field=field,
                    ),
                    "csrf",
                )
        return body

    def _limit(self, request: Request, visitor: Visitor | None, address: str) -> None:
        """Raises HttpError 429 for a visitor beyond their rate; probes are never limited."""
        if request.url.path in ANY_HOST:
            return
        name = f"{visitor.via} {visitor.name}" if visitor else f"address {address}"
        wait = self._buckets.take(name, self._clock())
        if visitor is None or request.url.path == "/login":
            wait = max(wait, self._access.must_wait(address))
        if wait:
            telemetry.HTTP_REFUSED.labels("rate").inc()
            raise HttpError(
                429,
                f"too many requests: wait {wait:.1f} s",
                headers={"Retry-After": str(int(wait) + 1)},
            )

    def _stranger(self, request: Request, address: str) -> HttpError:
        presented = "authorization" in request.headers
        if presented:
            self._access.count_wrong(address)
        detail = (
            "this token is not known"
            if presented
            else "say who you are: Authorization: Bearer TOKEN"
        )
        problem = HttpError(
            401, detail, field="Authorization", headers={"WWW-Authenticate": "Bearer"}
        )
        return self._refused(request, problem, "token") if presented else problem

    def _from_elsewhere(self, request: Request, visitor: Visitor | None) -> None:
        """Refuses what another site makes a browser send: it says so itself (Sec-Fetch-Site), or by
        the Origin of a POST.
        """
        if visitor is not None and visitor.via == "token":
            return
        site = request.headers.get("sec-fetch-site")
        unsafe = request.method not in SAFE
        followed_link = request.headers.get("sec-fetch-mode") == "navigate" and not unsafe
        if site is not None:
            strange = (
                site not in {"same-origin", "none"}
                and not followed_link
                and (unsafe or request.url.path.startswith(API))
            )
        else:
            origin = request.headers.get("origin")
            strange = (
                unsafe
                and origin is not None
                and origin.partition("://")[2] != request.headers.get("host")
            )
        if strange:
            raise self._refused(
                request, HttpError(403, "another site's page sent this", field="Origin"), "origin"
            )

    async def _body(self, request: Request) -> bytes:
        most = self._access.settings.max_body_kib * 1_024
        body = b""
        try:
            async with asyncio.timeout(BODY_S):
                async for piece in request.stream():
                    body += piece
                    if len(body) > most:
                        raise HttpError(
                            413,
                            f"the body is larger than {most} bytes (serve.max_body_kib)",
                            headers={"Connection": "close"},
                        )
        except TimeoutError as error:
            raise HttpError(
                408, f"the body was not whole after {BODY_S:g} s", headers={"Connection": "close"}
            ) from error
        return body

    def _refused(self, request: Request, problem: HttpError, reason: str) -> HttpError:
        """Counts and says a refusal that somebody may want to know of."""
        telemetry.HTTP_REFUSED.labels(reason).inc()
        who = request.scope["visitor"].name if "visitor" in request.scope else ""
        facts = {
            "who": who,
            "address": self._access.client_address(request),
            "method": request.method[:16],
            "path": request.url.path[:200],
        }
        telemetry.say("access_refused", reason=reason, **facts)
        return problem


def _refusal(request: Request, problem: HttpError) -> Response:
    """Asks a person to log in, or shows them a page; answers a program with a problem."""
    if problem.status_code == 401 and wants_page(request) and request.method in SAFE:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/login?next={quote(request.url.path + query, safe='')}", 303)
    return respond_to(request, problem)


def _audited(request: Request, send: Send) -> Send:
    """Says what was done and by whom, when it is done."""
    visitor = request.scope.get("visitor")
    path = request.url.path
    if not isinstance(visitor, Visitor) or path in READING_POSTS or path in {SQL_DOOR, "/login"}:
        return send

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            about = {
                "who": visitor.name,
                "via": visitor.via,
                "method": request.method[:16],
                "path": path[:200],
            }
            telemetry.say("acted", **about, status=message["status"])
        await send(message)

    return sent


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, as the application's own; then what else happens on the
    connection.
    """
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM


def _form_field(request: Request, body: bytes) -> str:
    return form_of(body).get(CSRF_FIELD, "") if _is_form(request) else ""


def form_of(body: bytes) -> dict[str, str]:
    """The fields of a form that a page posted; of fields that are named twice the last. Raises
    Problem for too many.
    """
    return dict(fields_of(body))


def fields_of(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form that a page posted, as they came. Raises HttpError for too many."""
    try:
        return parse_qsl(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100
        )
    except ValueError as error:
        raise HttpError(422, "too many fields", field="body") from error
