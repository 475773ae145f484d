"""Kernel faults: every one of the history, in an incident or not.

In: filters, numbers. Out: rows and details.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from detector.app.faults import fault_item
from detector.serve.api.models import ExplanationItem
from detector.serve.api.params import LIST, ONE, ListParameters, answer, existing, page, page_model
from detector.serve.deps import history
from detector.serve.knowledge import bugs, catalogue
from detector.serve.schemas import model_of
from detector.store.query.faults import FaultRow

router = APIRouter(prefix="/api/v1/faults", tags=["faults"])
FaultId = Annotated[int, Path(ge=0, lt=1 << 63, description="the number of a fault")]


class FaultItem(model_of(FaultRow)):  # type: ignore[misc]  # made from the row's fields
    """A fault, whole: its row in lists, its line, its report's lines, what it means."""

    type: Literal["fault"]
    text: str
    source: str
    line_number: int
    report_lines: list[str]
    explanation: ExplanationItem


@router.get(
    "",
    summary="Kernel faults, newest first",
    response_model=page_model("faults", FaultRow),
    responses=LIST,
)
def faults(request: Request, parameters: Annotated[ListParameters, Query()]) -> Response:
    """Kernel faults that fit a filter. A page may have fewer rows than `limit` and a `next`."""
    heads = catalogue(request).opening
    return page("faults", partial(history(request).faults, heads=heads), request, parameters)


@router.get("/{id}", summary="One fault", response_model=FaultItem, responses=ONE)
def fault(request: Request, id: FaultId) -> Response:  # the name in the address  # noqa: A002
    """A fault with its line, its report verbatim, and what it means."""
    detail = existing(history(request).fault(id), f"fault {id}")
    return answer(fault_item(detail, catalogue(request), bugs(request)))
