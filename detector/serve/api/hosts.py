"""Hosts: who has crashed, and all that is known of one.

In: filters, names. Out: rows and details. A host's name comes from logs, and may hold anything, a
slash too.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from detector.serve.api.params import (
    LIST,
    ONE,
    HostName,
    ListParameters,
    answer,
    existing,
    page,
    page_model,
)
from detector.serve.deps import history
from detector.serve.schemas import model_of
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
