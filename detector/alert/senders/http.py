"""One HTTP request to a receiver, bounded in time, and what its answer means for the
notice.

In: a URL, a body, headers. Out: an `SendOutcome`. A request that was never wholly written is to be
tried again; one that was written and not answered may have been taken. No redirect is followed: it
would carry the body, and the token in it, to somebody else.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

from detector.alert.notice import SendOutcome
from detector.alert.senders.options import HttpOptions, redacted, tls_context
from detector.render.escape import inert


class Deadline:
    """A span of time, as a context. `passed` tells whether it is over."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        self._timer.join()

    def watch(self, opened: socket.socket) -> None:
        """A socket to shut down when time is up; at once where it is up already."""
        with self._lock:
            if opened not in self._sockets:
                self._sockets.append(opened)
            if self.passed:
                _shut(opened)

    def _end(self) -> None:
        with self._lock:
            self.passed = True
            for item in self._sockets:
                _shut(item)


def _shut(item: socket.socket) -> None:
    with contextlib.suppress(OSError):
        item.shutdown(socket.SHUT_RDWR)


# The clients log every URL that they call, and a webhook's URL is its token.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_ANSWER_BYTES = 4_096
_DETAIL_LIMIT = 300
_LONGEST_PAUSE_S = 86_400.0
# Beside all of 5xx: Request Timeout, Too Early, Too Many Requests.
_AGAIN = frozenset({408, 425, 429})
# The client's trace says so when the last byte of a request is with the system: before that no
# receiver has the whole of it.
_WRITTEN = "http11.send_request_body.complete"
_AGENT = "oopswatch"


class Http:
    """Posts to one receiver. A connection serves one request: an idle one that the server has
    closed would leave a doubt.
    """

    def __init__(self, options: HttpOptions, where: str) -> None:
        self._secrets = options.secrets()
        self._timeout_s = options.timeout_s
        self._client = httpx2.Client(
            verify=tls_context(options.ca_file, where),
            proxy=options.proxy,
            timeout=options.timeout_s,
            trust_env=False,
            follow_redirects=False,
            limits=httpx2.Limits(max_keepalive_connections=0),
            headers={"User-Agent": _AGENT},
        )

    def post(
        self, url: str, body: bytes, now_us: int, headers: Mapping[str, str] | None = None
    ) -> SendOutcome:
        """One attempt. Raises nothing that a receiver or the network causes."""
        written = False
        with Deadline(self._timeout_s) as deadline:

            def watch(event: str, info: Mapping[str, Any]) -> None:
                nonlocal written
                written = written or event == _WRITTEN
                opened = getattr(info.get("return_value"), "get_extra_info", None)
                if opened is not None:
                    deadline.watch(opened("socket"))

            given = {"Content-Type": "application/json", **(headers or {})}
            try:
                with self._client.stream(
                    "POST", url, content=body, headers=given, extensions={"trace": watch}
                ) as response:
                    return self._judged(response, now_us)
            except httpx2.HTTPError as error:
                return self._failed(error, url, written=written, late=deadline.passed)

    def _judged(self, response: httpx2.Response, now_us: int) -> SendOutcome:
        """Returns what a status means.

        The answer's text may be cut off: the status has come, and tells enough.
        """
        answer = b""
        with suppress(httpx2.HTTPError):
            for piece in response.iter_raw(_ANSWER_BYTES):
                answer += piece
                if len(answer) >= _ANSWER_BYTES:
                    break
        detail = self._detail(response.status_code, answer.decode("utf-8", "replace"))
        if response.is_success:
            return SendOutcome("delivered", detail)
        if response.is_redirect:
            return SendOutcome(
                "refused",
                (
                    f"{detail}; redirects are not followed: write the address that answers into "
                    "the receiver"
                ),
            )
        if response.status_code in _AGAIN or response.is_server_error:
            return SendOutcome(
                "retry", detail, retry_after_s(response.headers.get("Retry-After"), now_us)
            )
        return SendOutcome("refused", detail)

    def _detail(self, status: int, text: str) -> str:
        phrase = f" {HTTPStatus(status).phrase}" if status in HTTPStatus._value2member_map_ else ""
        answer = inert(redacted(" ".join(text.split()), self._secrets))
        return f"{status}{phrase}" + (f": {answer[:_DETAIL_LIMIT]}" if answer else "")

    def _failed(
        self, error: httpx2.HTTPError, url: str, *, written: bool, late: bool
    ) -> SendOutcome:
        """The kind of failure in words; what the client says of it may hold the URL, so it is
        hidden there.
        """
        what = inert(redacted(str(error), self._secrets))[:_DETAIL_LIMIT] or type(error).__name__
        if late or isinstance(error, httpx2.TimeoutException):
            what = f"no answer within {self._timeout_s:g} s"
        if written:
            return SendOutcome("unknown", f"{place(url)}: sent, not answered: {what}")
        return SendOutcome("retry", f"{place(url)}: not sent: {what}")


def place(url: str) -> str:
    """Host and port of a URL: all of it that may be shown."""
    parts = urlsplit(url)
    return inert(f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}")


def retry_after_s(header: str | None, now_us: int) -> float | None:
    """Retry-After in seconds, given as seconds or as a date; None where it says nothing that
    can be read.
    """
    if header is None:
        return None
    if header.isascii() and header.isdecimal():
        return min(float(header[:9]), _LONGEST_PAUSE_S)
    try:
        when = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    pause = (when - datetime.fromtimestamp(now_us / 1_000_000, UTC)).total_seconds()
    return min(max(pause, 0.0), _LONGEST_PAUSE_S)
