"""A pasted log explained: what happened, what it means, and which problems of the history
resemble it.

In: a form with text. Out: a page. Nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from detector.serve.http.errors import HttpError
from detector.serve.http.gate import form_of
from detector.serve.pages.rendering import PageContent, as_html
from detector.serve.pasting import LONGEST, decided

PLACE = "/explain"
router = APIRouter(include_in_schema=False)


async def _form(request: Request) -> Mapping[str, str]:
    return form_of(await request.body())


@router.get(PLACE)
def form(request: Request) -> Response:
    """The empty form."""
    return as_html(request, PageContent("explain.html", "Explain", PLACE, _view("", None)))


@router.post(PLACE)
def explain(request: Request, fields: Annotated[Mapping[str, str], Depends(_form)]) -> Response:
    """The form with what was decided under it."""
    text = fields.get("text", "")
    if not text.strip() or len(text) > LONGEST:
        why = (
            f"At most {LONGEST // 1_024} kB can be explained at once."
            if text.strip()
            else "Paste a line, a block or a log first."
        )
        return as_html(
            request,
            PageContent("explain.html", "Explain", PLACE, _view("", None), status=422, notice=why),
        )
    try:
        decision = decided(request, text, None)
    except HttpError as error:
        view = _view(text, None)
        return as_html(
            request,
            PageContent(
                "explain.html",
                "Explain",
                PLACE,
                view,
                status=error.status_code,
                notice=str(error.detail),
            ),
        )
    return as_html(request, PageContent("explain.html", "Explain", PLACE, _view(text, decision)))


def _view(text: str, decision: Mapping[str, object] | None) -> dict[str, object]:
    return {"lines": text.splitlines(), "found": decision}
