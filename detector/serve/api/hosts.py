"""Hosts: who has crashed, all that is known of one, and crash rates of the fleet.

In: filters, names. Out: rows and details. A host's name comes from logs, and may hold anything, a
slash too.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from detector.serve.api.models import model_of
from detector.serve.api.params import (
    LIST,
    ONE,
    HostName,
    ListParameters,
    answer,
    existing,
    page,
    page_model,
    span,
)
from detector.serve.deps import history
from detector.serve.http.errors import answers
from detector.store.query.fleet import CrashRates
from detector.store.query.results import HostDetail, HostRow

router = APIRouter(prefix="/api/v1/hosts", tags=["hosts"])


@router.get(
    "", summary="Hosts, by name", response_model=page_model("hosts", HostRow), responses=LIST
)
def hosts(request: Request, parameters: Annotated[ListParameters, Query()]) -> Response:
    """Hosts that fit a filter."""
    return page("hosts", history(request).hosts, request, parameters)


@router.get("/{name:path}", summary="One host", response_model=model_of(HostDetail), responses=ONE)
def host(request: Request, name: HostName) -> Response:
    """A host with its latest boots, its newest incidents, and the programs that crash most on
    it.
    """
    return answer(existing(history(request).host(name), "such host"))


fleet_router = APIRouter(prefix="/api/v1", tags=["figures"])
Since = Annotated[
    str | None,
    Query(max_length=100, description="as in the filter language; 28 days where it is not given"),
]


@fleet_router.get(
    "/fleet",
    summary="Crashes per 1,000 hosts and week",
    response_model=model_of(CrashRates),
    responses=answers(401, 403, 422, 429, 503),
)
def fleet(
    request: Request,
    by: Literal["kernel", "hardware"] = "kernel",
    since: Since = None,
    until: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Crash rates by kernel release or hardware model, the highest first, small numbers last."""
    since_us, until_us = span(request, since, until)
    now = request.app.state.clock()
    return answer(history(request).crash_rates(by, since_us, until_us, now_us=now))
