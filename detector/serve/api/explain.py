"""What the catalogue makes of a piece of log: the text in, the decision out. Nothing is stored.

In: text as somebody pasted it, bounded. Out: the matches, each report with what it means, what
could not be read.
"""

from __future__ import annotations

import threading

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from detector.render.objects import match_item
from detector.serve.api.models import ExplanationItem, MatchItem
from detector.serve.http.errors import HttpError, answers
from detector.serve.knowledge import bugs, catalogue

router = APIRouter(prefix="/api/v1", tags=["catalogue"])
_LONGEST = 256 * 1_024
# Reading a pasted log is the dearest thing that a visitor can ask for.
_AT_ONCE = threading.BoundedSemaphore(2)
_SOURCE = "-"


class Pasted(BaseModel):
    """A line, a block or a log."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(
        min_length=1, max_length=_LONGEST, description="in any format that `scan` reads"
    )
    host: str | None = Field(
        default=None, max_length=1_024, description="the host of every line, whatever the lines say"
    )


class Unread(BaseModel):
    """A line that no format reads."""

    line_number: int
    reason: str


class Decision(BaseModel):
    """What was decided."""

    lines: int = Field(description="how many lines were read")
    matches: list[MatchItem]
    explanations: list[ExplanationItem]
    unread: list[Unread]


@router.post(
    "/explain",
    summary="Explain a log",
    response_model=Decision,
    responses=answers(401, 403, 413, 422, 429, 503),
)
def explain(request: Request, body: Pasted) -> Response:
    """What happened, where, why, which known bug, what to do next."""
    # Imported here: a start need not wait for what reads and explains logs.
    from detector import diagnose
    from detector.parse import Parser
    from detector.sources.files.paste import records_of

    known, names = catalogue(request), bugs(request)
    if not _AT_ONCE.acquire(timeout=5):
        raise HttpError(
            429, "others have a log explained just now: try again", headers={"Retry-After": "5"}
        )
    try:
        records = records_of(_SOURCE, body.text.encode("utf-8", "backslashreplace"))
        settings = request.app.state.settings
        parser = Parser(
            host=body.host or settings.parse.host,
            format=settings.parse.format,
            zone=settings.parse.timezone,
            policy=settings.trust.policy(),
        )
        lines, unread = diagnose.read_lines(records, parser, request.app.state.clock())
        found, blocks = diagnose.decide(lines, known)
        content = {
            "lines": len(lines),
            "matches": [match_item(one) for one in found],
            "explanations": [
                diagnose.explanation_item(story, known, names)
                for story in diagnose.stories(blocks, found)
            ],
            "unread": [{"line_number": one.number, "reason": one.reason} for one in unread],
        }
    finally:
        _AT_ONCE.release()
    return JSONResponse(content)
