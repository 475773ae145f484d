"""Finds the silences in force for an incident or a problem, for the banner on its page.

In: the history, what the page is about, the time. Out: silences, and what a form to add one needs.
"""

from __future__ import annotations

from typing import Any

from detector.alert.routing import RoutingFacts, covers
from detector.serve.pages.formatting import pattern
from detector.store import History
from detector.store.query.notifications import SilenceRow, silences
from detector.store.query.results import IncidentRow

LENGTHS = (
    (1, "1 hour"),
    (4, "4 hours"),
    (24, "1 day"),
    (72, "3 days"),
    (168, "1 week"),
    (720, "30 days"),
)


def of_incident(reading: History, row: IncidentRow, now_us: int) -> dict[str, Any]:
    """The silences that cover an incident, and one of its problem on its host to add."""
    facts = RoutingFacts(row.host, row.rule, row.severity, row.fingerprint, row.known_issue)  # type: ignore[arg-type]  # stored severities
    silences_read = [item for item in _in_force(reading, now_us) if covers(item, facts)]
    facts_of_row = {"host": pattern(row.host), "fingerprint": row.fingerprint or ""}
    facts_of_row |= {} if row.fingerprint else {"rule": row.rule}
    return {"silences": silences_read, "silence": facts_of_row, "lengths": LENGTHS}


def of_problem(reading: History, fingerprint: str, now_us: int) -> dict[str, Any]:
    """The silences of a problem, on every host or some, and one to add."""
    silences_read = [item for item in _in_force(reading, now_us) if item.fingerprint == fingerprint]
    return {"silences": silences_read, "silence": {"fingerprint": fingerprint}, "lengths": LENGTHS}


def _in_force(reading: History, now_us: int) -> list[SilenceRow]:
    return [silence for silence in silences(reading, now_us) if silence.starts_us <= now_us]
