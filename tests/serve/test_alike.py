"""A pasted crash finds the problems that resemble it: the same fingerprint, then common functions
in order; by page, API and command line alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from itertools import combinations
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from detector.cli import oopswatch
from detector.store import open_history
from detector.store.query import alike
from tests.browser.fleet import EXAMPLE, HOST, take
from tests.support.queries import NOW_US
from tests.support.visiting import client_of, csrf

EXAMPLE_TEXT = EXAMPLE.read_text()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history with the example's crash."""
    path = tmp_path_factory.mktemp("alike") / "history.db"
    take(path, str(EXAMPLE), found_us=NOW_US, host=HOST)
    return path


@pytest.fixture
def client(path: Path) -> Iterator[TestClient]:
    """A visitor of it."""
    with client_of(path) as one:
        yield one


def similar(client: TestClient, text: str) -> list[dict]:
    """What the API finds for the one report of a text."""
    told = client.post("/api/v1/explain", json={"text": text}, headers=csrf(client)).json()
    (found,) = [one["similar"] for one in told["explanations"] if one["report"]]
    return found


def printed(path: Path, text: str, folder: Path) -> list[dict]:
    """The same by the command."""
    log = folder / "pasted.log"
    log.write_text(text)
    result = CliRunner().invoke(oopswatch, ["explain", str(log), "--json", "--store", str(path)])
    assert result.exit_code == 0, result.output
    items = [json.loads(line) for line in result.output.splitlines()]
    (found,) = [one["similar"] for one in items if one.get("report") and "similar" in one]
    return found


def test_the_same_crash_is_found_by_its_fingerprint(
    client: TestClient, path: Path, tmp_path: Path
) -> None:
    """On another host, another day."""
    (found,) = similar(client, EXAMPLE_TEXT)
    assert found["same"]
    assert found["common"] == found["of"] == found["its"] >= 4
    assert (
        printed(path, EXAMPLE_TEXT, tmp_path)[0]["row"]["fingerprint"]
        == (found["row"]["fingerprint"])
    )
    page = client.get("/explain").text
    token = re.findall(r'name="csrf_token" value="([^"]+)"', page)[0]
    shown = client.post("/explain", data={"csrf_token": token, "text": EXAMPLE_TEXT})
    assert shown.status_code == 200
    assert "the same crash" in shown.text
    typed = shown.text[shown.text.index("<textarea") : shown.text.index("</textarea>")]
    assert unescape(typed).partition(">")[2].splitlines() == EXAMPLE_TEXT.splitlines()
    assert f"/problems/{found['row']['fingerprint']}" in unescape(shown.text).replace("%3A", ":")


def test_another_path_to_it_is_found_by_common_functions(
    client: TestClient, path: Path, tmp_path: Path
) -> None:
    """The guilty function has another name in the pasted trace: another fingerprint, and one
    function less in common; a trace of other functions resembles nothing.
    """
    (same,) = similar(client, EXAMPLE_TEXT)
    renamed = EXAMPLE_TEXT.replace(same["functions"][0], "another_function")
    (found,) = similar(client, renamed)
    assert not found["same"]
    assert (found["common"], found["of"]) == (same["common"] - 1, same["of"])
    assert printed(path, renamed, tmp_path)[0]["common"] == found["common"]
    strange = EXAMPLE_TEXT
    for number, function in enumerate(same["functions"]):
        strange = strange.replace(function, f"strange_{number}")
    assert similar(client, strange) == []


def test_functions_that_very_many_problems_have_lead_to_none(
    path: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are compared, and find nothing by themselves."""
    (same,) = similar(client, EXAMPLE_TEXT)
    monkeypatch.setattr(alike, "FREQUENT", 1)
    with closing(open_history(path)) as history:
        assert history.alike(None, same["functions"]) == []


def test_a_page_without_text_says_so(client: TestClient) -> None:
    """And shows the form again; without the form's token nothing is read."""
    token = re.findall(r'name="csrf_token" value="([^"]+)"', client.get("/explain").text)[0]
    wrong = client.post("/explain", data={"csrf_token": token, "text": " "})
    assert (wrong.status_code, "Paste a line" in wrong.text) == (422, True)
    assert client.post("/explain", data={"text": "x"}).status_code == 403
    hostile = client.post("/explain", data={"csrf_token": token, "text": "</textarea><script>x"})
    assert "<script>x" not in hostile.text


@given(st.lists(st.sampled_from("abcd"), max_size=7), st.lists(st.sampled_from("abcd"), max_size=7))
def test_common_functions_are_a_longest_common_subsequence(
    mine: list[str], theirs: list[str]
) -> None:
    """As all subsequences, tried one by one, say."""
    found = alike.in_common(mine, theirs)

    def within(part: list[str], whole: list[str]) -> bool:
        rest = iter(whole)
        return all(one in rest for one in part)

    assert within(found, mine)
    assert within(found, theirs)
    longer = combinations(mine, len(found) + 1)
    assert not any(within(list(one), theirs) for one in longer)
