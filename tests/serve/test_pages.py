"""Pages: each answers as HTML, JSON and CSV, says what the history says, and lets no text of a log
become anything but text.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from fastapi.testclient import TestClient

from detector.model import Block, CrashReport, Diagnosis, Statement
from detector.serve.app import create_app
from detector.serve.pages.rendering import DONE
from detector.settings import Settings
from detector.store import open_actions, open_history, open_journal
from tests.browser import fleet
from tests.support import queries
from tests.support.nouns import incident, match, noise
from tests.support.pages import LISTS, links, visit

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202e\"'`{{7*7}}{% x %}"


@pytest.fixture(scope="module")
def fleet_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The history of a fleet; tests that act have their own."""
    return fleet.write(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def client(fleet_path: Path) -> Iterator[TestClient]:
    """A visitor of it."""
    with visit(fleet_path, fleet.NOW_US) as opened:
        yield opened


@pytest.fixture(scope="module")
def founding(client: TestClient) -> dict[str, str]:
    """The incident of the example log."""
    return client.get("/incidents.json", params={"host": fleet.HOST}).json()["incidents"][0]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """The history that the table of queries is about, and its incidents by label."""
    path = tmp_path_factory.mktemp("queries") / "history.db"
    ids = queries.fill(path)
    with visit(path, queries.NOW_US) as opened:
        yield opened, ids


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A history in which everything that a log or a person can say is an attack."""
    path = tmp_path_factory.mktemp("hostile") / "history.db"
    with closing(open_journal(path, clock=lambda: fleet.NOW_US)) as journal, journal.transaction():
        fault, _ = journal.add_match(
            match(
                "memory-fault",
                5,
                host=HOSTILE,
                wall_time_us=fleet.NOW_US,
                text=f"fault {HOSTILE} {'x' * 100_000}",
                fields={"address": HOSTILE},
            )
        )
        other, _ = journal.add_match(
            match(
                "tcp-state",
                4,
                host=HOSTILE,
                wall_time_us=fleet.NOW_US,
                text=HOSTILE,
                fields={HOSTILE: "fault"},
            )
        )
        report = CrashReport(
            "memory-fault",
            title=HOSTILE,
            function=HOSTILE,
            module=HOSTILE,
            kernel=HOSTILE,
            comm=HOSTILE,
            instruction=HOSTILE,
        )
        journal.add_report(
            fault.id,
            Block(fault.match, (fault.match.text, HOSTILE, "=cmd|' /C calc'!A0"), complete=False),
            report,
            f"1:{HOSTILE}",
        )
        diagnosis = Diagnosis(
            (Statement(HOSTILE, "likely", (HOSTILE,)),),
            None,
            None,
            (f"crash: bt {HOSTILE}", HOSTILE),
        )
        journal.save_incident(incident(fault, other), [fault.id, other.id], diagnosis, report)
        journal.count_noise(
            [noise(HOSTILE, HOSTILE, count=3, hour_us=fleet.NOW_US - 7_200_000_000)]
        )
    with closing(open_actions(path, lambda: fleet.NOW_US)) as actions:
        first = open_history(path).search(queries_filter(), limit=1).rows[0]
        actions.act(first.id, "note", actor=HOSTILE, reason=HOSTILE)
        actions.silence(
            host=HOSTILE,
            starts_us=0,
            ends_us=fleet.NOW_US + 9_000_000,
            author=HOSTILE,
            comment=HOSTILE,
        )
    with visit(path, fleet.NOW_US) as opened:
        yield opened


def queries_filter():
    """A filter that asks for everything."""
    from detector.store.query.filters import Filter

    return Filter()


def every_page(client: TestClient) -> list[str]:
    """The address of every page that the history of a client has, one of each kind."""
    row = client.get("/incidents.json").json()["incidents"][0]
    host, problem = quote(row["host"], safe=""), quote(row["fingerprint"], safe="")
    return [
        "/",
        *LISTS,
        f"/incidents/{row['id']}",
        f"/problems/{problem}",
        f"/hosts/{host}",
        "/signatures/kernel.paging-request",
    ]


def test_every_page_answers_as_html_json_and_csv(client: TestClient) -> None:
    """The same address with an ending; JSON parses, CSV has a header, HTML is small enough for a
    telephone.
    """
    for address in every_page(client):
        page = client.get(address)
        assert (page.status_code, page.headers["content-type"]) == (
            200,
            "text/html; charset=utf-8",
        ), address
        assert len(page.content) <= 50_000, address
        plain = "/overview" if address == "/" else address
        assert client.get(f"{plain}.json").json() is not None
        rows = list(csv.reader(io.StringIO(client.get(f"{plain}.csv").text)))
        assert all(len(row) == len(rows[0]) for row in rows)


def test_nothing_on_a_page_needs_inline_script_or_style(client: TestClient) -> None:
    """The policy that every answer carries forbids it; all that a page loads comes from this
    server.
    """
    for address in every_page(client):
        answer = client.get(address)
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert not re.search(
            r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?! src=\"/static/)", answer.text
        ), address
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', answer.text), address


def test_every_link_leads_somewhere(client: TestClient) -> None:
    """No link of any page, facets and bars of charts among them, is dead."""
    found = {
        link.partition("#")[0]
        for address in every_page(client)
        for link in links(client.get(address).text)
    }
    for link in sorted(found - {""}):
        if not link.startswith("/theme/"):
            assert client.get(link).status_code == 200, link


def test_an_incident_says_what_broke_first(client: TestClient, founding: dict[str, str]) -> None:
    """The symptom and the gap in the headline; the decoded instruction; both lines with what was
    captured marked; the fix.
    """
    page = client.get(f"/incidents/{founding['id']}").text
    headline = unescape(re.search(r"<h1>(.*?)</h1>", page)[1])
    assert headline.startswith(
        "BUG: unable to handle kernel paging request in __inet_lookup_listener, 1.486116 s after: "
    )
    assert "ldr x3, [x19, #0x30]" in re.search(r'id="instruction">(.*?)<', page)[1]
    assert '<mark title="fault_address">00013fcb</mark>' in page
    assert '<mark title="state">10</mark>' in page
    assert "8dbd76e79a16b45b2ccb01d2f2e08dbf64e71e40" in page
    assert "tcp_v4_rcv" in page
    assert f"oopswatch incidents show {founding['id']}" in page
    item = client.get(f"/incidents/{founding['id']}.json").json()
    assert item["gap_us"] == 1_486_116
    assert item["report_lines"][0].startswith("Unable to handle kernel paging request")
    assert item["changes"][0]["what"] == "raised"


def test_an_incident_is_found_by_the_beginning_of_its_id(
    client: TestClient, founding: dict[str, str]
) -> None:
    """As `oopswatch incidents show` does."""
    assert client.get(f"/incidents/{founding['id'][:9]}").text.count(founding["id"]) > 1


@pytest.mark.parametrize(
    "address",
    ["/incidents/nothing", "/problems/1:nothing", "/hosts/nothing", "/signatures/nothing"],
)
def test_what_is_not_there_says_so_and_leads_back(client: TestClient, address: str) -> None:
    """404 in each form; a page for people, a problem for programs."""
    page = client.get(address)
    assert page.status_code == 404
    assert address.rsplit("/", 1)[0] in links(page.text)
    assert client.get(f"{address}.json").json()["status"] == 404
    assert client.get(f"{address}.csv").json()["status"] == 404


def test_pages_answer_the_table_of_queries(asked: tuple[TestClient, dict[str, str]]) -> None:
    """The same names and values as command line and API, the same incidents, problems and hosts in
    the same order.
    """
    client, ids = asked
    for params, labels in queries.QUERIES:
        rows = client.get("/incidents.json", params=params).json()["incidents"]
        assert [row["id"] for row in rows] == [ids[label] for label in labels], params
        page = client.get("/incidents", params=params).text
        assert re.findall(r'class="what"><a href="/incidents/(\w+)"', page) == [
            ids[label] for label in labels
        ], params
    for params, names in queries.PROBLEMS:
        assert [
            row["fingerprint"]
            for row in client.get("/problems.json", params=params).json()["problems"]
        ] == names, params
    for params, names in queries.HOSTS:
        assert [
            row["name"] for row in client.get("/hosts.json", params=params).json()["hosts"]
        ] == names, params


@pytest.mark.parametrize("place", ["/incidents", "/problems", "/hosts"])
def test_a_filter_that_cannot_be_understood_is_said_in_place(
    asked: tuple[TestClient, dict[str, str]], place: str
) -> None:
    """422 with the field's name; the page keeps the form as it was filled."""
    for params, field in (*queries.REFUSED, ({"after": ["nonsense"]}, "after")):
        page = asked[0].get(place, params=params)
        assert page.status_code == 422
        assert re.search(rf'class="notice wrong" role="status">{field}: ', page.text), params
        assert asked[0].get(f"{place}.json", params=params).json()["field"] == field
        assert asked[0].get(f"{place}.csv", params=params).status_code == 422


def test_facets_are_links_that_ask_for_more_and_take_back(
    asked: tuple[TestClient, dict[str, str]],
) -> None:
    """A facet's link gives as many rows as its count says; followed again it is gone."""
    client, _ = asked
    page = client.get("/incidents", params={"since": "7d"}).text
    found = re.findall(
        r'<li><a href="([^"]+)">([^<]+)</a> <span class="quiet number">(\d+)</span>', page
    )
    assert len(found) > 10
    for href, value, count in found:
        narrowed = client.get(unescape(href)).text
        assert len(re.findall(r'class="what"', narrowed)) == int(count), value
        assert "/incidents?since=7d" in links(narrowed), value


def test_bars_lead_to_their_time(asked: tuple[TestClient, dict[str, str]]) -> None:
    """Each bar's link holds as many incidents as the bar says; together they are all."""
    client, _ = asked
    page = client.get("/incidents", params={"since": "7d"}).text
    svg = re.search(r'<svg class="bars".*?</svg>', page, re.DOTALL)[0]
    bars = re.findall(r'<a href="([^"]+)" aria-label="[^"]*: (\d+) incidents?"', svg)
    assert bars
    counts = [
        len(client.get(unescape(href).replace("/incidents", "/incidents.json")).json()["incidents"])
        for href, _ in bars
    ]
    assert counts == [int(count) for _, count in bars]


def test_pages_follow_one_another_without_gap_or_repetition(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Next page after next page: every incident once, in order."""
    from detector.serve.pages import incidents

    whole = [row["id"] for row in client.get("/api/v1/incidents?limit=200").json()["incidents"]]
    monkeypatch.setattr(incidents, "LIMIT", 7)
    seen, address = [], "/incidents?severity=critical"
    while address:
        page = client.get(address).text
        seen += re.findall(r'class="what"><a href="/incidents/(\w+)"', page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        address = unescape(following[1]) if following else None
    assert seen == whole


def test_no_text_of_a_log_or_a_person_becomes_markup(hostile: TestClient) -> None:
    """On no page, in no form: no element, no attribute, no escape sequence, no direction mark, no
    template runs, no formula.
    """
    for address in every_page(hostile):
        page = hostile.get(address).text
        assert "<script>" not in page, address
        assert "<img" not in page, address
        assert "\x1b" not in page, address
        assert "\u202e" not in page, address
        assert ">49<" not in page, address
        plain = "/overview" if address == "/" else address
        assert hostile.get(f"{plain}.json").headers["content-type"] == "application/json"
        for row in csv.reader(io.StringIO(hostile.get(f"{plain}.csv").text)):
            assert not any(cell.startswith(("=", "+", "@")) or "\x1b" in cell for cell in row), (
                address
            )


def test_a_line_of_a_hundred_thousand_characters_stays_readable(hostile: TestClient) -> None:
    """The beginning is shown, the rest is folded away; no page grows without bound."""
    row = hostile.get("/incidents.json").json()["incidents"][0]
    page = hostile.get(f"/incidents/{row['id']}").text
    assert "more characters</summary>" in page
    assert len(page) < 120_000
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_hostile_host_has_a_page_and_is_found_by_its_links(hostile: TestClient) -> None:
    """Names are one segment of an address, whatever they hold."""
    row = hostile.get("/incidents.json").json()["incidents"][0]
    found = [link for link in links(hostile.get("/hosts").text) if link.startswith("/hosts/")]
    assert hostile.get(found[0]).status_code == 200
    assert hostile.get(f"{found[0]}.json").json()["row"]["name"] == row["host"]


@pytest.mark.parametrize("name", ["web.json", "a/b", "x.csv", "y.html", "ü?#&"])
def test_names_that_look_like_addresses_have_pages(tmp_path: Path, name: str) -> None:
    """A host may be called like an ending or hold a slash: its link leads to it, and so does its
    JSON.
    """
    path = tmp_path / "history.db"
    with closing(open_journal(path, clock=lambda: 1)) as journal, journal.transaction():
        journal.count_noise([noise("python", name, count=1, hour_us=0)])
    with visit(path, 10**12) as client:
        link = next(link for link in links(client.get("/hosts").text) if link.startswith("/hosts/"))
        page = client.get(link)
        assert page.status_code == 200
        assert f"<h1>{name}".replace("&", "&amp;") in page.text
        other = next(one for one in links(page.text) if one.endswith(".json"))
        assert client.get(other).json()["row"]["name"] == name


def test_an_empty_history_says_what_to_do(tmp_path: Path) -> None:
    """Every page answers, and those that could be full say how they become so."""
    open_journal(tmp_path / "history.db").close()
    with visit(tmp_path / "history.db", 10**15) as client:
        for address in ("/", *LISTS, "/signatures/kernel.paging-request"):
            assert client.get(address).status_code == 200, address
        assert "oopswatch run" in client.get("/").text
        assert "oopswatch scan" in client.get("/incidents").text


def form(page: str, action: str) -> dict[str, str]:
    """The hidden fields of a form."""
    body = re.search(
        rf'<form method="post" action="{re.escape(action)}".*?</form>', page, re.DOTALL
    )[0]
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', body))


@pytest.fixture
def acting(tmp_path: Path) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """A history of one's own to act on."""
    ids = queries.fill(tmp_path / "history.db")
    with visit(tmp_path / "history.db", queries.NOW_US) as opened:
        yield opened, ids


def test_an_incident_is_acknowledged_noted_resolved_and_reopened(
    acting: tuple[TestClient, dict[str, str]],
) -> None:
    """Each a plain form that leads back to the page, which says who did what and why; the forms fit
    the state.
    """
    client, ids = acting
    address = f"/incidents/{ids['disk']}"
    for what, state in (
        ("acknowledge", "acknowledged"),
        ("note", "acknowledged"),
        ("resolve", "resolved"),
        ("reopen", "open"),
    ):
        page = client.get(address).text
        fields = form(page, f"{address}/act") | {"what": what, "reason": f"because of <{what}>"}
        answer = client.post(f"{address}/act", data=fields, follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{address}?done={what}#acts"
        assert DONE[what] in client.get(answer.headers["location"]).text
        item = client.get(f"{address}.json").json()
        assert item["state"] == state
        assert item["changes"][-1]["actor"] == "local"
        assert f"because of &lt;{what}&gt;" in client.get(address).text
    assert [one["what"] for one in item["changes"]][-4:] == [
        "acknowledged",
        "noted",
        "resolved",
        "reopened",
    ]


def test_a_form_sent_twice_acts_once(acting: tuple[TestClient, dict[str, str]]) -> None:
    """A double click, or a page sent again after going back."""
    client, ids = acting
    address = f"/incidents/{ids['disk']}"
    fields = form(client.get(address).text, f"{address}/act") | {"what": "note", "reason": "once"}
    assert [
        client.post(f"{address}/act", data=fields, follow_redirects=False).status_code
        for _ in range(2)
    ] == [303, 303]
    assert [one["what"] for one in client.get(f"{address}.json").json()["changes"]].count(
        "noted"
    ) == 1


def test_what_a_state_does_not_allow_is_said(acting: tuple[TestClient, dict[str, str]]) -> None:
    """Somebody was quicker: 409 and a page that says so; an unknown act and an empty note too."""
    client, ids = acting
    address = f"/incidents/{ids['listener long ago']}"
    fields = form(client.get(address).text, f"{address}/act")
    for what, reason in (("acknowledge", ""), ("note", " "), ("explode", "x")):
        answer = client.post(
            f"{address}/act", data=fields | {"what": what, "reason": reason}, follow_redirects=False
        )
        assert answer.status_code == 409
        assert address in links(answer.text)


def test_a_form_of_another_visitor_does_nothing(acting: tuple[TestClient, dict[str, str]]) -> None:
    """Without the page's own token nothing is done."""
    client, ids = acting
    address = f"/incidents/{ids['disk']}"
    for fields in ({"what": "resolve"}, {"what": "resolve", "csrf_token": "0" * 64}):
        assert client.post(f"{address}/act", data=fields, follow_redirects=False).status_code == 403
    assert client.get(f"{address}.json").json()["state"] == "open"


def test_a_problem_is_acknowledged_and_silenced_from_its_page(
    acting: tuple[TestClient, dict[str, str]],
) -> None:
    """All its open incidents at once; a banner says who silenced it, until when and why, on its
    page and on those of its incidents, and on no other.
    """
    client, ids = acting
    address = "/problems/1%3Anvme_irq"
    fields = form(client.get(address).text, f"{address}/act")
    done = client.post(f"{address}/act", data=fields | {"what": "acknowledge"})
    assert "Acknowledged" in done.text
    for label in ("disk", "disk on rc"):
        assert client.get(f"/incidents/{ids[label]}.json").json()["state"] == "acknowledged"
        client.post(
            f"/incidents/{ids[label]}/act",
            data=form(client.get(f"/incidents/{ids[label]}").text, f"/incidents/{ids[label]}/act")
            | {"what": "reopen"},
        )
    silence = {"what": "silence", "fingerprint": "1:nvme_irq", "hours": "4", "comment": "a <fix>"}
    done = client.post(f"{address}/act", data=fields | silence)
    assert "Silenced." in done.text
    for page in (address, f"/incidents/{ids['disk']}"):
        text = client.get(page).text
        assert "by local: a &lt;fix&gt;" in text
    assert "a &lt;fix&gt;" not in client.get(f"/incidents/{ids['odd name']}").text
    (row,) = client.get("/silences.json").json()["silences"]
    client.post(f"/silences/{row['id']}/expire", data={"csrf_token": fields["csrf_token"]})
    assert "a &lt;fix&gt;" not in client.get(address).text


def test_an_incident_is_silenced_from_its_page(acting: tuple[TestClient, dict[str, str]]) -> None:
    """Its problem on its host alone, whatever signs the host's name holds; without a reason it is
    refused.
    """
    client, ids = acting
    address = f"/incidents/{ids['odd name']}"
    text = client.get(address).text
    told = re.findall(r'name="(host|fingerprint)" value="([^"]*)"', text)
    silence = {name: unescape(value) for name, value in told}
    assert silence == {"host": "od[[]d]*-<b>".replace("*", "[*]"), "fingerprint": "1:kfree"}
    fields = form(text, f"{address}/act") | silence | {"what": "silence", "hours": "1"}
    assert client.post(f"{address}/act", data=fields | {"comment": " "}).status_code == 409
    done = client.post(f"{address}/act", data=fields | {"comment": "known"})
    assert done.status_code == 200
    assert "by local: known" in done.text
    (row,) = client.get("/silences.json").json()["silences"]
    client.post(f"/silences/{row['id']}/expire", data={"csrf_token": fields["csrf_token"]})


def test_a_problem_is_resolved_with_its_incidents_and_reopened(
    acting: tuple[TestClient, dict[str, str]],
) -> None:
    """With the release that holds the fix."""
    client, ids = acting
    address = "/problems/1%3Anvme_irq"
    page = client.get(address).text
    answer = client.post(
        f"{address}/act",
        data=form(page, f"{address}/act") | {"what": "resolve", "fixed_in": "6.1"},
        follow_redirects=False,
    )
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"{address}?done=resolve#acts",
    )
    row = client.get(f"{address}.json").json()["row"]
    assert (row["state"], row["fixed_in"], row["state_by"]) == ("resolved", "6.1", "local")
    assert client.get(f"/incidents/{ids['disk']}.json").json()["state"] == "resolved"
    page = client.get(address).text
    assert "said to be fixed in" in page
    again = form(page, f"{address}/act") | {"what": "resolve"}
    for fields, status in (({"fixed_in": ""}, 409), ({"fixed_in": "banana"}, 422)):
        assert client.post(f"{address}/act", data=again | fields).status_code == status
    assert client.get(f"{address}.json").json()["row"]["fixed_in"] == "6.1"
    client.post(f"{address}/act", data=form(page, f"{address}/act") | {"what": "reopen"})
    assert client.get(f"{address}.json").json()["row"]["state"] == "open"


def test_silences_are_added_and_ended(acting: tuple[TestClient, dict[str, str]]) -> None:
    """With who, until when and why; one of everything is refused."""
    client, _ = acting
    fields = form(client.get("/silences").text, "/silences")
    wanted = {"host": "db-*", "hours": "4", "comment": "moving <racks>"}
    assert client.post("/silences", data=fields | wanted, follow_redirects=False).status_code == 303
    page = client.get("/silences").text
    assert "moving &lt;racks&gt;" in page
    silence = client.get("/silences.json").json()["silences"][0]
    assert silence["ends_us"] - silence["starts_us"] == 4 * 3_600_000_000
    assert (
        client.post("/silences", data=fields | {"hours": "4", "comment": "all"}).status_code == 409
    )
    ended = f"/silences/{silence['id']}/expire"
    assert client.post(ended, data=form(page, ended), follow_redirects=False).status_code == 303
    assert client.get("/silences.json").json()["silences"] == []
    assert client.post(ended, data=form(page, ended)).status_code == 409


def test_who_may_only_read_sees_no_forms(tmp_path: Path) -> None:
    """The same pages without acts."""
    path = tmp_path / "history.db"
    ids = queries.fill(path)
    settings = Settings.model_validate(
        {"store": {"path": str(path)}, "serve": {"trusted_proxies": ["127.0.0.0/8"]}}
    )
    app = create_app(settings, clock=lambda: queries.NOW_US)
    headers = {settings.serve.user_header: "reader", settings.serve.roles_header: "read"}
    with TestClient(
        app, base_url="http://127.0.0.1", headers=headers, client=("127.0.0.1", 1)
    ) as client:
        for address in (f"/incidents/{ids['disk']}", "/problems/1%3Anvme_irq", "/silences"):
            page = client.get(address)
            assert page.status_code == 200
            assert 'method="post"' not in page.text
            assert "You are reader, and may read" in page.text


def test_noise_is_counted_by_program_and_hour(asked: tuple[TestClient, dict[str, str]]) -> None:
    """By host and by program; the chart's total is the rows' total."""
    client, _ = asked
    assert [
        (row["process"], row["count"]) for row in client.get("/noise.json").json()["noise"]
    ] == [("python", 7), ("java", 3)]
    assert [row["process"] for row in client.get("/noise.json?host=db-1").json()["noise"]] == [
        "java"
    ]
    page = client.get("/noise?process=python").text
    assert "7 crashes in 7 d" in page
    assert "<span>now</span>" in page
    assert ">java<" not in page


def test_a_theme_is_remembered_and_leads_back_inside(client: TestClient) -> None:
    """By a link and a cookie, without script; never to another site."""
    with visit(client.app.state.settings.store.path, fleet.NOW_US) as other:
        assert '<html lang="en">' in other.get("/").text
        answer = other.get("/theme/dark", params={"back": "/noise?host=a"}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/noise?host=a")
        assert '<html lang="en" class="dark">' in other.get("/").text
        for back in ("//elsewhere.example", "https://elsewhere.example/", "/\\elsewhere.example"):
            assert (
                other.get("/theme/auto", params={"back": back}, follow_redirects=False).headers[
                    "location"
                ]
                == "/"
            )
        assert '<html lang="en">' in other.get("/").text
        assert other.get("/theme/blue").status_code == 404


def test_files_are_the_shipped_ones_and_no_others(client: TestClient) -> None:
    """Style, script and icon; no path is made of a name."""
    for name, kind in (
        ("oopswatch.css", "text/css"),
        ("live.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ):
        answer = client.get(f"/static/{name}")
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)
        assert (
            client.get(
                f"/static/{name}", headers={"If-None-Match": answer.headers["etag"]}
            ).status_code
            == 304
        )
    for name in ("nothing.css", "..%2ftemplates%2fbase.html", "%2e%2e/app.py"):
        assert client.get(f"/static/{name}").status_code == 404


def test_json_of_an_incident_is_what_the_command_line_prints(
    client: TestClient, fleet_path: Path, founding: dict[str, str]
) -> None:
    """The object of `oopswatch incidents show --json`, and more."""
    from click.testing import CliRunner

    from detector.cli.incidents import incidents

    printed = (
        CliRunner()
        .invoke(incidents, ["show", founding["id"], "--json", "--store", str(fleet_path)])
        .output
    )
    page = client.get(f"/incidents/{founding['id']}.json").json()
    shown = json.loads(printed)
    same = set(shown) & set(page) - {"changes", "notifications", "similar"}
    assert {
        "id",
        "evidence",
        "report",
        "diagnosis",
        "report_lines",
        "next_steps",
        "gap_us",
        "state",
        "found",
    } <= same
    assert {name: shown[name] for name in same} == {name: page[name] for name in same}


def test_the_page_keeps_the_query_for_its_other_forms(client: TestClient) -> None:
    """`.json` and `.csv` of a page ask the same."""
    query = urlencode({"host": "web-*", "since": "7d"})
    assert {f"/incidents.json?{query}", f"/incidents.csv?{query}"} <= set(
        links(client.get(f"/incidents?{query}").text)
    )
