"""Figures about incidents: what on-call looks at first, the frequent values of fields, how
many over time.

In: filters. Out: counts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from detector.render.series import Bucket
from detector.serve.api.params import LIST, FilterParameters, answer, filter_of
from detector.serve.deps import history
from detector.serve.http.errors import answers
from detector.serve.schemas import model_of
from detector.store.query.results import Counted, Facet, Overview

router = APIRouter(prefix="/api/v1", tags=["figures"])

# The columns that have facets: `search.COLUMNS`, which a test compares.
FacetName = Literal[
    "host", "rule", "severity", "state", "problem", "function", "module", "kernel", "known_issue"
]
_FACET: Any = model_of(Facet)
_BUCKET: Any = model_of(Bucket)
_COUNTED: Any = model_of(Counted)


class FacetParameters(FilterParameters):
    """A filter, and the fields whose values are counted."""

    names: list[FacetName] = Field(
        default=["severity", "state", "host", "rule"],
        description="fields to count; given again: more of them",
    )
    limit: int = Field(default=10, ge=1, le=100, description="most values of each")


class HistogramParameters(FilterParameters):
    """A filter, and into how many parts its time is cut."""

    buckets: int = Field(default=60, ge=1, le=500, description="most parts")


class Facets(BaseModel):
    """Field → its most frequent values among the newest incidents of the filter."""

    facets: dict[str, list[_FACET]]


class Histogram(BaseModel):
    """Incidents over time, the oldest part first; `count` is how many the filter has."""

    histogram: list[_BUCKET]
    count: _COUNTED


@router.get(
    "/stats/overview",
    summary="What on-call looks at first",
    response_model=model_of(Overview),
    responses=answers(401, 403, 429, 503),
)
def overview(request: Request) -> Response:
    """Open incidents, new problems, regressions, the hours of the worst hosts, the noisiest
    programs.
    """
    return answer(history(request).overview(request.app.state.clock()))


@router.get("/facets", summary="Frequent values of fields", response_model=Facets, responses=LIST)
def facets(request: Request, parameters: Annotated[FacetParameters, Query()]) -> Response:
    """The most frequent values of some fields among the incidents of a filter."""
    names = tuple(dict.fromkeys(parameters.names))
    return answer(
        {
            "facets": history(request)
            .survey(filter_of(request, parameters), names, values=parameters.limit)
            .facets
        }
    )


@router.get("/histogram", summary="Incidents over time", response_model=Histogram, responses=LIST)
def histogram(request: Request, parameters: Annotated[HistogramParameters, Query()]) -> Response:
    """Counts the incidents of a filter over time."""
    survey = history(request).survey(
        filter_of(request, parameters), buckets=parameters.buckets, now_us=request.app.state.clock()
    )
    return answer({"histogram": survey.histogram, "count": survey.counted})
