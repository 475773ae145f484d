"""New and changed incidents as they come: server-sent events with the ids of the log of
changes, so that nobody misses one.

In: `Last-Event-ID`, or `after`. Out: an endless stream; a comment when it is quiet, so that proxies
keep it open.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import BaseModel, create_model
from starlette.responses import Response, StreamingResponse

from detector.render.objects import as_object
from detector.serve.api.models import model_of
from detector.serve.deps import Connections
from detector.serve.follower import ChangeFollower
from detector.serve.http.errors import HttpError, answers
from detector.store import IncidentRow
from detector.store.lifecycle.changes import Change

router = APIRouter(prefix="/api/v1", tags=["incidents"])
_QUIET_S = 15.0
_RETRY_MS = 2_000
_GREATEST = (1 << 62) - 1

_ROW: Any = model_of(IncidentRow)
_STREAM = {
    "description": "events `change`, whose data is a ChangeEvent",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
EVENT: type[BaseModel] = create_model(
    "ChangeEvent",
    __doc__="One change, with the incident as it is now.",
    __base__=model_of(Change),
    incident=(_ROW | None, ...),
)


class Happened:
    """A change with the incident as it was when the change was seen."""

    __slots__ = ("data", "id")

    def __init__(self, id: int, data: str) -> None:  # noqa: A002
        self.id = id
        self.data = data


def read(reading: Connections, after: int, limit: int) -> list[Happened]:
    """The changes after one, with their incidents, each incident looked at once."""
    history = reading.history()
    changes = history.changes(after, limit)
    rows = {
        fromkey: history.incident(fromkey)
        for fromkey in dict.fromkeys(change.incident_id for change in changes)
    }
    happened = []
    for change in changes:
        detail = rows[change.incident_id]
        item: dict[str, Any] = as_object(change) | {
            "incident": as_object(detail.row) if detail else None
        }
        happened.append(Happened(change.id, json.dumps(item)))
    return happened


@router.get(
    "/events",
    summary="New and changed incidents, as they come",
    response_class=StreamingResponse,
    responses=answers(401, 403, 422, 429, 503)
    | {
        200: {
            "description": "events `change`, whose data is a ChangeEvent",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def events(
    request: Request,
    after: Annotated[
        int | None,
        Query(ge=0, le=_GREATEST, description="changes after this id; without it from now on"),
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="as browsers send it; stronger than `after`")
    ] = None,
) -> Response:
    """Server-sent events. Comes back with `Last-Event-ID`, and nothing is missed."""
    follower: ChangeFollower[Happened] = request.app.state.follower
    if follower.full:
        raise HttpError(
            503,
            "as many listen as may (serve.max_listeners): try again",
            headers={"Retry-After": "10"},
        )
    if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
        after = min(int(last_event_id[:20]), _GREATEST)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _stream(follower, after), media_type="text/event-stream", headers=headers
    )


async def _stream(follower: ChangeFollower[Happened], after: int | None) -> AsyncIterator[bytes]:
    quiet = format_sse_event(retry=_RETRY_MS)
    async for happened in follower.follow(after, _QUIET_S):
        if happened is None:
            yield quiet
            quiet = KEEPALIVE_COMMENT
        else:
            yield format_sse_event(event="change", id=str(happened.id), data_str=happened.data)
