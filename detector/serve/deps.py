"""The dependencies of a request: a history to read or write, catalogue, known bugs.

A connection is opened anew where the file was replaced.

In: a request, on the thread that will read (an endpoint that is a plain `def`). Out: a `History`.
Nothing is written.

Who may act is the gate's affair.

Pattern files with faults are a problem of the server.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fastapi import Request

from detector import telemetry
from detector.app.known import known_bugs
from detector.catalogue import Catalogue, CatalogueError, read
from detector.known.lookup import KnownBugs
from detector.serve.http.errors import HttpError
from detector.settings import Settings, SettingsError
from detector.settings.loading import pattern_files
from detector.store import History, StoreError, open_history
from detector.store.lifecycle.actions import Actions, open_actions

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


def store_option(request: Request) -> str:
    """The option by which a command in a terminal reads this history, whatever its folder."""
    path = Path(request.app.state.settings.store.path).absolute()
    return f"--store {shlex.quote(str(path))}"


Made = TypeVar("Made")


def done(request: Request, order: Callable[[Actions], Made]) -> Made:
    """Does one thing.

    Raises `ActionRefused` for what the state does not allow, `StoreError` for what is not
    there.
    """
    state = request.app.state
    with closing(open_actions(state.settings.store.path, state.clock)) as actions:
        return order(actions)


class Knowledge:
    """Reads the pattern files once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None
        self.bugs = known_bugs(settings, self.catalogue, _refused)

    def catalogue(self) -> Catalogue:
        """The catalogue. Raises HttpError where the pattern files have faults."""
        with self._lock:
            if self._catalogue is None:
                try:
                    self._catalogue = read(
                        pattern_files(self._settings),
                        prove=bool(self._settings.patterns.directories),
                    )
                except (CatalogueError, SettingsError) as error:
                    raise HttpError(
                        503, f"the pattern files have faults: {error}"[:2_000]
                    ) from error
            return self._catalogue


def _refused(text: str) -> None:
    telemetry.say("known_index_refused", fault=text)


def bugs(request: Request) -> KnownBugs:
    """The known bugs."""
    knowledge: Knowledge = request.app.state.knowledge
    return knowledge.bugs


def catalogue(request: Request) -> Catalogue:
    """The catalogue in force."""
    knowledge: Knowledge = request.app.state.knowledge
    return knowledge.catalogue()
