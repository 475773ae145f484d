"""Holds a history for the one process that moves its positions on.

SQLite's own locks are of a moment: they keep two writers from writing at once, not from reading one
topic into one history twice. The kernel lets go of the lock when its process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detector.store.errors import StoreError


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
                f"{path}: another `oopswatch run` reads into this history: stop it first"
            ) from error
        yield
    finally:
        os.close(descriptor)
