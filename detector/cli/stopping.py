"""Handles SIGTERM and SIGINT: a service ends cleanly, whenever they come.

It imports next to nothing, so that a service can ask for it before it imports what takes a second.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StoppedEarly(Exception):  # noqa: N818  # it is no error
    """A signal came before anything was read."""


class Stopping:
    """SIGTERM and SIGINT as something to do. `signal` names the one that came."""

    def __init__(self) -> None:
        self.signal: str | None = None
        self._action: Callable[[], None] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def then(self, action: Callable[[], None]) -> None:
        """Does `action` when a signal comes, and now if it came before; it may be done twice."""
        self._action = action
        if self.signal is not None:
            action()

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.signal = signal.Signals(number).name
        if self._action is not None:
            self._action()


@contextmanager
def tidied_on_sigterm() -> Iterator[None]:
    """Has SIGTERM end what is done as an error does, so that temporary files are removed: exit
    143.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stop_early() -> None:
    """Ends the wait in hand. Raises StoppedEarly."""
    raise StoppedEarly
