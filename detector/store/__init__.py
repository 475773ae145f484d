"""The history: one SQLite file that holds what was found, and is the correlator's memory.

`open_journal` writes it, `open_history` reads it; what is wrong with the file is a `StoreError` of
one line.
"""

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
