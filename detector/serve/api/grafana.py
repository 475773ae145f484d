"""Grafana: the endpoints of its JSON data source, so that incidents and noise can be
charted and marked in any dashboard.

In: targets such as `incidents?severity=critical&host=db-*` or `noise?host=db-1`: a name and
filters. Out: series and annotations.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, Field

from detector.render.objects import moment
from detector.render.units import Bucket
from detector.serve.deps import history
from detector.serve.http.errors import HttpError, answers
from detector.store.query import filters
from detector.store.query.filters import Filter, FilterError

router = APIRouter(prefix="/api/v1/grafana", tags=["grafana"])
TARGETS = ("incidents", "noise")
_ANSWERS = answers(401, 403, 413, 422, 429, 503)
_MOST_ANNOTATIONS = 500
_MOST_POINTS = 500


class Range(BaseModel):
    """The time of a dashboard."""

    from_: AwareDatetime = Field(alias="from")
    to: AwareDatetime


class Target(BaseModel):
    """One series that is asked for."""

    target: str = Field(
        default="incidents",
        max_length=2_000,
        description="incidents or noise, then ? and filters as in an address",
    )


class ChartQuery(BaseModel):
    """The body that Grafana posts to /query."""

    range: Range
    targets: list[Target] = Field(max_length=20)
    maxDataPoints: int = Field(default=100, ge=1)  # Grafana's name  # noqa: N815


class Annotation(BaseModel):
    """The name of an annotation query, and its filter."""

    query: str = Field(default="", max_length=2_000, description="filters as in an address")


class AnnotationQuery(BaseModel):
    """The body that Grafana posts to /annotations."""

    range: Range
    annotation: Annotation = Annotation()


class Series(BaseModel):
    """A series: [value, ms since 1970], the oldest first."""

    target: str
    datapoints: list[tuple[float, int]]


class Mark(BaseModel):
    """An annotation. `time` is ms since 1970."""

    time: int
    title: str
    text: str
    tags: list[str]


@router.get("/", include_in_schema=False)
@router.get("", summary="The data source answers")
def check() -> dict[str, str]:
    """Answers Grafana's Save & test, which asks with a slash behind the address."""
    return {"status": "ok"}


@router.post("/search", summary="What can be charted", responses=_ANSWERS)
def search() -> list[str]:
    """The names of targets."""
    return list(TARGETS)


@router.post("/query", summary="Series", responses=_ANSWERS)
def query(request: Request, body: ChartQuery) -> list[Series]:
    """Each target's counts over the dashboard's time."""
    return [_series(request, target.target, body) for target in body.targets]


@router.post("/annotations", summary="Incidents as annotations", responses=_ANSWERS)
def marks(request: Request, body: AnnotationQuery) -> list[Mark]:
    """Incidents of the filter, the newest so many."""
    criteria = _filter(request, body.annotation.query, body.range, "annotation.query")
    rows = history(request).search(criteria, limit=_MOST_ANNOTATIONS).rows
    return [
        Mark(
            time=(row.started_us or row.found_us) // 1_000,
            title=f"{row.host}: {row.title}",
            text=row.id,
            tags=[row.severity, row.rule],
        )
        for row in rows
    ]


def _series(request: Request, target: str, body: ChartQuery) -> Series:
    name, _, query_given = target.partition("?")
    if name == "incidents":
        criteria = _filter(request, query_given, body.range, "targets")
        buckets = (
            history(request)
            .survey(
                criteria, buckets=min(body.maxDataPoints, _MOST_POINTS), now_us=_us(body.range.to)
            )
            .histogram
        )
    elif name == "noise":
        buckets = _noise(request, query_given, body.range)
    else:
        raise HttpError(
            422, f"there is no such target: there are {', '.join(TARGETS)}", field="targets"
        )
    return Series(
        target=target,
        datapoints=[(float(bucket.count), bucket.start_us // 1_000) for bucket in buckets],
    )


def _noise(request: Request, query_given: str, span: Range) -> list[Bucket]:
    given = parse_qs(query_given, max_num_fields=10)
    if unknown := given.keys() - {"host", "process"}:
        raise HttpError(
            422, f"noise has no {min(unknown)[:100]}: it has host and process", field="targets"
        )
    noise_row: dict[str, Any] = {name: values[-1] for name, values in given.items()}
    return history(request).noise_hours(
        **noise_row, since_us=_us(span.from_), until_us=_us(span.to)
    )


def _filter(request: Request, query_given: str, span: Range, field: str) -> Filter:
    """The filter of a target within the dashboard's time; Grafana's time wins."""
    try:
        params: dict[str, list[str]] = parse_qs(query_given, max_num_fields=100)
        times = {"since": [moment(_us(span.from_)) or ""], "until": [moment(_us(span.to)) or ""]}
        return filters.parse(params | times, request.app.state.clock())
    except FilterError as error:
        raise HttpError(422, str(error), field=field) from error
    except ValueError as error:
        raise HttpError(422, "too many filters", field=field) from error


def _us(when: datetime) -> int:
    return int(when.timestamp()) * 1_000_000 + when.microsecond
