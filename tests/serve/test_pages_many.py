"""Several incidents at once: selected in a list, silenced, set side by side; and lists page by
page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from detector.serve.pages import incidents, patterns
from tests.browser import fleet
from tests.support import queries
from tests.support.pages import LISTS, links, visit

Acting = tuple[TestClient, dict[str, str]]


@pytest.fixture
def acting(tmp_path: Path) -> Iterator[Acting]:
    """A history of one's own to act on."""
    ids = queries.fill(tmp_path / "history.db")
    with visit(tmp_path / "history.db", queries.NOW_US) as opened:
        yield opened, ids


def button(page: str, words: str) -> tuple[str, str]:
    """Where the button of a list's selection leads, and the token that it carries."""
    found = re.search(rf'value="([^"]+)" formmethod="post" formaction="([^"]+)">{words}<', page)
    return unescape(found[2]), found[1]


def shown(page: str) -> list[str]:
    """The incidents of a list."""
    return re.findall(r'class="what"><a href="/incidents/(\w+)"', page)


def test_selected_incidents_are_acknowledged_at_once(acting: Acting) -> None:
    """The page stays the one that was filtered, and says how many were and how many could not."""
    client, _ = acting
    page = client.get("/incidents", params={"state": ["open", "resolved"]}).text
    address, token = button(page, "Acknowledge")
    states = {row["id"]: row["state"] for row in client.get("/incidents.json").json()["incidents"]}
    chosen = [row for row in shown(page) if states[row] in {"open", "resolved"}]
    taken = sum(states[row] == "open" for row in chosen)
    assert 0 < taken < len(chosen)
    answer = client.post(address, data={"csrf_token": token, "id": chosen}, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/incidents?state=open&state=resolved&done=")
    told = client.get(answer.headers["location"]).text
    said = (
        f"{taken} incident{'s' if taken > 1 else ''} acknowledged. {len(chosen) - taken} incident"
    )
    assert said in told
    states = {row["id"]: row["state"] for row in client.get("/incidents.json").json()["incidents"]}
    assert sum(states[row] == "acknowledged" for row in chosen) == taken


def test_a_selection_without_token_or_incident_does_nothing(acting: Acting) -> None:
    """Refused, and so is leading elsewhere."""
    client, ids = acting
    address, token = button(client.get("/incidents").text, "Resolve")
    assert client.post(address, data={"id": ids["disk"]}).status_code == 403
    nothing = client.post(address, data={"csrf_token": token})
    assert (nothing.status_code, "No incident is selected" in nothing.text) == (409, True)
    away = client.post(
        "/incidents/resolve?back=//evil.example/",
        data={"csrf_token": token, "id": ids["disk"]},
        follow_redirects=False,
    )
    assert away.headers["location"].startswith("/?done=resolve")
    assert client.post("/incidents/explode", data={"csrf_token": token}).status_code == 409


def test_selected_incidents_are_silenced_once_for_each_problem_and_host(acting: Acting) -> None:
    """The form says what each silence covers."""
    client, ids = acting
    chosen = [ids["disk"], ids["odd name"], ids["disk"]]
    page = client.get("/silences", params={"id": chosen}).text
    token = re.search(r'action="/silences" class="stack">\n<[^>]*value="([^"]+)"', page)[1]
    told = {"csrf_token": token, "id": chosen, "hours": "4", "comment": "a rollout"}
    assert client.post("/silences", data=told, follow_redirects=False).status_code == 303
    silences = client.get("/silences.json").json()["silences"]
    assert len(silences) == 2
    for one in silences:
        assert one["fingerprint"] is None or one["fingerprint"] in page
        assert one["comment"] == "a rollout"


def test_two_incidents_stand_side_by_side(tmp_path: Path) -> None:
    """What is the same stands once, what differs is marked; calls stand beside equal calls."""
    path = fleet.write(tmp_path, incidents=6, lines=4_000)
    with visit(path, fleet.NOW_US) as client:
        rows = client.get("/incidents.json").json()["incidents"]
        first, second = rows[0]["id"], rows[1]["id"]
        address = f"/compare?id={first}&id={second}"
        page = client.get(address)
        assert page.status_code == 200
        assert {f"/incidents/{first}", f"/incidents/{second}"} <= set(links(page.text))
        found = client.get(address.replace("?", ".json?")).json()
        hosts = next(pair for pair in found["facts"] if pair["name"] == "host")
        assert (hosts["left"], hosts["right"]) == (rows[0]["host"], rows[1]["host"])
        for side, one in (("left", first), ("right", second)):
            frames = client.get(f"/incidents/{one}.json").json()["report"]["frames"]
            calls = [pair[side] for pair in found["path"] if pair[side]]
            assert calls == [frame["function"] for frame in frames]
        itself = client.get(f"/compare?id={first}&id={first}")
        assert (itself.status_code, "1 incident is selected" in itself.text) == (422, True)
        assert client.get(f"/compare?id={first}&id=none").status_code == 404


def test_pages_lead_back_as_they_led_on(acting: Acting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Previous page after previous page, to the first."""
    client, _ = acting
    monkeypatch.setattr(incidents, "LIMIT", 2)
    seen, address = [], "/incidents?since=100d"
    while address:
        page = client.get(address).text
        seen.append(shown(page))
        following = re.search(r'href="([^"]+)" rel="next"', page)
        address = unescape(following[1]) if following else None
    assert len(seen) > 3
    back = [shown(page)]
    while before := re.search(r'href="([^"]+)" rel="prev"', page):
        page = client.get(unescape(before[1])).text
        back.append(shown(page))
    assert back == seen[::-1]
    assert "trail" not in "".join(links(page))


def test_signatures_lead_back(acting: Acting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their pages are numbered."""
    monkeypatch.setattr(patterns, "PAGE", 40)
    page = acting[0].get("/signatures?page=2").text
    assert {"/signatures?page=1", "/signatures?page=3"} <= set(links(page))


@pytest.mark.parametrize("place", ["/incidents", "/faults", "/problems", "/noise", "/fleet"])
def test_a_bad_filter_shows_its_error_alone(acting: Acting, place: str) -> None:
    """No row, and no word that nothing matches; the field is marked."""
    page = acting[0].get(place, params={"since": "yesterday"})
    assert page.status_code == 422
    assert page.text.count('<section class="sheet">') == 0
    assert "Nothing" not in page.text
    assert re.search(r'name="since"[^>]*aria-invalid="true"', page.text)


def test_texts_keep_their_lines(acting: Acting) -> None:
    r"""No text spells `\n`: those of pattern files are folded, those of people keep their lines."""
    client, _ = acting
    for address in LISTS:
        assert r"\n" not in client.get(address).text, address
    address = "/problems/1%3Anvme_irq"
    page = client.get(address).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    told = {"csrf_token": token, "what": "advise", "cause": "one\r\ntwo <b>"}
    assert client.post(f"{address}/act", data=told).status_code == 200
    page = client.get(address).text
    assert r"\n" not in page
    assert re.search(r"<textarea[^>]*>one\ntwo &lt;b&gt;</textarea>", page)


def test_an_unknown_incident_among_those_selected_is_left(acting: Acting) -> None:
    """The others are acted on, each once; the count says how many were left."""
    client, _ = acting
    where, token = button(client.get("/incidents").text, "Acknowledge")
    (first, *_) = shown(client.get("/incidents?state=open").text)
    form = {"csrf_token": token, "id": [first, first, "nope"]}
    done = client.post(where, data=form, follow_redirects=False)
    assert done.status_code == 303
    assert "count=1" in done.headers["location"]
    assert "left=1" in done.headers["location"]


def test_silencing_incidents_that_are_gone_is_refused(acting: Acting) -> None:
    """Nobody believes in a silence that there is not."""
    client, _ = acting
    _, token = button(client.get("/incidents").text, "Acknowledge")
    form = {"csrf_token": token, "id": "nope", "hours": "1"}
    done = client.post("/silences", data=form, follow_redirects=False)
    assert done.status_code != 303
    assert "None of the selected incidents" in done.text


def test_a_filter_of_thousands_of_bad_values_is_answered_at_once(acting: Acting) -> None:
    """The error page shows some of them."""
    client, _ = acting
    values = "&".join(f"host=h{number}" for number in range(3_000))
    answer = client.get(f"/incidents?{values}")
    assert answer.status_code == 422
    assert answer.text.count("chip") < 200
