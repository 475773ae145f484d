"""Noise: which user-space programs crash where, and by the hour.

In: hosts, times. Out: counts. Noise is never an incident.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from detector.render.series import Bucket
from detector.serve.api.params import LIST, Parameters, answer, list_model, span
from detector.serve.deps import history
from detector.store import NoiseRow
from detector.store.query.filters import FIELDS

router = APIRouter(prefix="/api/v1/noise", tags=["noise"])
_WEEK_US = 7 * 86_400_000_000
_COUNTED = (
    int | None,
    Field(description="only what came from then on was counted; null: all that was asked for"),
)
_ROWS = list_model("noise", NoiseRow, counted_us=_COUNTED)


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


@router.get("", summary="Which programs crash", response_model=_ROWS, responses=LIST)
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


@router.get(
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
