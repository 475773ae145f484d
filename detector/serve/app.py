"""The application: pages and API over one history, behind one gate.

In: settings and a clock. Out: a FastAPI application for uvicorn (`server.py`). A request passes,
from outside in: the headers that every answer has, the gate, the routes. Nothing is read at the
start but the tokens; the catalogue is read when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fastapi import FastAPI

import detector
from detector.clock import now_us
from detector.serve import api, pages
from detector.serve.api import events
from detector.serve.deps import Connections, Knowledge
from detector.serve.follower import ChangeFollower
from detector.serve.http import errors, login
from detector.serve.http.access import Access
from detector.serve.http.gate import Gate
from detector.serve.http.headers import Answers
from detector.serve.naming import BackgroundNaming
from detector.serve.sql_door import SqlDoor
from detector.settings import Settings
from detector.store.query.problem_names import ProblemNames

OPENAPI = "/api/v1/openapi.json"


def create_app(settings: Settings, *, clock: Callable[[], int] = now_us) -> FastAPI:
    """The application. Raises SettingsError where it would be open to strangers, or its tokens
    cannot be read.
    """
    access = Access(settings, clock)
    app = FastAPI(
        title="oopswatch",
        summary="The history of a fleet's kernel crashes.",
        version=detector.__version__,
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.clock = clock
    app.state.access = access
    app.state.knowledge = Knowledge(settings)
    names = ProblemNames(app.state.knowledge.bugs)
    reading = Connections(settings.store.path, names)
    app.state.reading = reading
    app.state.naming = BackgroundNaming(reading.history)
    names.hand_over(app.state.naming.wake)
    serve = settings.serve
    app.state.sql_door = SqlDoor(
        settings.store.path,
        seconds=serve.sql_seconds,
        rows=serve.sql_rows,
        size=serve.sql_kib * 1_024,
    )
    app.state.follower = ChangeFollower(
        partial(events.read, reading),
        lambda: reading.history().last_change(),
        most=serve.max_listeners,
    )
    errors.install(app)
    for router in (login.router, *api.ROUTERS, pages.router):
        app.include_router(router)
    app.add_middleware(Gate, access=access, clock=clock)
    app.add_middleware(Answers, tls=settings.serve.tls_certfile is not None)
    return app
