"""Figures: of incidents, and of user-space programs that crash.

In: filters. Out: counts.

Noise is never an incident.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from detector.render.units import Bucket
from detector.serve.api.models import model_of
from detector.serve.api.params import (
    LIST,
    FilterParameters,
    Parameters,
    answer,
    filter_of,
    list_model,
    span,
)
from detector.serve.deps import history
from detector.serve.http.errors import answers
from detector.store import NoiseRow
from detector.store.query.filters import FIELDS
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


noise_router = APIRouter(prefix="/api/v1/noise", tags=["noise"])
_WEEK_US = 7 * 86_400_000_000
_NOISE_COUNTED = (
    int | None,
    Field(description="only what came from then on was counted; null: all that was asked for"),
)
_ROWS = list_model("noise", NoiseRow, counted_us=_NOISE_COUNTED)


class NoiseParameters(Parameters):
    """The parameters of a list of noise."""

    by: list[Literal["host", "process", "signature"]] = Field(
        default=["host", "process", "signature"], description="what is kept apart"
    )
    host: str | None = Field(default=None, max_length=1_024, description=FIELDS["host"])
    process: str | None = Field(
        default=None, max_length=1_024, description="whole name of one program"
    )
    since: str | None = Field(default=None, max_length=100, description=FIELDS["since"])
    until: str | None = Field(default=None, max_length=100, description=FIELDS["until"])
    limit: int = Field(default=50, ge=1, le=500, description="most rows")


class HoursParameters(Parameters):
    """The parameters of noise by hour: host, process and times."""

    host: str | None = Field(default=None, max_length=1_024, description="whole name of one host")
    process: str | None = Field(default=None, max_length=1_024, description="name of one program")
    since: str | None = Field(
        default=None, max_length=100, description=f"{FIELDS['since']}; without it a week"
    )
    until: str | None = Field(default=None, max_length=100, description=FIELDS["until"])


@noise_router.get("", summary="Which programs crash", response_model=_ROWS, responses=LIST)
def noise(request: Request, parameters: Annotated[NoiseParameters, Query()]) -> Response:
    """Crashes of user-space programs, the most frequent first; whole hours that touch the time.

    Where a fleet has too many counts to add up at once, the newest are: `counted_us` says from when
    on.
    """
    since, until = span(request, parameters.since, parameters.until)
    kept = tuple(dict.fromkeys(parameters.by))
    host, process, top = parameters.host, parameters.process, parameters.limit
    page = history(request).noise(
        by=kept, host=host, process=process, since_us=since, until_us=until, top=top, quick=True
    )
    return answer({"noise": page.rows, "counted_us": page.counted_us})


@noise_router.get(
    "/hours",
    summary="Crashes of programs by the hour",
    response_model=list_model("hours", Bucket),
    responses=LIST,
)
def hours(request: Request, parameters: Annotated[HoursParameters, Query()]) -> Response:
    """Crashes of user-space programs by the hour (older ones by the day); hours without any are
    left out.
    """
    since, until = span(request, parameters.since, parameters.until)
    end = until if until is not None else request.app.state.clock()
    begin = since if since is not None else end - _WEEK_US
    buckets = history(request).noise_hours(
        host=parameters.host, process=parameters.process, since_us=begin, until_us=end
    )
    return answer({"hours": buckets})
