"""Names the problems of a history by known bugs beside the server, on a thread of its own.

In: a history for the calling thread. Out: names, in steps of a few ms, each followed by a longer
pause, so that pages keep most of a core. The thread begins when somebody asks for problems by their
known bugs and not all are named; from then on it follows a new index and new reports.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from detector.serve.http.errors import HttpError
from detector.store import History, StoreError

PAUSE = 3.0
"""Pause after a step, in times of the step."""
LOOK_S = 5.0
"""Seconds between two looks for a new index, once all problems are named."""
AGAIN_S = 600.0
"""Seconds until all problems are looked at once more: a report may have been read anew."""


class BackgroundNaming:
    """Names what is due. Any thread may wake it."""

    def __init__(self, history: Callable[[], History]) -> None:
        self._history = history
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._due = threading.Event()
        self._closing = threading.Event()

    @property
    def is_running(self) -> bool:
        """True while its thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def wake(self) -> None:
        """Says that there is something to name."""
        with self._lock:
            if not self.is_running and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name="naming", daemon=True)
                self._thread.start()
        self._due.set()

    def close(self) -> None:
        """Ends it."""
        with self._lock:
            self._closing.set()
            thread = self._thread
        self._due.set()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        looked_s = time.monotonic()
        while not self._closing.is_set():
            started_s = time.monotonic()
            try:
                history = self._history()
                if started_s - looked_s >= AGAIN_S:
                    looked_s = started_s
                    history.name_problems_again()
                left = history.name_problems()
            except (StoreError, HttpError):
                # A history that is away or busy is asked again, as are pattern files with faults.
                left = 0
            if left:
                self._closing.wait(PAUSE * (time.monotonic() - started_s))
            else:
                self._due.wait(LOOK_S)
                self._due.clear()
