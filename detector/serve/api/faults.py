"""Kernel faults, in an incident or not, and kernel errors that no signature claims.

In: filters, numbers. Out: rows and details.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from detector.app.standing import fault_item
from detector.serve.api.models import ExplanationItem, model_of
from detector.serve.api.params import LIST, ONE, ListParameters, answer, existing, page, page_model
from detector.serve.deps import bugs, catalogue, history
from detector.store.query.faults import FaultRow
from detector.store.query.kernel_errors import KernelErrorDetail, KernelErrorRow

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


kernel_errors_router = APIRouter(prefix="/api/v1/kernel-errors", tags=["kernel errors"])
TemplateId = Annotated[str, Path(max_length=100, description="the id of a template")]


class KernelErrorParameters(ListParameters):
    """A filter, and whether only news is wanted."""

    news: bool = Field(default=False, description="only what is new, or suddenly on many hosts")


@kernel_errors_router.get(
    "",
    summary="Kernel errors that no signature claims",
    response_model=page_model("kernel_errors", KernelErrorRow),
    responses=LIST,
)
def kernel_errors(
    request: Request, parameters: Annotated[KernelErrorParameters, Query()]
) -> Response:
    """Templates of kernel errors that fit a filter: those that are news first, then by hosts."""
    now_us = request.app.state.clock()
    listed = partial(history(request).kernel_errors, now_us=now_us, news=parameters.news)
    return page("kernel_errors", listed, request, parameters)


@kernel_errors_router.get(
    "/{id}",
    summary="One kernel error",
    response_model=model_of(KernelErrorDetail),
    responses=ONE,
)
def kernel_error(request: Request, id: TemplateId) -> Response:  # the address's name  # noqa: A002
    """A template with its releases, the hosts that printed it last, its lines by day, examples."""
    now_us = request.app.state.clock()
    return answer(existing(history(request).kernel_error(id, now_us), f"kernel error {id}"))
