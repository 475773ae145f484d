"""Silences: their page, and the banner of those in force for an incident or a problem.

Adding and ending them are forms that `acting` answers.

In: the history. Out: a page of the silences that are not over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import Request

from detector.alert.routing import RoutingFacts, covers
from detector.serve.deps import catalogue, history
from detector.serve.pages.formatting import pattern
from detector.serve.pages.rendering import PageContent, now_us
from detector.store import History
from detector.store.query import notifications
from detector.store.query.notifications import SilenceRow
from detector.store.query.notifications import silences as stored_silences
from detector.store.query.results import IncidentRow

# Incidents that are silenced at once: those of a page.
MOST_CHOSEN = 50
LENGTHS = (
    (1, "1 hour"),
    (4, "4 hours"),
    (24, "1 day"),
    (72, "3 days"),
    (168, "1 week"),
    (720, "30 days"),
)


def of_each(reading: History, identities: Iterable[str]) -> list[dict[str, str]]:
    """One silence of its problem on its host for each incident, none twice."""
    details = [reading.incident(identity) for identity in dict.fromkeys(identities)]
    covers = [_facts(detail.row) for detail in details if detail is not None]
    return [item for number, item in enumerate(covers) if item not in covers[:number]]


def _facts(row: IncidentRow) -> dict[str, str]:
    """Returns what a silence of an incident's problem on its host covers."""
    facts = {"host": pattern(row.host), "fingerprint": row.fingerprint or ""}
    return facts if row.fingerprint else facts | {"rule": row.rule}


def of_incident(reading: History, row: IncidentRow, now_us: int) -> dict[str, Any]:
    """The silences that cover an incident, and one of its problem on its host to add."""
    facts = RoutingFacts(row.host, row.rule, row.severity, row.fingerprint, row.known_issue)  # type: ignore[arg-type]  # stored severities
    silences_read = [item for item in _in_force(reading, now_us) if covers(item, facts)]
    return {"silences": silences_read, "silence": _facts(row), "lengths": LENGTHS}


def of_problem(reading: History, fingerprint: str, now_us: int) -> dict[str, Any]:
    """The silences of a problem, on every host or some, and one to add."""
    silences_read = [item for item in _in_force(reading, now_us) if item.fingerprint == fingerprint]
    return {"silences": silences_read, "silence": {"fingerprint": fingerprint}, "lengths": LENGTHS}


def _in_force(reading: History, now_us: int) -> list[SilenceRow]:
    return [silence for silence in stored_silences(reading, now_us) if silence.starts_us <= now_us]


PLACE = "/silences"


def silences(request: Request) -> PageContent:
    """Silences in force and to come. `?host=`, `?rule=` and `?fingerprint=` fill the form;
    `?id=`, again and again, are incidents to silence.
    """
    rows = notifications.silences(history(request), now_us(request))
    chosen = request.query_params.getlist("id")[:MOST_CHOSEN]
    view = {
        "silences": [_shown(row) for row in rows],
        "rules": [rule.id for rule in catalogue(request).rules],
        "lengths": LENGTHS,
        "chosen": chosen,
        "each": of_each(history(request), chosen),
        "given": {
            name: request.query_params.get(name, "")[:200]
            for name in ("host", "rule", "fingerprint")
        },
    }
    return PageContent("silences.html", "Silences", PLACE, view, {"silences": rows}, rows)


def _shown(row: SilenceRow) -> dict[str, object]:
    """A silence with what it covers as pairs."""
    covers = [
        (name, value) for name in ("host", "rule", "fingerprint") if (value := getattr(row, name))
    ]
    names = ("id", "starts_us", "ends_us", "author", "comment")
    return {"covers": covers} | {name: getattr(row, name) for name in names}
