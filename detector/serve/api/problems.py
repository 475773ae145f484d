"""Problems: all reports and incidents with one fingerprint, added up; and saying that one
is solved.

In: filters, fingerprints. Out: rows and details.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from detector.serve.api.incidents import IdempotencyKey, acted, request_of
from detector.serve.api.models import model_of
from detector.serve.api.params import (
    ACT,
    LIST,
    ONE,
    Fingerprint,
    ListParameters,
    answer,
    existing,
    page,
    page_model,
)
from detector.serve.deps import history
from detector.serve.http.access import visitor
from detector.store.query.advice import TEXT_LIMIT, AdviceKind
from detector.store.query.results import ProblemDetail, ProblemRow

router = APIRouter(prefix="/api/v1/problems", tags=["problems"])


class Resolution(BaseModel):
    """The solution of a problem: the release with the fix, and the reason."""

    model_config = ConfigDict(extra="forbid")

    fixed_in: str | None = Field(
        default=None,
        max_length=200,
        description="first kernel release with the fix; a later crash on it is a regression",
    )
    reason: str | None = Field(default=None, max_length=4_000)


class Advised(BaseModel):
    """A piece of knowledge about a problem, in the words of a person."""

    model_config = ConfigDict(extra="forbid")

    about: AdviceKind
    text: str = Field(
        max_length=TEXT_LIMIT, description="in place of what was known; empty: it is taken away"
    )


@router.get(
    "",
    summary="Problems, the latest first",
    response_model=page_model("problems", ProblemRow),
    responses=LIST,
)
def problems(request: Request, parameters: Annotated[ListParameters, Query()]) -> Response:
    """Problems that fit a filter."""
    return page("problems", history(request).problems, request, parameters)


@router.get(
    "/{fingerprint}", summary="One problem", response_model=model_of(ProblemDetail), responses=ONE
)
def problem(request: Request, fingerprint: Fingerprint) -> Response:
    """A problem with its hosts, kernels, days and newest incidents."""
    return answer(existing(history(request).problem(fingerprint), "such problem"))


@router.post(
    "/{fingerprint}/resolve",
    summary="It is solved",
    response_model=model_of(ProblemDetail),
    responses=ACT,
)
def resolve(
    request: Request,
    fingerprint: Fingerprint,
    body: Resolution | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Says that a problem is solved; its open incidents are resolved. One that is resolved
    already is refused, unless another release is said to have the fix.
    """
    existing(history(request).problem(fingerprint), "such problem")
    who, how = visitor(request).name, body or Resolution()
    key = request_of(who, idempotency_key)
    acted(
        request,
        lambda actions: actions.resolve_problem(
            fingerprint, actor=who, fixed_in=how.fixed_in, reason=how.reason, request=key
        ),
    )
    return problem(request, fingerprint)


@router.post(
    "/{fingerprint}/advice",
    summary="What is known of it",
    response_model=model_of(ProblemDetail),
    responses=ACT,
)
def advise(request: Request, fingerprint: Fingerprint, body: Advised) -> Response:
    """Keeps a cause, a workaround or a ticket: the next incident of the problem and its
    message say it.
    """
    existing(history(request).problem(fingerprint), "such problem")
    who = visitor(request).name
    acted(request, lambda actions: actions.advise(fingerprint, body.about, body.text, actor=who))
    return problem(request, fingerprint)


@router.post(
    "/{fingerprint}/reopen",
    summary="It is not solved after all",
    response_model=model_of(ProblemDetail),
    responses=ACT,
)
def reopen(request: Request, fingerprint: Fingerprint) -> Response:
    """Says that a problem is not solved; its incidents stay as they are."""
    existing(history(request).problem(fingerprint), "such problem")
    acted(request, lambda actions: actions.reopen_problem(fingerprint, actor=visitor(request).name))
    return problem(request, fingerprint)
