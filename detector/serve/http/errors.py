"""Errors as RFC 9457 has them: `application/problem+json` with type, title, status, detail
and, where one is at fault, the field.

In: what went wrong, as an exception. Out: a response. Texts that a client sent are quoted in JSON
only; nothing here makes markup.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from detector.store import StoreError
from detector.store.query.filters import FilterError

MEDIA_TYPE = "application/problem+json"
# A client's own value is quoted back no longer than this.
_QUOTED = 200


class ProblemBody(BaseModel):
    """Body of every error answer."""

    type: str = Field(
        default="about:blank",
        description="always about:blank: the status says what kind of problem it is",
    )
    title: str = Field(description="the status in words")
    status: int = Field(description="the HTTP status")
    detail: str = Field(description="one sentence: what is wrong and what to do")
    field: str | None = Field(
        default=None, description="the parameter, header or member of the body that is at fault"
    )


class HttpError(HTTPException):
    """An error with its status, a sentence for people, and the field at fault."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.field = field


def respond(problem: HTTPException) -> Response:
    """The response that tells a problem."""
    title = HTTPStatus(problem.status_code).phrase
    body = ProblemBody(
        title=title,
        status=problem.status_code,
        detail=problem.detail,
        field=getattr(problem, "field", None),
    )
    # Escaped to ASCII, so that a client's lone surrogate cannot break the answer.
    content = json.dumps(body.model_dump(exclude_none=True))
    return Response(
        content, problem.status_code, headers=dict(problem.headers or {}), media_type=MEDIA_TYPE
    )


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · oopswatch</title><link rel="stylesheet" href="/static/oopswatch.css">
</head>
<body>
<main>
<h1>{title}</h1>
<p role="alert">{detail}</p>
<p><a href="/">To the overview</a></p>
</main>
</body>
</html>
"""


def wants_page(request: Request) -> bool:
    """Returns whether a person with a browser asks, and not a program."""
    path = request.url.path
    return not path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def respond_to(request: Request, problem: HTTPException) -> Response:
    """Returns an error as a page for a person, as a problem for a program."""
    if not wants_page(request):
        return respond(problem)
    title = HTTPStatus(problem.status_code).phrase
    page = _PAGE.format(title=escape(title), detail=escape(str(problem.detail)))
    return HTMLResponse(page, problem.status_code, headers=dict(problem.headers or {}))


def install(app: FastAPI) -> None:
    """Lets every error of an application answer as a problem."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(FilterError, _filter)
    app.add_exception_handler(StoreError, _store)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if not isinstance(error, HttpError):
        words = {
            404: f"nothing is at {request.url.path[:_QUOTED]}",
            405: f"{request.method[:16]} is not possible here",
        }
        error = HttpError(
            error.status_code,
            words.get(error.status_code, str(error.detail)),
            headers=error.headers,
        )
    return respond_to(request, error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in {"query", "path", "body", "header"}]
    text = "there is no such parameter" if first["type"] == "extra_forbidden" else str(first["msg"])
    return respond_to(request, HttpError(422, text, field=".".join(place)[:_QUOTED] or "body"))


async def _filter(request: Request, error: Exception) -> Response:
    assert isinstance(error, FilterError)
    return respond_to(request, HttpError(422, error.message, field=error.field[:_QUOTED]))


async def _store(request: Request, error: Exception) -> Response:
    """The file is busy, gone or damaged: the message says what to do."""
    return respond_to(request, HttpError(503, str(error), headers={"Retry-After": "5"}))


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Returns how a route declares its problems, for OpenAPI."""
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }
