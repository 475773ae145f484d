"""The application: pages and API over one history, behind one gate.

In: settings and a clock. Out: a FastAPI application for uvicorn (`server.py`). A request passes, from outside in: the headers that every
answer has, the gate, the routes. Nothing is read at the start but the tokens; the catalogue is read when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

import detector
from detector.serve import api, login, problem
from detector.serve.access import Access
from detector.serve.gate import Gate
from detector.serve.headers import Answers
from detector.serve.reading import Reading
from detector.settings import Settings
from detector.store.journal import wall_clock_us

OPENAPI = "/api/v1/openapi.json"


def create_app(settings: Settings, *, clock: Callable[[], int] = wall_clock_us) -> FastAPI:
    """The application. Raises SettingsError where it would be open to strangers, or its tokens cannot be read."""
    access = Access(settings, clock)
    app = FastAPI(
        title="oopswatch",
        summary="The history of a fleet's kernel crashes.",
        version=detector.__version__,
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.settings = settings
    app.state.clock = clock
    app.state.access = access
    app.state.reading = Reading(settings.store.path)
    problem.install(app)
    app.include_router(login.router)
    app.include_router(api.router)
    app.add_middleware(Gate, access=access, clock=clock)
    app.add_middleware(Answers, tls=settings.serve.tls_certfile is not None)
    return app


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    yield
