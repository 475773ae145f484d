"""The problems of a history that resemble what somebody pasted.

In: a story and the history. Out: rows, and sentences; the same for page, API and command line.
"""

from __future__ import annotations

from detector import crash
from detector.catalogue import Catalogue
from detector.diagnose import Story, report_of
from detector.known.lookup import GENERIC
from detector.store import History
from detector.store.ingest.traces import names
from detector.store.query.alike import AlikeProblem

SHOWN = 5


def alike_of(story: Story, catalogue: Catalogue, history: History) -> list[AlikeProblem]:
    """The problems that resemble the report of a story, the most alike first."""
    report = report_of(story, catalogue)
    if report is None:
        return []
    generic = catalogue.lists.get(GENERIC, frozenset[str]())
    return history.alike(crash.fingerprint(report, generic), names(report.frames), SHOWN)


def alike_words(one: AlikeProblem) -> str:
    """How much a problem resembles it."""
    if one.same:
        return "the same crash"
    return f"{one.common} of {one.of} functions of the trace in the same order"
