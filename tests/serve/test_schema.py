"""The API against its own description: generated requests, documented answers, no fault of the
server; docs/api.md names every route.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks

from tests.support import queries
from tests.support.visiting import ACT, SQL, app_of, bearer, tokens_file

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
BOTH = f'[[token]]\nname = "all"\nroles = ["read", "act", "sql"]\ntoken = "{ACT}{SQL}"\n'


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    """An application over the table of queries."""
    folder = tmp_path_factory.mktemp("schema")
    queries.fill(folder / "history.db")
    return app_of(
        folder / "history.db",
        tokens_file=str(tokens_file(folder, BOTH)),
        sql_seconds=0.2,
        hosts=["localhost", "127.0.0.1", "testserver"],
    )


@pytest.fixture(scope="module")
def described(application):
    """Its description, asked for as a client does."""
    return schemathesis.openapi.from_asgi(
        "/api/v1/openapi.json", application, headers=bearer(ACT + SQL)
    )


def test_answers_are_as_described(described):
    """Whatever is asked: no 5xx, the described statuses, types and members."""
    asked = 0
    for operation in (
        one.ok() for one in described.exclude(path="/api/v1/events").get_all_operations()
    ):

        @given(case=operation.as_strategy())
        @settings(
            max_examples=8,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case):
            nonlocal asked
            asked += 1
            case.call_and_validate(
                headers=bearer(ACT + SQL),
                checks=[checks.not_a_server_error, checks.response_schema_conformance],
            )

        ask()
    assert asked > 100


def test_page_names_every_route(application):
    """docs/api.md has a line for each method and path of the description, and none that is not
    there.
    """
    found = {
        f"`{method.upper()} {path}`"
        for path, methods in application.openapi()["paths"].items()
        for method in methods
    }
    told = {
        f"`{line.split('`')[1]}`"
        for line in PAGE.read_text().splitlines()
        if line.startswith(("| `GET /", "| `POST /", "| `DELETE /"))
    }
    assert told == found
