"""Incidents: lists, one with all that is known of it, what became of it, who was told,
what is like it; and what people do with it.

In: filters, ids, acts. Out: rows and objects. An act is done once for each `Idempotency-Key`, under
the visitor's name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from detector.serve.api.models import IncidentItem
from detector.serve.api.params import (
    ACT,
    LIST,
    ONE,
    IncidentId,
    ListParameters,
    answer,
    existing,
    list_model,
    page,
    page_model,
)
from detector.serve.deps import history
from detector.serve.http.access import visitor
from detector.serve.http.errors import HttpError
from detector.serve.schemas import model_of
from detector.serve.writing import Made, done
from detector.store import IncidentRow
from detector.store.lifecycle.actions import ActionRefused, Actions
from detector.store.lifecycle.changes import Change
from detector.store.lifecycle.states import Act
from detector.store.query.detail_item import detail_item
from detector.store.query.notifications import NotificationRow, notifications_of

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
    """Does one thing. Raises Problem for what the state does not allow."""
    try:
        return done(request, order)
    except ActionRefused as refusal:
        raise HttpError(409, str(refusal)) from refusal


def request_of(who: str, key: str | None) -> str | None:
    """A request's id in the log of changes: one visitor's keys are not another's."""
    return f"{who} {key}" if key else None
