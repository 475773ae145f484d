"""Adds headers to every answer, and to every GET: headers that keep pages apart, ETags
with 304, HEAD.

In: the answers of the application. Out: the same with `Content-Security-Policy` and its kin; a
whole answer (not a stream) with an ETag of its bytes, so that it is right whatever the answer was
made of, and an unchanged one is not sent again.
"""

from __future__ import annotations

import hashlib
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detector import telemetry

# No inline script or style, no frame, no form that leads away: a log line that became markup could
# still do nothing.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; "
    "connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # `no-referrer` would make browsers send `Origin: null` with our own forms (Fetch standard,
    # "append a request Origin header"); another site learns nothing by this one either.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Answers:
    """ASGI middleware, the outermost but one."""

    def __init__(self, app: ASGIApp, *, tls: bool) -> None:
        self._app = app
        self._always = ALWAYS | ({"Strict-Transport-Security": "max-age=31536000"} if tls else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        answer = _OutgoingResponse(scope, send, self._always)
        method = scope["method"]
        if method == "HEAD":
            # Routes know GET; a stream, which may have no end, is left when its headers are known.
            scope = dict(scope) | {
                "method": "GET",
                "asgi": dict(scope.get("asgi", {})) | {"spec_version": "2.4"},
            }
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            if method != "HEAD":
                raise
        finally:
            _count(scope, method, answer, time.perf_counter() - begun)


def _count(scope: Scope, method: str, answer: _OutgoingResponse, seconds: float) -> None:
    """Routes are counted by their template and methods that nobody has by one word: a client
    cannot make new labels.
    """
    route = getattr(scope.get("route"), "path", "none")
    telemetry.HTTP_REQUESTS.labels(
        route, method if method in METHODS else "other", str(answer.status)
    ).inc()
    if not answer.streamed:
        telemetry.HTTP_SECONDS.observe(seconds)


class _OutgoingResponse:
    """One answer on its way out."""

    def __init__(self, scope: Scope, send: Send, always: dict[str, str]) -> None:
        self._asked = Headers(scope=scope)
        self._head = scope["method"] == "HEAD"
        self._tagged = scope["method"] in {"GET", "HEAD"}
        self._send = send
        self._always = always
        self._start: Message | None = None
        self.status = 500
        self.streamed = False

    async def send(self, message: Message) -> None:
        """Holds the start back until the first piece of the body is there."""
        if message["type"] == "http.response.start":
            self._start = message
            headers = MutableHeaders(scope=message)
            for name, value in self._always.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "private, no-cache")
            return
        if self._start is None:
            await self._send(message)
            return
        start, self._start = self._start, None
        self.status = start["status"]
        body, more = message.get("body", b""), message.get("more_body", False)
        self.streamed = more
        if self._tagged and not more and start["status"] == 200 and self._unchanged(start, body):
            start["status"], body = 304, b""
        await self._send(start)
        if not self._head:
            message["body"] = body
            await self._send(message)
            return
        await self._send({"type": "http.response.body", "body": b""})
        if more:
            raise OSError("HEAD has no body")  # as a connection that ended: the stream stops

    def _unchanged(self, start: Message, body: bytes) -> bool:
        """Sets the ETag; whether the client has these bytes already."""
        headers = MutableHeaders(scope=start)
        tag = headers.setdefault("ETag", f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')
        known = {
            part.strip().removeprefix("W/")
            for part in self._asked.get("if-none-match", "").split(",")
        }
        if tag not in known and "*" not in known:
            return False
        for name in ("content-length", "content-type"):
            del headers[name]
        return True
