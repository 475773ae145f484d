"""A stored incident as a JSON object: what `incidents show --json` prints and what the API answers.

In: an `IncidentDetail`. Out: the object that `scan --json` prints of an incident, with what only
the history knows of it.
"""

from __future__ import annotations

from detector.model import Diagnosis
from detector.render.objects import Item, incident_item, moment
from detector.store.query.results import IncidentDetail


def detail_item(detail: IncidentDetail) -> Item:
    """The incident with its state, the time it was found at, and its report's lines. Fields are
    only ever added.
    """
    row = detail.row
    item = incident_item(detail.incident, row.fingerprint, None, detail.diagnosis or Diagnosis())
    item |= {"report": detail.report, "state": row.state, "found": moment(row.found_us)}
    if row.joined_into:
        item["joined_into"] = row.joined_into
    if detail.block:
        item["report_lines"] = list(detail.block.lines)
    return item
