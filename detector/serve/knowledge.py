"""The catalogue for those who ask about it: read when the first one does, so that a start need not
wait for it.

In: settings. Out: the checked catalogue, one for the process. Pattern files with faults are a
problem of the server.
"""

from __future__ import annotations

import threading

from fastapi import Request

from detector.catalogue import Catalogue, CatalogueError, read
from detector.serve.http.errors import HttpError
from detector.settings import Settings, SettingsError
from detector.settings.pattern_files import pattern_files


class Knowledge:
    """Reads the pattern files once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None

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


def catalogue(request: Request) -> Catalogue:
    """The catalogue in force."""
    knowledge: Knowledge = request.app.state.knowledge
    return knowledge.catalogue()
