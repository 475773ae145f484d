"""Follows the log of changes for everyone who listens: one look at the history serves all,
however many listen.

In: the history's changes, by their rising ids. Out: for each listener the changes after the last
one that it saw, as they come. The latest are kept in memory; who is further behind reads them from
the history. Nothing runs while nobody listens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from starlette.concurrency import run_in_threadpool

from detector import telemetry
from detector.store import StoreError

# Short enough to feel live, and one look-up by primary key.
EVERY_S = 0.5
BATCH = 500


class Numbered(Protocol):
    """A row with a rising id."""

    @property
    def id(self) -> int:
        """The id."""
        ...


NumberedT = TypeVar("NumberedT", bound=Numbered)


class ChangeFollower(Generic[NumberedT]):
    """Shares one look at the log of changes among listeners. Used from one event loop.

    `read(after, limit)` gives the changes after an id, in order; it runs on a worker thread.
    `latest()` gives the newest id.
    """

    def __init__(
        self,
        read: Callable[[int, int], Sequence[NumberedT]],
        latest: Callable[[], int],
        *,
        most: int,
        every_s: float = EVERY_S,
    ) -> None:
        self._read = read
        self._latest = latest
        self._most = most
        self._every_s = every_s
        self._recent: deque[NumberedT] = deque(maxlen=2 * BATCH)
        self._position = 0
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._listeners = 0
        self.closed = False

    @property
    def full(self) -> bool:
        """Returns whether there are as many listeners as there may be."""
        return self._listeners >= self._most

    async def follow(self, after: int | None, quiet_s: float) -> AsyncIterator[NumberedT | None]:
        """Changes after an id (None: from now on) as they come; None at first and after `quiet_s`
        without any.

        Ends when the server does, and at once where too many listen.
        """
        self._listeners += 1
        telemetry.HTTP_LISTENERS.set(self._listeners)
        try:
            if self._listeners > self._most:
                return
            await self._begin()
            yield None
            position = self._position if after is None else min(after, self._position)
            while not self.closed:
                moved = self._moved
                for change in await self._after(position):
                    position = change.id
                    yield change
                if position < self._position or self.closed:
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(moved.wait(), quiet_s)
                    continue
                yield None
        finally:
            self._listeners -= 1
            telemetry.HTTP_LISTENERS.set(self._listeners)

    def close(self) -> None:
        """Ends every listener."""
        self.closed = True
        self._wake()

    async def _begin(self) -> None:
        """Looks at once, so that what is new to the first listener is known, then at intervals."""
        if self._task is None or self._task.done():
            self._recent.clear()
            self._position = await run_in_threadpool(self._latest)
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._listeners and not self.closed:
            # A history that is busy or away is asked again; listeners hear nothing meanwhile but
            # the heartbeat.
            with suppress(StoreError):
                changes = await run_in_threadpool(self._read, self._position, BATCH)
                if changes:
                    self._recent.extend(changes)
                    self._position = changes[-1].id
                    self._wake()
                if len(changes) == BATCH:
                    continue
            await asyncio.sleep(self._every_s)

    async def _after(self, position: int) -> Sequence[NumberedT]:
        if position >= self._position:
            return ()
        if self._recent and self._recent[0].id <= position + 1:
            return [change for change in self._recent if change.id > position]
        changes = await run_in_threadpool(self._read, position, BATCH)
        return [change for change in changes if change.id <= self._position]

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
