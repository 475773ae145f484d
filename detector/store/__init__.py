"""The history: one SQLite file that holds what was found, and is the correlator's memory.

`open_journal` writes it, `open_history` reads it; what is wrong with the file is a `StoreError` of
one line. Each part is imported when it is first asked for, so that a command's help is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detector.store.errors import StoreError
    from detector.store.ingest.journal import Journal, open_journal
    from detector.store.lifecycle.actions import ActionRefused, Actions, Change, open_actions
    from detector.store.query.history import History, open_history
    from detector.store.query.noise import NoiseColumn
    from detector.store.query.results import HistoryTotals, IncidentDetail, IncidentRow, NoiseRow

__all__ = [
    "ActionRefused",
    "Actions",
    "Change",
    "History",
    "HistoryTotals",
    "IncidentDetail",
    "IncidentRow",
    "Journal",
    "NoiseColumn",
    "NoiseRow",
    "StoreError",
    "open_actions",
    "open_history",
    "open_journal",
]

_PLACES = {
    "errors": ("StoreError",),
    "ingest.journal": ("Journal", "open_journal"),
    "lifecycle.actions": ("ActionRefused", "Actions", "Change", "open_actions"),
    "query.history": ("History", "open_history"),
    "query.noise": ("NoiseColumn",),
    "query.results": ("HistoryTotals", "IncidentDetail", "IncidentRow", "NoiseRow"),
}


def __getattr__(name: str) -> Any:
    """The part of a name, imported now."""
    for module, names in _PLACES.items():
        if name in names:
            value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
