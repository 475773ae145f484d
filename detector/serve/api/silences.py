"""Silences: for how long nobody is told of which incidents.

In: what a silence covers, until when and why. Out: the silences that are not over.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from detector.app.rule_names import demand_rule
from detector.serve.api.incidents import acted
from detector.serve.api.models import model_of
from detector.serve.api.params import ACT, LIST, answer, existing, list_model
from detector.serve.deps import catalogue, history
from detector.serve.http.access import visitor
from detector.store.query.notifications import SilenceRow, silences

router = APIRouter(prefix="/api/v1/silences", tags=["silences"])
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NewSilence(BaseModel):
    """A silence to make, for incidents that fit all of its conditions: one at least."""

    model_config = ConfigDict(extra="forbid")

    host: str | None = Field(default=None, max_length=1_024, description="host, or a shell pattern")
    rule: str | None = Field(default=None, max_length=200)
    fingerprint: str | None = Field(default=None, max_length=200)
    starts: AwareDatetime | None = Field(default=None, description="RFC 3339; without it now")
    ends: AwareDatetime = Field(description="RFC 3339")
    comment: str = Field(min_length=1, max_length=4_000, description="why")


@router.get(
    "",
    summary="Silences that are not over",
    response_model=list_model("silences", SilenceRow),
    responses=LIST,
)
def in_force(request: Request) -> Response:
    """Silences that are in force, and those that begin later."""
    return answer({"silences": silences(history(request), request.app.state.clock())})


@router.post(
    "",
    summary="Silence something",
    status_code=201,
    response_model=model_of(SilenceRow),
    responses=ACT,
)
def silence(request: Request, body: NewSilence) -> Response:
    """Nobody is told of incidents that fit, while it lasts."""
    now = request.app.state.clock()
    if body.rule is not None:
        demand_rule(body.rule, catalogue(request))
    starts_us = now if body.starts is None else _us(body.starts)
    covers = {"host": body.host, "rule": body.rule, "fingerprint": body.fingerprint}
    ends_us, who = _us(body.ends), visitor(request).name
    number = acted(
        request,
        lambda actions: actions.silence(
            **covers, starts_us=starts_us, ends_us=ends_us, author=who, comment=body.comment
        ),
    )
    return answer(
        SilenceRow(
            number, body.host, body.rule, body.fingerprint, starts_us, ends_us, who, body.comment
        ),
        201,
    )


@router.delete("/{id}", summary="End a silence now", status_code=204, responses=ACT)
def expire(request: Request, id: Annotated[int, Path(ge=1, le=(1 << 62))]) -> Response:  # noqa: A002
    """People are told again."""
    known = {item.id for item in silences(history(request), request.app.state.clock())}
    existing(id if id in known else None, f"silence {id} that is not over")
    acted(request, lambda actions: actions.expire_silence(id, actor=visitor(request).name))
    return Response(status_code=204)


def _us(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1)
