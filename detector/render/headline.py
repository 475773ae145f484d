"""The headline of an incident: what crashed, and how far from which other line."""

from __future__ import annotations

from detector.correlate import gap
from detector.model import Incident
from detector.render.units import exact_seconds

# Characters of the other half's line that a headline quotes.
QUOTED = 120


def headline(title: str | None, incident: Incident) -> str:
    """Returns the symptom first, then the distance to the nearest other half and its line."""
    what = title or incident.anchor.text
    half = incident.nearest
    apart = gap(half, incident.anchor) if half else None
    if half is None or apart is None:
        return what
    order = "after" if apart[0] >= 0 else "before"
    quoted = half.text if len(half.text) <= QUOTED else half.text[: QUOTED - 1] + "…"
    return f"{what}, {exact_seconds(abs(apart[0]))} {order}: {quoted}"
