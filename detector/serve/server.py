"""The server: one uvicorn over the application.

It runs in the foreground, or on a thread of its own beside the pipeline.

In: settings. Out: a bound and listening server, or a `SettingsError` of one line. Signals are the
caller's, who calls `stop`.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from detector import telemetry
from detector.clock import now_us
from detector.serve.app import create_app
from detector.serve.http.access import Access
from detector.serve.http.connections import bounded
from detector.settings import Settings, SettingsError

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
