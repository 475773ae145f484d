"""A stored fault as an object, explained by the catalogue of today."""

from __future__ import annotations

from detector.catalogue import Catalogue
from detector.diagnose import Story, explanation_item
from detector.known.lookup import KnownBugs
from detector.render.objects import Item, as_object
from detector.store.query.faults import FaultDetail


def fault_item(detail: FaultDetail, catalogue: Catalogue, known_bugs: KnownBugs) -> Item:
    """Returns a fault's row, its line, its report verbatim, what it means, which known bugs it
    looks like.
    """
    story = Story(detail.block, (detail.match,))
    return {
        "type": "fault",
        **as_object(detail.row),
        "text": detail.match.text,
        "source": detail.match.source,
        "line_number": detail.match.number,
        "report_lines": list(detail.block.lines) if detail.block else [],
        "explanation": explanation_item(story, catalogue, known_bugs),
    }
