"""The server: one uvicorn over the application.

It runs in the foreground, or on a thread of its own beside the pipeline.

In: settings. Out: a bound and listening server, or a `SettingsError` of one line. Signals are the
caller's, who calls `stop`.

uvicorn waits for ever for the first byte of a request. Here a connection that has not sent a whole
head after `HEAD_S` seconds is closed, and at the cap the one that has waited longest makes room,
so that half-open connections never keep a health check out.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from detector import telemetry
from detector.clock import now_us
from detector.serve.app import create_app
from detector.serve.http.access import Access
from detector.settings import Settings, SettingsError

# Seconds for a request's head. Browsers send it at once; Apache's mod_reqtimeout allows 20 to 40.
HEAD_S = 10.0
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


class BoundedProtocol(H11Protocol):
    """One connection. `most` and `waiting` belong to one server: see `bounded`."""

    most: int
    waiting: OrderedDict[BoundedProtocol, None]

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Makes room at the cap and starts the clock for the head."""
        if len(self.connections) >= self.most:
            if not self.waiting:
                telemetry.HTTP_REFUSED.labels("connections").inc()
                transport.write(_FULL)
                transport.close()
                return
            next(iter(self.waiting)).drop()
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Takes bytes, and looks whether the head is whole by now."""
        if self.transport is None:
            return  # refused at the cap
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._await_head()
        else:
            self._head_came()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._head_came()
        if self.transport is not None:
            super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._timer is None:
            self.waiting[self] = None
            self._timer = self.loop.call_later(HEAD_S, self.drop)

    def _head_came(self) -> None:
        self.waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def drop(self) -> None:
        """Closes a connection whose head did not come."""
        telemetry.HTTP_REFUSED.labels("head").inc()
        self._head_came()
        # Out of the count at once: `connection_lost` comes on a later turn of the loop.
        self.connections.discard(self)
        self.transport.abort()


def bounded(most: int) -> type[BoundedProtocol]:
    """Returns a protocol whose connections are counted together, at most `most`."""
    return type("Connection", (BoundedProtocol,), {"most": most, "waiting": OrderedDict()})


_BACKLOG = 1_024
_FILES_SAID_S = 60.0
# Answers in hand get this long at the end; with the rest it stays under five seconds.
_GRACE_S = 3


class Server:
    """One server. `address` is where it answers, as a URL."""

    def __init__(self, settings: Settings, *, port: int, clock: Callable[[], int] = now_us) -> None:
        serve = settings.serve
        app = create_app(settings, clock=clock)
        self._socket = _bound(serve.address, port)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            # A forwarded address is believed by `access.py` alone, and from trusted proxies alone.
            proxy_headers=False,
            server_header=False,
            ws="none",
            http=bounded(serve.max_connections),
            lifespan="on",
            ssl_certfile=serve.tls_certfile,
            ssl_keyfile=serve.tls_keyfile,
            timeout_graceful_shutdown=_GRACE_S,
            backlog=_BACKLOG,
        )
        try:
            config.load()
        except (ssl.SSLError, OSError) as error:
            self._socket.close()
            raise SettingsError(
                [f"serve.tls_certfile: {serve.tls_certfile} with its key cannot be used: {error}"]
            ) from error
        self._server = _Uvicorn(config, app)
        self._thread: threading.Thread | None = None
        host = f"[{serve.address}]" if ":" in serve.address else serve.address
        self.port: int = self._socket.getsockname()[1]
        self.address = f"{'https' if serve.tls_certfile else 'http'}://{host}:{self.port}"
        access: Access = app.state.access
        how = (
            "everyone on this machine"
            if access.open
            else "tokens"
            if access.tokens
            else "trusted proxies"
        )
        self._about = {
            "url": f"{self.address}/",
            "address": serve.address,
            "port": self.port,
            "tls": serve.tls_certfile is not None,
            "access": how,
        }

    def run(self) -> None:
        """Answers until `stop`."""
        telemetry.say("serving", **self._about)
        # What there is by now stays: going through all of it while a page is made would take longer
        # than the page.
        gc.freeze()
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Answers on a thread until `stop`."""
        self._thread = threading.Thread(target=self.run, name="serve", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it: answers in hand are finished, listeners are let go."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()


class _Uvicorn(uvicorn.Server):
    """uvicorn that leaves signals alone, and tells listeners, who would wait for ever, that it
    ends.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the caller's: uvicorn would end the process by the signal itself, and not
        with 0.
        """
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(_LoopFaults())
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.follower.close()
        self._app.state.sql_door.close()
        self._app.state.naming.close()
        await super().shutdown(sockets)


class _LoopFaults:
    """Says faults of the event loop as events: no more sockets once a minute, others with
    theirs.
    """

    def __init__(self) -> None:
        self._said_s = float("-inf")

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handles what `asyncio` would print as a traceback."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
            if time.monotonic() - self._said_s >= _FILES_SAID_S:
                self._said_s = time.monotonic()
                telemetry.say("no_more_files", error=str(error))
            return
        telemetry.say("serve_fault", message=str(context["message"]), error=repr(error))


def _bound(address: str, port: int) -> socket.socket:
    """A socket that listens here and now, so that a port that is taken is said in one line before
    anything else begins.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Connections have it from here: an answer's body would wait 40 ms for the
            # acknowledgement of its head.
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.bind((address, port))
            # Listened to from here: who connects before the first answer is ready waits for it and
            # is not refused.
            made.listen(_BACKLOG)
        except BaseException:
            made.close()
            raise
    except OSError as error:
        raise SettingsError(
            [f"serve.port: {address}:{port} cannot be served: {error.strerror or error}"]
        ) from error
    made.setblocking(False)
    return made
