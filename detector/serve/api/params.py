"""The parameters of every list of the API: the filter language, a page's place, its rows.

In: a request's parameters, checked against the models here, which OpenAPI shows. Out: a `Filter`,
or a problem that names the parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.responses import JSONResponse, Response

from detector.render.objects import as_object
from detector.serve.api.models import model_of
from detector.serve.deps import history
from detector.serve.http.errors import HttpError, answers
from detector.store.query import filters
from detector.store.query.filters import Filter
from detector.store.query.problem_names import NamingProgress
from detector.store.query.results import Page

# What may go wrong with any request to a list, for OpenAPI; and with any to one thing.
LIST = answers(401, 403, 422, 429, 503)
ONE = answers(401, 403, 404, 422, 429, 503)
ACT = answers(401, 403, 404, 409, 413, 422, 429, 503)

IncidentId = Annotated[
    str, Path(pattern=r"^[0-9a-f]{16}$", description="the whole id of an incident")
]
Fingerprint = Annotated[str, Path(max_length=200, description="the fingerprint of a problem")]
HostName = Annotated[str, Path(max_length=1_024, description="the whole name of a host")]

Noun = TypeVar("Noun")


class Parameters(BaseModel):
    """Unknown parameters are mistakes."""

    model_config = ConfigDict(extra="forbid")


# Python has a word of its own for `class`; the parameter's name is its alias.
FilterParameters: type[Parameters] = create_model(
    "FilterParameters",
    __base__=Parameters,
    **{
        name if name != "class" else "class_": (
            list[str],
            Field(
                default=[],
                alias=name,
                description=f"{meaning}; given again: any of them"
                if name not in {"since", "until"}
                else meaning,
            ),
        )
        for name, meaning in filters.FIELDS.items()
    },  # type: ignore[call-overload]
)


class ListParameters(FilterParameters):
    """A filter, and which page of its list."""

    after: str | None = Field(
        default=None, max_length=500, description="`next` of an earlier page: the rows after it"
    )
    limit: int = Field(default=50, ge=1, le=500, description="most rows")


def filter_of(request: Request, parameters: Parameters) -> Filter:
    """The filter of a request. Raises `FilterError` with the parameter at fault."""
    given = {
        name: value
        for name, value in parameters.model_dump(by_alias=True).items()
        if name in filters.FIELDS and value
    }
    return filters.parse(given, request.app.state.clock())


def span(request: Request, since: str | None, until: str | None) -> tuple[int | None, int | None]:
    """Two times as the filter language writes them, in µs since 1970."""
    given = {
        name: [text] for name, text in (("since", since), ("until", until)) if text is not None
    }
    criteria = filters.parse(given, request.app.state.clock())
    return criteria.since_us, criteria.until_us


def existing(value: Noun | None, what: str) -> Noun:
    """The value; a problem where there is none."""
    if value is None:
        raise HttpError(404, f"there is no {what}")
    return value


def answer(value: Any, status: int = 200) -> Response:
    """Nouns as JSON."""
    return JSONResponse(as_object(value), status)


def page(
    name: str, listed: Callable[..., Page[Any]], request: Request, parameters: ListParameters
) -> Response:
    """A page of a list that fits a request's filter: its rows under their name, and `next`;
    where known bugs were asked for, how many problems are named by them so far.
    """
    criteria = filter_of(request, parameters)
    page_read = listed(criteria, after=parameters.after, limit=parameters.limit)
    members: dict[str, Any] = {name: page_read.rows, "next": page_read.next}
    if criteria.known or criteria.fixable:
        members["naming"] = history(request).naming()
    return answer(members)


def page_model(name: str, noun: type[Any]) -> type[BaseModel]:
    """The model of such a page."""
    next_type = (
        str | None,
        Field(description="give it as `after` for the rows that follow; null: there are none"),
    )
    row: Any = model_of(noun)
    naming_type = (
        model_of(NamingProgress) | None,
        Field(
            default=None,
            description="where `known` or `fixable` is asked for: how many of the problems that "
            "may look like a known bug have been looked at; the rest follows by itself",
        ),
    )
    members: dict[str, Any] = {
        name: (list[row], ...),
        "next": next_type,
        "naming": naming_type,
    }
    made: type[BaseModel] = create_model(f"{name.capitalize()}Page", **members)
    return made


def list_model(name: str, noun: type[Any], **beside: Any) -> type[BaseModel]:
    """The model of a list that is whole, with members beside it."""
    row: Any = model_of(noun)
    members: dict[str, Any] = {name: (list[row], ...), **beside}
    made: type[BaseModel] = create_model(f"{name.capitalize()}List", **members)
    return made
