"""Limits the rate of requests of one visitor: a bucket of requests for each, refilled over
time, in bounded memory.

In: a name and the time. Out: how long to wait, 0 for now. The time is an argument; no IO.
"""

from __future__ import annotations

from collections import OrderedDict

from detector.clock import SECOND_US

# The visitor who was away longest is forgotten, and has a full bucket when they are back.
_MOST = 10_000


class Buckets:
    """A bucket of `burst` requests for each name, refilled by `rate` a second."""

    def __init__(self, rate: float, burst: int, most: int = _MOST) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._most = most
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, name: str, now_us: int) -> float:
        """Takes one request out of a bucket: 0 where there was one, else the seconds until there
        is.
        """
        left = self._now(name, now_us)
        allowed = left >= 1
        self._left[name] = (left - 1 if allowed else left, now_us)
        self._left.move_to_end(name)
        while len(self._left) > self._most:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate

    def empty(self, name: str, now_us: int) -> float:
        """The seconds until a bucket holds a request, without taking one; 0 where it does."""
        left = self._now(name, now_us)
        return 0.0 if left >= 1 else (1 - left) / self._rate

    def _now(self, name: str, now_us: int) -> float:
        left, at_us = self._left.get(name, (self._burst, now_us))
        return min(self._burst, left + max(0, now_us - at_us) / SECOND_US * self._rate)
