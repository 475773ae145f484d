"""The catalogue and the index of known bugs for those who ask about them: read when the
first one does, so that a start need not wait for them.

In: settings. Out: the checked catalogue, one for the process; the known bugs, by the index that is
in force at the moment. Pattern files with faults are a problem of the server.
"""

from __future__ import annotations

import threading

from fastapi import Request

from detector import telemetry
from detector.app.known import known_bugs
from detector.catalogue import Catalogue, CatalogueError, read
from detector.known.lookup import KnownBugs
from detector.serve.http.errors import HttpError
from detector.settings import Settings, SettingsError
from detector.settings.pattern_files import pattern_files


class Knowledge:
    """Reads the pattern files once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None
        self.bugs = known_bugs(settings, self.catalogue, _refused)

    def catalogue(self) -> Catalogue:
        """The catalogue. Raises Problem where the pattern files have faults."""
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
