"""An end to one attempt, whatever the other side does: a server that drips one byte at a
time outlives every time-out of a socket.

In: seconds, and sockets as they are opened. Out: when time is up, the sockets are shut down, so
that whoever waits for one is woken.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


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
