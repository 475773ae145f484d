"""Health endpoints: liveness, readiness, session and metrics.

In: nothing. Out: `/healthz` and `/readyz` for probes, `/metrics` for Prometheus, who the visitor is
for programs that act by session.
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from prometheus_client import generate_latest
from pydantic import BaseModel, Field
from starlette.responses import Response

from detector import telemetry
from detector.serve.deps import history
from detector.serve.http.access import csrf_token, visitor
from detector.serve.http.errors import answers
from detector.serve.http.roles import Role

router = APIRouter(tags=["service"])


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class SessionInfo(BaseModel):
    """The visitor as the server knows them: name, roles, and the way they were identified."""

    name: str
    roles: list[Role]
    via: Literal["token", "session", "proxy", "loopback"]
    csrf_token: str = Field(
        description="send it as X-CSRF-Token with every POST and DELETE; not needed with a "
        "bearer token"
    )


@router.get("/healthz", summary="The process answers")
def healthz() -> Health:
    """Says ok as long as the process answers; asks nothing of the history."""
    return Health()


@router.get("/readyz", summary="The history can be read", responses=answers(503))
def readyz(request: Request) -> Health:
    """Says ok where the history can be read."""
    history(request).counters()
    return Health()


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
def metrics() -> Response:
    """The figures of docs/metrics.md."""
    return Response(
        generate_latest(telemetry.REGISTRY), media_type="text/plain; version=0.0.4; charset=utf-8"
    )


@router.get("/api/v1/session", summary="Who am I")
def session(request: Request) -> SessionInfo:
    """The visitor's name and roles, and the token that forms and scripts of theirs must carry."""
    known = visitor(request)
    return SessionInfo(
        name=known.name, roles=sorted(known.roles), via=known.via, csrf_token=csrf_token(request)
    )
