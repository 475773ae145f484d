"""The API: the same answers as the table of queries, problems that name the field, acts that are
done once, inert attacks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from detector.cli import oopswatch
from detector.serve.api.models import IncidentItem
from detector.serve.api.stats import FacetName
from detector.store import History, open_history
from detector.store.query.detail_item import detail_item
from detector.store.query.search_index import COLUMNS
from tests.support import queries
from tests.support.visiting import client_of, csrf

API = "/api/v1"
ATTACKS = (
    "' OR 1=1 --",
    '"; DROP TABLE incidents; --',
    "<script>alert(1)</script>",
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "\x00\x1b[2J",
    "\r\nSet-Cookie: a=b",
    "{{7*7}}${7*7}",
    "* NEAR(a b) OR",
    "\u202e\ud7ff",
    "x" * 5_000,
    "[[[[[[" * 50,
    "%s%n%x",
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """The history of the table of queries, and its incidents by label."""
    path = tmp_path_factory.mktemp("api") / "history.db"
    return path, queries.fill(path)


@pytest.fixture(scope="module")
def client(filled):
    """A visitor on this machine."""
    return client_of(filled[0])


@pytest.fixture
def own(tmp_path):
    """A history of one's own to act on: client, incidents by label, path."""
    path = tmp_path / "history.db"
    ids = queries.fill(path)
    return client_of(path), ids, path


@pytest.mark.parametrize(
    ("params", "labels"),
    queries.QUERIES,
    ids=lambda one: urlencode(one, doseq=True) if isinstance(one, dict) else None,
)
def test_same_answer_for_incidents(client, filled, params, labels):
    """Lists, export, counts and the command line agree with the table."""
    wanted = [filled[1][label] for label in labels]
    answer = client.get(f"{API}/incidents", params=params).json()
    assert [row["id"] for row in answer["incidents"]] == wanted
    exported = client.get(f"{API}/export", params=params).text.splitlines()
    assert [json.loads(line)["id"] for line in exported] == wanted
    assert client.get(f"{API}/histogram", params=params).json()["count"] == {
        "count": len(wanted),
        "more": False,
    }


@pytest.mark.parametrize(("params", "fingerprints"), queries.PROBLEMS)
def test_same_answer_for_problems(client, params, fingerprints):
    """As the table has it."""
    assert [
        one["fingerprint"]
        for one in client.get(f"{API}/problems", params=params).json()["problems"]
    ] == fingerprints


@pytest.mark.parametrize(("params", "names"), queries.HOSTS)
def test_same_answer_for_hosts(client, params, names):
    """As the table has it."""
    assert [
        one["name"] for one in client.get(f"{API}/hosts", params=params).json()["hosts"]
    ] == names


@pytest.mark.parametrize(("params", "field"), queries.REFUSED)
@pytest.mark.parametrize(
    "place", ["incidents", "problems", "hosts", "facets", "histogram", "export"]
)
def test_refusals_name_the_field(client, place, params, field):
    """What the table refuses is a problem of status 422 about that parameter, everywhere."""
    answer = client.get(f"{API}/{place}", params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["field"], problem["type"], problem["title"]) == (
        422,
        field,
        "about:blank",
        "Unprocessable Entity",
    )
    assert problem["detail"]


def test_keyset_pages_are_the_whole_list(client):
    """Page by page, nothing twice and nothing missed."""
    whole = [row["id"] for row in client.get(f"{API}/incidents").json()["incidents"]]
    found, after = [], {}
    while True:
        page = client.get(f"{API}/incidents", params={"limit": 2} | after).json()
        found += [row["id"] for row in page["incidents"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert found == whole


def test_one_incident_is_the_object_of_the_command(client, filled):
    """The API's object and the one of `incidents show --json` are equal, and the model describes
    every field.
    """
    path, ids = filled
    for identity in ids.values():
        shown = CliRunner().invoke(
            oopswatch, ["incidents", "show", identity, "--json", "--store", str(path)]
        )
        item = client.get(f"{API}/incidents/{identity}").json()
        printed = json.loads(shown.stdout)
        assert item == {name: printed[name] for name in item}
        assert [
            one["id"] for one in client.get(f"{API}/incidents/{identity}/changes").json()["changes"]
        ] == [one["id"] for one in printed["changes"]]
        assert len(
            client.get(f"{API}/incidents/{identity}/notifications").json()["notifications"]
        ) == len(printed["notifications"])
        assert (
            IncidentItem.model_validate(item).model_dump(by_alias=True, exclude_unset=True) == item
        )
        assert item == json.loads(json.dumps(detail_item(open_history(path).incident(identity))))


def test_times_are_rfc_3339_beside_integers(client):
    """Each wall time of a row twice; distances once."""
    row = client.get(f"{API}/incidents").json()["incidents"][0]
    assert row["started"] == "2026-11-20T11:00:00.000000Z"
    assert row["started_us"] == queries.NOW_US - 3_600_000_000
    assert "gap" not in row


def test_figures(client):
    """Facets, histogram, overview and noise tell what was planted."""
    facets = client.get(f"{API}/facets", params={"names": ["state", "module"]}).json()["facets"]
    assert facets["state"][0] == {"value": "open", "count": 5}
    assert {one["value"] for one in facets["module"]} == {"nvme", "m&m"}
    parts = client.get(f"{API}/histogram", params={"buckets": 10}).json()["histogram"]
    assert sum(one["count"] for one in parts) == 7
    assert client.get(f"{API}/stats/overview").json()["open"] == {"critical": 5}
    noise = client.get(f"{API}/noise", params={"by": "process"}).json()["noise"]
    assert [(one["process"], one["count"]) for one in noise] == [("python", 7), ("java", 3)]
    hours = client.get(f"{API}/noise/hours", params={"host": "web-1"}).json()["hours"]
    assert [one["count"] for one in hours] == [7]


def test_facets_are_those_of_the_store():
    """The names that OpenAPI offers are the columns that can be counted."""
    assert set(get_args(FacetName)) == set(COLUMNS)


def test_catalogue(client):
    """Rules and signatures, as the pattern files have them; hits of one over time."""
    rules = client.get(f"{API}/rules").json()["rules"]
    assert (
        next(one for one in rules if one["id"] == "tcp-release-and-memory-fault")["timespan_us"]
        == 10_000_000
    )
    signatures = {one["id"]: one for one in client.get(f"{API}/signatures").json()["signatures"]}
    assert signatures["kernel.paging-request"]["class"] == "memory-fault"
    one = client.get(f"{API}/signatures/kernel.paging-request", params={"since": "60d"}).json()
    assert one["hits"] == []
    assert {name: one[name] for name in one if name != "hits"} == signatures[
        "kernel.paging-request"
    ]


def test_explain_says_what_the_command_says(client, tmp_path):
    """The text of the example log, in and out; the command's objects are the same."""
    text = (Path(__file__).parents[1] / "golden" / "founding-dmesg" / "log").read_text()
    told = client.post(f"{API}/explain", json={"text": text}, headers=csrf(client)).json()
    log = tmp_path / "log"
    log.write_text(text)
    printed = [
        json.loads(line)
        for line in CliRunner()
        .invoke(oopswatch, ["explain", str(log), "--json"])
        .stdout.splitlines()
    ]
    similar = [one.pop("similar") for one in told["explanations"]]
    assert all(isinstance(one, list) for one in similar)
    assert told["explanations"] == [one for one in printed if one["type"] == "explanation"]
    assert told["explanations"]
    assert [one["text"] for one in told["matches"]] == [
        one["text"] for one in printed if one["type"] == "match"
    ]
    assert (
        client.post(f"{API}/explain", json={"text": "x" * 300_000}, headers=csrf(client)).json()[
            "field"
        ]
        == "text"
    )


def act(client, identity, what, key=None, **body):
    """An act, as JSON."""
    headers = csrf(client) | ({"Idempotency-Key": key} if key else {})
    return client.post(f"{API}/incidents/{identity}/{what}", json=body or None, headers=headers)


def test_acts_change_the_state_and_are_logged(own):
    """Acknowledge, note, resolve, reopen: each answers its change, and the log holds all with actor
    and reason.
    """
    client, ids, _ = own
    for what, changed in (
        ("acknowledge", "acknowledged"),
        ("note", "noted"),
        ("resolve", "resolved"),
        ("reopen", "reopened"),
    ):
        answer = act(client, ids["disk"], what, reason=f"because of {what}")
        assert (answer.status_code, answer.json()["what"], answer.json()["actor"]) == (
            200,
            changed,
            "local",
        )
    changes = client.get(f"{API}/incidents/{ids['disk']}/changes").json()["changes"]
    assert [one["what"] for one in changes[-4:]] == [
        "acknowledged",
        "noted",
        "resolved",
        "reopened",
    ]
    assert changes[-1]["reason"] == "because of reopen"
    assert act(client, ids["disk"], "reopen").status_code == 409
    assert act(client, ids["disk"], "note").status_code == 409


def test_an_act_with_a_key_is_done_once(own):
    """Sent again it answers the same change; the same key for something else is refused."""
    client, ids, _ = own
    first, again = (act(client, ids["disk"], "acknowledge", key="k 1").json() for _ in range(2))
    assert first == again
    assert [
        one["what"]
        for one in client.get(f"{API}/incidents/{ids['disk']}/changes").json()["changes"]
    ].count("acknowledged") == 1
    assert act(client, ids["disk"], "resolve", key="k 1").json()["field"] == "Idempotency-Key"
    assert act(client, ids["listener"], "acknowledge", key="k 1").status_code == 409


def test_problems_are_resolved_and_reopened(own):
    """With the release that holds the fix; the same request twice is once, another is refused, and
    so is what is no release.
    """
    client, _, _ = own
    place = f"{API}/problems/1:nvme_irq"

    def resolve(key: str | None = None, **body: str):
        headers = csrf(client) | ({"Idempotency-Key": key} if key else {})
        return client.post(f"{place}/resolve", json=body, headers=headers)

    wrong = resolve(fixed_in="banana")
    assert (wrong.status_code, wrong.json()["field"]) == (422, "fixed_in")
    for _ in range(2):
        answer = resolve("k 1", fixed_in="5.5")
        assert (
            answer.status_code,
            answer.json()["row"]["state"],
            answer.json()["row"]["fixed_in"],
        ) == (200, "resolved", "5.5")
    assert [resolve().status_code, resolve(fixed_in="5.5").status_code] == [409, 409]
    assert resolve(fixed_in="5.6").json()["row"]["fixed_in"] == "5.6"
    assert [
        one["state"]
        for one in client.get(f"{API}/incidents", params={"module": "nvme"}).json()["incidents"]
    ] == ["resolved"] * 2
    assert client.post(f"{place}/reopen", headers=csrf(client)).json()["row"]["state"] == "open"
    assert client.post(f"{API}/problems/none/resolve", headers=csrf(client)).status_code == 404


def test_silences(own):
    """Made, listed, ended; what would hide everything is refused."""
    client, _, _ = own
    wanted = {"host": "db-*", "ends": "2026-11-21T00:00:00Z", "comment": "moved"}
    made = client.post(f"{API}/silences", json=wanted, headers=csrf(client))
    assert made.status_code == 201
    assert client.get(f"{API}/silences").json()["silences"] == [made.json()]
    assert (
        client.delete(f"{API}/silences/{made.json()['id']}", headers=csrf(client)).status_code
        == 204
    )
    assert (
        client.delete(f"{API}/silences/{made.json()['id']}", headers=csrf(client)).status_code
        == 404
    )
    assert client.get(f"{API}/silences").json() == {"silences": []}
    assert (
        client.post(
            f"{API}/silences", json=wanted | {"host": None}, headers=csrf(client)
        ).status_code
        == 409
    )
    assert (
        client.post(
            f"{API}/silences", json=wanted | {"ends": "tomorrow"}, headers=csrf(client)
        ).json()["field"]
        == "ends"
    )
    refused = client.post(f"{API}/silences", json=wanted | {"rule": "tpc-*"}, headers=csrf(client))
    assert refused.status_code == 422
    assert "no rule is called tpc-*" in refused.text


def test_grafana(client):
    """Series and annotations of the dashboard's time, by targets in the filter language."""
    span = {"from": "2026-11-19T12:00:00Z", "to": "2026-11-20T12:00:00Z"}
    targets = [{"target": "incidents?host=db-*"}, {"target": "noise?host=web-1"}]
    headers = csrf(client)
    series = client.post(
        f"{API}/grafana/query",
        json={"range": span, "targets": targets, "maxDataPoints": 24},
        headers=headers,
    ).json()
    assert [sum(point[0] for point in one["datapoints"]) for one in series] == [2, 7]
    marks = client.post(
        f"{API}/grafana/annotations",
        json={"range": span, "annotation": {"query": "module=nvme"}},
        headers=headers,
    ).json()
    assert [one["title"].partition(":")[0] for one in marks] == ["web-1", "web-2"]
    wrong = client.post(
        f"{API}/grafana/query", json={"range": span, "targets": [{"target": "rm"}]}, headers=headers
    )
    assert (wrong.status_code, wrong.json()["field"]) == (422, "targets")
    assert client.post(f"{API}/grafana/search", headers=headers).json() == ["incidents", "noise"]


@pytest.mark.parametrize(
    "place", ["incidents", "problems", "hosts", "noise", "rules", "stats/overview"]
)
def test_etags_and_head(client, place):
    """What a client has already is not sent again; HEAD is GET without the body."""
    answer = client.get(f"{API}/{place}")
    tag = answer.headers["etag"]
    unchanged = client.get(f"{API}/{place}", headers={"If-None-Match": f'W/"x", {tag}'})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
    assert client.get(f"{API}/{place}", headers={"If-None-Match": '"other"'}).status_code == 200
    head = client.head(f"{API}/{place}")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)


def test_head_of_a_stream_ends(client):
    """Nobody reads an export or waits for events who only asks for headers."""
    for place in ("export", "events"):
        head = client.head(f"{API}/{place}")
        assert (head.status_code, head.content) == (200, b"")


def test_etag_changes_with_the_answer(own):
    """An act makes a new list."""
    client, ids, _ = own
    before = client.get(f"{API}/incidents").headers["etag"]
    act(client, ids["disk"], "acknowledge")
    assert client.get(f"{API}/incidents", headers={"If-None-Match": before}).status_code == 200


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", f"{API}/nothing", 404),
        ("GET", f"{API}/incidents/0123456789abcdef", 404),
        ("PUT", f"{API}/incidents", 405),
        ("GET", f"{API}/incidents/x", 422),
    ],
)
def test_every_error_is_a_problem(client, method, address, status):
    """Also those that no route of ours makes."""
    answer = client.request(method, address, headers=csrf(client))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().keys() >= {"type", "title", "status", "detail"}


def test_history_that_goes_away_is_a_problem(own):
    """The file removed, then another in its place: 503 with one line, then answers again."""
    client, _, path = own
    assert client.get("/readyz").status_code == 200
    aside = path.rename(path.with_name("aside.db"))
    gone = client.get(f"{API}/incidents")
    assert (gone.status_code, gone.headers["retry-after"]) == (503, "5")
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
    aside.rename(path)
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_attacks_are_inert(client, filled, attack):
    """In every parameter, path and body: no 5xx, nothing reflected as markup, nothing changed."""
    before = dump(open_history(filled[0]))
    headers = csrf(client)
    for name in (
        "host",
        "text",
        "function",
        "since",
        "kernel",
        "after",
        "color",
        "known_issue",
        "class",
    ):
        for place in ("incidents", "problems", "hosts", "facets", "histogram"):
            check(client.get(f"{API}/{place}", params={name: attack}))
    for place in ("incidents", "problems", "hosts", "signatures", "silences", "grafana"):
        check(
            client.get(
                f"{API}/{place}/{attack}".replace("\x00", "%00")
                .replace("\x1b", "%1b")
                .replace("\r\n", "%0d%0a")
            )
        )
    check(client.get(f"{API}/sql", params={"sql": attack}))
    check(
        client.post(f"{API}/explain", json={"text": attack, "host": attack[:100]}, headers=headers)
    )
    span = {"from": "2026-11-19T12:00:00Z", "to": "2026-11-20T12:00:00Z"}
    check(
        client.post(
            f"{API}/grafana/query",
            json={"range": span, "targets": [{"target": f"incidents?{attack[:900]}"}]},
            headers=headers,
        )
    )
    assert dump(open_history(filled[0])) == before


def check(answer) -> None:
    """An answer that no attack has changed the kind of."""
    assert answer.status_code < 500, answer.text
    assert answer.headers["content-type"].startswith(
        ("application/json", "application/problem+json")
    )
    assert "set-cookie" not in answer.headers


def dump(history: History) -> list[str]:
    """All that a history holds."""
    return list(history.db.iterdump())
