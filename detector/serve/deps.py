"""The history for a request: a read-only connection for each worker thread.

A connection is opened anew where the file was replaced.

In: a request, on the thread that will read (an endpoint that is a plain `def`). Out: a `History`.
Nothing is written.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request

from detector.store import History, StoreError, open_history

if TYPE_CHECKING:
    from detector.store.query.problem_names import ProblemNames


class Connections:
    """Hands each thread its own connection.

    SQLite's readers neither wait for a writer nor hold it up.
    """

    def __init__(self, path: Path, names: ProblemNames | None = None) -> None:
        self.path = path
        self._names = names
        self._local = threading.local()

    def history(self) -> History:
        """The calling thread's connection. Raises StoreError where the file is missing, not ours,
        or of another version.
        """
        try:
            stat = self.path.stat()
        except OSError as error:
            raise StoreError(
                f"{self.path}: {error.strerror}: name the file that `oopswatch run` writes"
            ) from error
        identity = (stat.st_dev, stat.st_ino)
        known: tuple[tuple[int, int], History] | None = getattr(self._local, "opened", None)
        if known is not None and known[0] == identity:
            return known[1]
        if known is not None:
            known[1].close()
        opened = open_history(self.path, self._names)
        self._local.opened = (identity, opened)
        return opened


def history(request: Request) -> History:
    """The history that this request reads; call it on the thread that queries."""
    reading: Connections = request.app.state.reading
    return reading.history()
