"""The order of those who write one history: who waits is next.

SQLite's write lock has no queue: who waits for it looks again every 100 ms at most (busy handler of
SQLite 3.40, src/main.c), and a process that commits and begins again at once is always quicker.
Here whoever begins a transaction passes a gate first, and keeps it shut while it waits for the
lock. The gate is an advisory lock (flock) of the history's folder, so it needs no file of its own
and holds between processes as between threads. It only orders: where it cannot be had, SQLite's
lock alone decides.

SQLite's own locks are of a moment: they keep two writers from writing at once, not from reading one
topic into one history twice. The kernel lets go of the lock when its process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection

from detector.store.errors import StoreError

MEMORY = ":memory:"
# So long may one who is stopped at the gate, or another program's lock, hold up the others.
_PATIENCE_S = 2.0
_LOOK_S = 0.002


def begin_writing(connection: Connection, path: str) -> None:
    """Begins a transaction that writes, in turn.

    Raises sqlite3.OperationalError where the lock is not to be had within the connection's
    busy_timeout.
    """
    with _gate(path):
        connection.execute("BEGIN IMMEDIATE")


@contextmanager
def _gate(path: str) -> Iterator[None]:
    descriptor = None
    if path != MEMORY:
        with suppress(OSError):
            folder = Path(path).absolute().parent
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if descriptor is not None:
            _pass(descriptor)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _pass(descriptor: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return
            time.sleep(_LOOK_S)
        except OSError:  # a file system without flock
            return
        else:
            return


@contextmanager
def held(path: str | Path) -> Iterator[None]:
    """Holds the history at `path`, which exists; raises StoreError where another process does."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            # Not fcntl's: those are SQLite's, and are let go when any descriptor is closed.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"{path}: another oopswatch (`run` or `archive`) reads into this history: stop it "
                "first"
            ) from error
        yield
    finally:
        os.close(descriptor)
