"""What stands around every page: each link of navigation and footer leads somewhere."""

from __future__ import annotations

import re
from html import unescape

import pytest
from fastapi.testclient import TestClient

from detector.store.query.results import spell_place
from tests.support import queries
from tests.support.visiting import client_of


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


@pytest.mark.parametrize("number", ["9223372036854775808", "9" * 23, "9" * 5_000])
def test_a_number_that_no_row_can_have_is_not_found(client: TestClient, number: str) -> None:
    """Faults: the page of what is missing; of a list's pages the one that is there."""
    for ending in ("", ".json"):
        assert client.get(f"/faults/{number}{ending}").status_code == 404
    assert client.get(f"/signatures?page={number}").status_code == 200
    for after in (number, spell_place(int(number[:4_000]), 1)):
        assert client.get("/faults", params={"after": after}).status_code == 422


def test_a_long_address_is_not_repeated(client: TestClient) -> None:
    """49 long values and a wrong one: the page says what is wrong, and is no longer than they."""
    query = "&".join(["since=x", *("host=" + "a" * 900 for _ in range(49))])
    answer = client.get(f"/incidents?{query}")
    assert answer.status_code == 422
    assert 'href="/theme/dark?back=/incidents"' in answer.text
    assert len(answer.text) < 10_000
