"""Incidents: lists, one with all that is known of it, what became of it, who was told,
what is like it; and what people do with it.

In: filters, ids, acts. Out: rows and objects. An act is done once for each `Idempotency-Key`, under
the visitor's name.

It is read page by page, so that it holds up nobody and takes no memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from detector.serve.api.models import IncidentItem, model_of
from detector.serve.api.params import (
    ACT,
    LIST,
    ONE,
    FilterParameters,
    IncidentId,
    ListParameters,
    Parameters,
    answer,
    existing,
    filter_of,
    list_model,
    page,
    page_model,
)
from detector.serve.deps import Made, done, history
from detector.serve.http.access import visitor
from detector.serve.http.errors import HttpError
from detector.store import IncidentRow
from detector.store.lifecycle.actions import ActionRefused, Actions
from detector.store.lifecycle.changes import Change
from detector.store.lifecycle.states import Act
from detector.store.query.detail_item import detail_item
from detector.store.query.filters import Filter
from detector.store.query.notifications import NotificationRow, notifications_of
from detector.store.query.results import Page

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=100,
        pattern=r"^[ -~]+$",
        description="a name of your own for this request: sent again, it is done once",
    ),
]
# What an act is called in the log of changes.
_CHANGED = {
    "acknowledge": "acknowledged",
    "resolve": "resolved",
    "reopen": "reopened",
    "note": "noted",
}


class ActReason(BaseModel):
    """The reason for an act."""

    model_config = ConfigDict(extra="forbid")

    reason: str | None = Field(
        default=None, max_length=4_000, description="why, for those who look later; a note's text"
    )


@router.get(
    "",
    summary="Incidents, newest first",
    response_model=page_model("incidents", IncidentRow),
    responses=LIST,
)
def incidents(request: Request, parameters: Annotated[ListParameters, Query()]) -> Response:
    """Live incidents that fit a filter. Values of one parameter: any of them; parameters: all
    of them.
    """
    return page("incidents", history(request).search, request, parameters)


@router.get("/{id}", summary="One incident", response_model=IncidentItem, responses=ONE)
def incident(request: Request, id: IncidentId) -> Response:  # the name in the address  # noqa: A002
    """An incident with its evidence, its report and what it means."""
    return JSONResponse(detail_item(existing(history(request).incident(id), f"incident {id}")))


@router.get(
    "/{id}/changes",
    summary="What became of it",
    response_model=list_model("changes", Change),
    responses=ONE,
)
def changes(request: Request, id: IncidentId) -> Response:  # noqa: A002
    """Every change of an incident, in order, with who made it and why."""
    existing(history(request).incident(id), f"incident {id}")
    return answer({"changes": history(request).changes_of(id)})


@router.get(
    "/{id}/notifications",
    summary="Who was told",
    response_model=list_model("notifications", NotificationRow),
    responses=ONE,
)
def notifications(request: Request, id: IncidentId) -> Response:  # noqa: A002
    """The notifications of an incident: to whom, when, and why one was not sent."""
    existing(history(request).incident(id), f"incident {id}")
    return answer({"notifications": notifications_of(history(request), id)})


@router.get(
    "/{id}/similar",
    summary="What is like it",
    response_model=list_model("incidents", IncidentRow),
    responses=ONE,
)
def similar(request: Request, id: IncidentId) -> Response:  # noqa: A002
    """Other incidents of the same problem, newest first."""
    existing(history(request).incident(id), f"incident {id}")
    return answer({"incidents": history(request).similar(id)})


def _act_route(what: Act, summary: str) -> None:
    """One route for each act, all alike."""

    def route(
        request: Request,
        id: IncidentId,  # noqa: A002
        body: ActReason | None = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        existing(history(request).incident(id), f"incident {id}")
        reason = body.reason if body else None
        who = visitor(request).name
        key = request_of(who, idempotency_key)
        change = acted(
            request, lambda actions: actions.act(id, what, actor=who, reason=reason, request=key)
        )
        if change.what != _CHANGED[what]:
            raise HttpError(
                409,
                f"this key was used to {change.what} it: give each request its own",
                field="Idempotency-Key",
            )
        return answer(change)

    route.__name__ = what
    router.post(f"/{{id}}/{what}", summary=summary, response_model=model_of(Change), responses=ACT)(
        route
    )


_act_route("acknowledge", "Somebody looks after it")
_act_route("resolve", "It is dealt with")
_act_route("reopen", "It is not dealt with after all")
_act_route("note", "Write something down")


def acted(request: Request, order: Callable[[Actions], Made]) -> Made:
    """Does one thing. Raises HttpError for what the state does not allow."""
    try:
        return done(request, order)
    except ActionRefused as refusal:
        raise HttpError(409, str(refusal)) from refusal


def request_of(who: str, key: str | None) -> str | None:
    """A request's id in the log of changes: one visitor's keys are not another's."""
    return f"{who} {key}" if key else None


export_router = APIRouter(prefix="/api/v1", tags=["incidents"])
_PAGE = 100
_NDJSON = "application/x-ndjson"


@export_router.get(
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
