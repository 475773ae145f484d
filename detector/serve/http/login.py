"""Logging in and out with a browser: a token becomes a session cookie that no script can
read and no other site can send.

In: the form's token. Out: the cookie, and a redirect into this server, never to another.
"""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from detector import telemetry
from detector.serve.http.access import COOKIE, Access
from detector.serve.http.gate import form_of

router = APIRouter(include_in_schema=False)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in · oopswatch</title><link rel="stylesheet" href="/static/oopswatch.css">
</head>
<body>
<main>
<h1>Log in to oopswatch</h1>
{message}<form method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<p><label for="token">Token</label> <input id="token" name="token" type="password" \
autocomplete="current-password" required autofocus></p>
<p><button type="submit">Log in</button></p>
</form>
</main>
</body>
</html>
"""


@router.get("/login")
def form(next: str = "/") -> Response:  # the parameter's name in the address  # noqa: A002
    """The form."""
    return _form(next)


@router.post("/login")
async def log_in(request: Request) -> Response:
    """A session for a token."""
    fields = form_of(await request.body())
    access: Access = request.app.state.access
    address = access.client_address(request)
    begun = access.log_in(fields.get("token", "").strip())
    if begun is None:
        access.count_wrong(address)
        telemetry.HTTP_REFUSED.labels("token").inc()
        telemetry.say(
            "access_refused", reason="token", who="", address=address, method="POST", path="/login"
        )
        return _form(fields.get("next", "/"), "This token is not known.", 401)
    value, visitor = begun
    telemetry.say("logged_in", who=visitor.name, address=address)
    response = RedirectResponse(inward(fields.get("next", "/")), 303)
    seconds = access.settings.session_hours * 3_600
    response.set_cookie(
        COOKIE,
        value,
        max_age=seconds,
        httponly=True,
        samesite="strict",
        secure=access.secure(request),
    )
    return response


@router.post("/logout")
def log_out(request: Request) -> Response:
    """The session ends."""
    access: Access = request.app.state.access
    access.log_out(request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=access.secure(request))
    return response


def inward(target: str) -> str:
    """The target where it is a path of this server, else its front page. A browser reads a
    backslash as a slash, and drops line ends.
    """
    strange = (
        not target.startswith("/")
        or target.startswith("//")
        or "\\" in target
        or not target.isprintable()
        or not target.isascii()
    )
    return "/" if strange else target


def _form(target: str, message: str = "", status: int = 200) -> Response:
    alert = f'<p role="alert">{escape(message)}</p>\n' if message else ""
    return HTMLResponse(_PAGE.format(message=alert, next=escape(inward(target))), status)
