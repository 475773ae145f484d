"""Endpoint that explains a piece of log: the text in, the decision out. Nothing is stored.

In: text as somebody pasted it, bounded. Out: the matches, each report with what it means, what
could not be read.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from detector.serve.api.models import ExplanationItem, MatchItem, model_of
from detector.serve.http.errors import answers
from detector.serve.pasting import LONGEST, decided
from detector.store.query.alike import AlikeProblem

router = APIRouter(prefix="/api/v1", tags=["catalogue"])
_ALIKE: Any = model_of(AlikeProblem)


class Pasted(BaseModel):
    """A line, a block or a log."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(
        min_length=1, max_length=LONGEST, description="in any format that `scan` reads"
    )
    host: str | None = Field(
        default=None, max_length=1_024, description="the host of every line, whatever the lines say"
    )


class Unread(BaseModel):
    """A line that no format reads."""

    line_number: int
    reason: str


class PastedExplanation(ExplanationItem):
    """A pasted report explained, with the problems of the history that resemble it."""

    similar: list[_ALIKE]


class Decision(BaseModel):
    """The decision about a piece of log."""

    lines: int = Field(description="how many lines were read")
    matches: list[MatchItem]
    explanations: list[PastedExplanation]
    unread: list[Unread]


@router.post(
    "/explain",
    summary="Explain a log",
    response_model=Decision,
    responses=answers(401, 403, 413, 422, 429, 503),
)
def explain(request: Request, body: Pasted) -> Response:
    """The faults of a pasted log, with cause, place, known bug, next step and similar problems."""
    return JSONResponse(decided(request, body.text, body.host))
