"""A stored incident as a JSON object: what `incidents show --json` prints and what the API
answers.

In: an `IncidentDetail`. Out: the object that `scan --json` prints of an incident, with what only
the history knows of it.
"""

from __future__ import annotations

from detector.model import Diagnosis
from detector.render.objects import Item, as_object, incident_item
from detector.store.query.results import IncidentDetail


def detail_item(detail: IncidentDetail) -> Item:
    """The incident with its state, the time it was found at, and its report's lines. Fields are
    only ever added.
    """
    row = detail.row
    item = incident_item(
        detail.incident,
        row.fingerprint,
        detail.report,
        detail.diagnosis or Diagnosis(),
        row.title,
        as_object(detail.known_bugs),
    )
    lines = list(detail.block.lines) if detail.block else []
    whole: Item = as_object(row) | item | {"report_lines": lines}
    return whole
