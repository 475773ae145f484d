"""Kernel errors that no signature claims, by template.

In: filters, ids. Out: rows and details.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from detector.serve.api.params import LIST, ONE, ListParameters, answer, existing, page, page_model
from detector.serve.deps import history
from detector.serve.schemas import model_of
from detector.store.query.kernel_errors import KernelErrorDetail, KernelErrorRow

router = APIRouter(prefix="/api/v1/kernel-errors", tags=["kernel errors"])
TemplateId = Annotated[str, Path(max_length=100, description="the id of a template")]


class KernelErrorParameters(ListParameters):
    """A filter, and whether only news is wanted."""

    news: bool = Field(default=False, description="only what is new, or suddenly on many hosts")


@router.get(
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


@router.get(
    "/{id}",
    summary="One kernel error",
    response_model=model_of(KernelErrorDetail),
    responses=ONE,
)
def kernel_error(request: Request, id: TemplateId) -> Response:  # the address's name  # noqa: A002
    """A template with its releases, the hosts that printed it last, its lines by day, examples."""
    now_us = request.app.state.clock()
    return answer(existing(history(request).kernel_error(id, now_us), f"kernel error {id}"))
