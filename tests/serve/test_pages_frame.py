"""What stands around every page: each link of navigation and footer leads somewhere."""

from __future__ import annotations

import re
from html import unescape

import pytest
from fastapi.testclient import TestClient

from tests import queries
from tests.serve.visiting import client_of


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """A visitor of the history of the table of queries."""
    path = tmp_path_factory.mktemp("frame") / "history.db"
    queries.fill(path)
    return client_of(path)


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/incidents?host=db-*",
        "/hosts",
        "/noise",
        "/silences",
        "/incidents/none",
        "/incidents?since=never",
    ],
)
def test_links_around_a_page_lead_somewhere(client: TestClient, address: str) -> None:
    """Navigation, the page's other forms, themes, the API's description: all answer; an error's
    page offers no other form.
    """
    around = list(re.finditer(r"<(header|footer)\b.*?</\1>", client.get(address).text, re.DOTALL))
    assert [one[1] for one in around] == ["header", "footer"]
    frame = "".join(one[0] for one in around)
    found = {unescape(one) for one in re.findall(r'href="([^"]*)"', frame)}
    assert {"/", "/incidents", "/silences", "/api/v1/openapi.json"} <= found
    for one in found:
        answer = client.get(one)
        assert answer.status_code == 200 or (
            answer.status_code == 303 and one.startswith("/theme/")
        ), one
