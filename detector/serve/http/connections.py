"""Bounds on connections: a time-out for a request's head, and a cap that idle ones give
way to.

uvicorn waits for ever for the first byte of a request. Here a connection that has not sent a whole
head after `HEAD_S` seconds is closed, and at the cap the one that has waited longest makes room,
so that half-open connections never keep a health check out.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from detector import telemetry

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
