"""Endpoint of crash rates by kernel release and by hardware model.

In: a time. Out: counts and rates.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from detector.serve.api.params import answer, span
from detector.serve.deps import history
from detector.serve.http.errors import answers
from detector.serve.schemas import model_of
from detector.store.query.fleet import CrashRates

router = APIRouter(prefix="/api/v1", tags=["figures"])
Since = Annotated[
    str | None,
    Query(max_length=100, description="as in the filter language; 28 days where it is not given"),
]


@router.get(
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
