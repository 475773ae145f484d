"""The problems of a history that resemble what somebody pasted.

In: a story and the history. Out: rows, and sentences; the same for page, API and command line.
"""

from __future__ import annotations

from detector.catalogue import Catalogue
from detector.diagnose import Diagnoser, Story
from detector.store import History
from detector.store.ingest.traces import names
from detector.store.query.alike import AlikeProblem

SHOWN = 5


def alike_of(story: Story, catalogue: Catalogue, history: History) -> list[AlikeProblem]:
    """The problems that resemble the report of a story, the most alike first."""
    if story.block is None:
        return []
    reading = Diagnoser(catalogue).read(story.block)
    return history.alike(reading.fingerprint, names(reading.report.frames), SHOWN)


def alike_words(alike_problem: AlikeProblem) -> str:
    """Returns how much a problem resembles it."""
    if alike_problem.same:
        return "the same crash"
    return f"{alike_problem.common} of {alike_problem.of} functions of the trace in the same order"
