"""The SQL door for analysts: one SELECT in, columns and rows out.

Its role is `sql`, since it sees all that is stored.

In: a query. Out: a table, and whether a limit cut it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from detector import telemetry
from detector.serve.http.access import visitor
from detector.serve.http.errors import HttpError, answers
from detector.serve.sql_child import Value
from detector.serve.sql_door import RefusedQuery, SqlDoor

router = APIRouter(prefix="/api/v1", tags=["sql"])
_LONGEST = 100_000
_SAID = 500
_ANSWERS = answers(401, 403, 413, 422, 429, 503)


class Question(BaseModel):
    """A query over the tables of docs/schema.md."""

    model_config = ConfigDict(extra="forbid")

    sql: str = Field(min_length=1, max_length=_LONGEST, description="one SELECT")


class SqlAnswer(BaseModel):
    """The answer. `truncated` names the limit that cut it."""

    columns: list[str]
    rows: list[list[Value]]
    truncated: Literal["rows", "bytes"] | None
    seconds: float


@router.get("/sql", summary="Ask by SQL", responses=_ANSWERS)
def ask(
    request: Request,
    sql: Annotated[str, Query(min_length=1, max_length=_LONGEST, description="one SELECT")],
) -> SqlAnswer:
    """The rows of one SELECT, for a bounded time and a bounded answer."""
    door: SqlDoor = request.app.state.sql_door
    try:
        table = door.ask(sql)
    except RefusedQuery as refused:
        if refused.busy:
            raise HttpError(429, str(refused), headers={"Retry-After": "1"}) from refused
        raise HttpError(422, str(refused), field="sql") from refused
    telemetry.say(
        "queried",
        who=visitor(request).name,
        rows=len(table.rows),
        ms=round(table.seconds * 1_000),
        sql=sql[:_SAID],
    )
    return SqlAnswer(
        columns=list(table.columns),
        rows=[list(row) for row in table.rows],
        truncated=table.truncated,
        seconds=table.seconds,
    )


@router.post("/sql", summary="Ask by SQL, in a body", responses=_ANSWERS)
def ask_in_body(request: Request, body: Question) -> SqlAnswer:
    """As GET, for queries that are too long for an address."""
    return ask(request, body.sql)
