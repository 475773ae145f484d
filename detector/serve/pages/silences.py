"""Silences: what nobody is told of, until when and why.

Adding and ending them are forms that `acting` answers.

In: the history. Out: a page of the silences that are not over.
"""

from __future__ import annotations

from fastapi import Request

from detector.serve.deps import history
from detector.serve.knowledge import catalogue
from detector.serve.pages.rendering import PageContent, now_us
from detector.serve.pages.silenced import LENGTHS
from detector.store.query import notifications
from detector.store.query.notifications import SilenceRow

PLACE = "/silences"


def silences(request: Request) -> PageContent:
    """Silences in force and to come. `?host=`, `?rule=` and `?fingerprint=` fill the form."""
    rows = notifications.silences(history(request), now_us(request))
    view = {
        "silences": [_shown(row) for row in rows],
        "rules": [rule.id for rule in catalogue(request).rules],
        "lengths": LENGTHS,
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
