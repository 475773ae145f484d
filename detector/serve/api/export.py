"""Export: every incident of a filter as NDJSON, one whole object a line, as long as it
takes.

In: a filter. Out: a stream, newest first. It is read page by page, so that it holds up nobody and
takes no memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from detector.serve.api.params import LIST, FilterParameters, Parameters, filter_of
from detector.serve.deps import history
from detector.store import IncidentRow
from detector.store.query.detail_item import detail_item
from detector.store.query.filters import Filter
from detector.store.query.results import Page

router = APIRouter(prefix="/api/v1", tags=["incidents"])
_PAGE = 100
_NDJSON = "application/x-ndjson"


@router.get(
    "/export",
    summary="Every incident of a filter",
    response_class=StreamingResponse,
    responses=LIST
    | {
        200: {
            "description": "one object of /api/v1/incidents/{id} a line",
            "content": {_NDJSON: {}},
        }
    },
)
def export(request: Request, parameters: Annotated[FilterParameters, Query()]) -> Response:
    """NDJSON: whole incidents, as `incidents list --json` prints them."""
    assert isinstance(parameters, Parameters)
    criteria = filter_of(request, parameters)
    # A filter that cannot be answered is said before the answer begins.
    first = history(request).search(criteria, limit=_PAGE)
    return StreamingResponse(_lines(request, criteria, first), media_type=_NDJSON)


def _lines(request: Request, criteria: Filter, listed: Page[IncidentRow]) -> Iterator[str]:
    """Each step may run on another thread, and asks for the history there."""
    while True:
        details = (history(request).incident(row.id) for row in listed.rows)
        yield "".join(
            f"{json.dumps(detail_item(detail))}\n" for detail in details if detail is not None
        )
        if listed.next is None:
            return
        listed = history(request).search(criteria, after=listed.next, limit=_PAGE)
