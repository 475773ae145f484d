"""Who may do what: every route for every kind of visitor, CSRF, sessions, proxies, hosts, rates,
the tokens file.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from detector.serve.app import create_app
from detector.serve.http.access import COOKIE, SECOND_US, Buckets, is_loopback
from detector.serve.http.gate import PUBLIC, READING_POSTS, SAFE, role_for
from detector.serve.http.login import inward
from detector.serve.http.tokens import read_tokens
from detector.settings import SettingsError
from tests.support import queries
from tests.support.visiting import (
    ACT,
    BASE,
    READ,
    SQL,
    app_of,
    bearer,
    client_of,
    csrf,
    settings_of,
    tokens_file,
)

UNKNOWN = "0123456789abcdef"


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """The history of the table of queries."""
    made = tmp_path_factory.mktemp("access") / "history.db"
    queries.fill(made)
    return made


@pytest.fixture
def guarded(path, tmp_path):
    """A visitor of a server with tokens."""
    return client_of(path, tokens_file=str(tokens_file(tmp_path)))


@pytest.fixture(scope="module")
def local(path):
    """A visitor of a server on loopback without tokens."""
    return client_of(path)


def flat(routes):
    """Every route with a path, also those of included routers."""
    for route in routes:
        if hasattr(route, "effective_route_contexts"):
            yield from route.effective_route_contexts()
        elif hasattr(route, "path"):
            yield route


def every_route(app) -> list[tuple[str, str]]:
    """Method and address of every route there is, its parameters filled in with what no history
    has.
    """
    found = []
    for route in flat(app.routes):
        address = re.sub(r"\{[a-z]+(:[a-z]+)?\}", lambda _: UNKNOWN, route.path)
        found += [(method, address) for method in sorted(route.methods or ())]
    return found


def test_table_of_routes_is_whole(path):
    """The walk over the application finds all that OpenAPI describes, and the pages beside it."""
    app = app_of(path)
    described = {re.sub(r"\{[a-z]+\}", UNKNOWN, one) for one in app.openapi()["paths"]}
    found = {address for _, address in every_route(app)}
    assert described <= found
    assert {"/", "/incidents", "/login", "/logout", f"/static/{UNKNOWN}"} <= found
    assert len(found) > 60


def test_every_route_for_every_visitor(path, tmp_path):
    """No token and a wrong one: 401. The role read reads and nothing else. The role act acts. SQL
    has a role of its own.
    """
    app = app_of(path, tokens_file=str(tokens_file(tmp_path)))
    visits = 0
    for method, address in every_route(app):
        if address == "/api/v1/events" and method in SAFE:
            continue  # its stream has no end: tests/serve/test_events.py
        needed = role_for(method, address)
        for token, roles in (
            (None, set()),
            ("wrong-token-0123456789", set()),
            (READ, {"read"}),
            (ACT, {"read", "act"}),
            (SQL, {"read", "sql"}),
        ):
            # An address of its own, so that wrong tokens do not run into the limit on guessing.
            visits += 1
            client = TestClient(
                app,
                base_url=BASE,
                client=(f"10.0.{visits // 256}.{visits % 256}", 1),
                follow_redirects=False,
            )
            status = client.request(
                method, address, headers=bearer(token) if token else {}
            ).status_code
            told = (method, address, token, status)
            if needed is None or needed in roles:
                assert status not in {403, 421, 429}, told
                assert status != 401 or address == "/login", told
            else:
                assert status == (403 if roles else 401), told


def test_what_needs_no_role_is_little():
    """Strangers may see that the process lives, and log in. Methods that nobody listed need the
    role act.
    """
    assert {"/healthz", "/readyz", "/login"} == PUBLIC
    assert role_for("GET", "/static/x.css") is None
    assert {
        role_for(method, "/anything") for method in ("POST", "PUT", "PATCH", "DELETE", "BREW")
    } == {"act"}
    assert role_for("POST", "/static/x.css") == "act"
    assert {
        role_for("GET", one) for one in ("/", "/metrics", "/api/v1/openapi.json", "/nothing")
    } == {"read"}
    assert all(role_for("POST", one) == "read" for one in READING_POSTS)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_open_to_others_without_tokens_is_refused(path, address):
    """A server that others reach does not start without tokens or a proxy, and says so in one
    line.
    """
    with pytest.raises(
        SettingsError, match=r"^serve.address: .* set serve.tokens_file or serve.trusted_proxies"
    ) as refusal:
        create_app(settings_of(path, address=address))
    assert len(refusal.value.faults) == 1


def test_loopback_addresses():
    """What only this machine reaches."""
    assert [
        is_loopback(one)
        for one in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "0.0.0.0", "10.0.0.1", "evil")
    ] == [True] * 4 + [False] * 3


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8470", "127.0.0.1.evil.example", "localhost@evil", ""]
)
def test_dns_rebinding_is_refused(local, host):
    """A page of another name that resolves to this address gets nothing, whatever it asks for."""
    for address in ("/", "/api/v1/incidents", "/api/v1/session", "/login", "/static/oopswatch.css"):
        assert local.get(address, headers={"Host": host}).status_code == 421


def test_names_of_the_server(path, tmp_path):
    """Loopback has its names; `serve.hosts` replaces them; probes come by any."""
    local = client_of(path)
    assert [
        local.get("/metrics", headers={"Host": one}).status_code
        for one in ("localhost:1", "[::1]:8470", "127.0.0.1")
    ] == [200] * 3
    named = client_of(
        path, tokens_file=str(tokens_file(tmp_path)), address="0.0.0.0", hosts=["Oops.example"]
    )
    assert (
        named.get("/metrics", headers=bearer(READ) | {"Host": "oops.example:443"}).status_code
        == 200
    )
    assert named.get("/metrics", headers=bearer(READ) | {"Host": "127.0.0.1"}).status_code == 421
    assert named.get("/healthz", headers={"Host": "10.1.2.3:8470"}).status_code == 200


def acknowledge(client, headers, **more):
    """The act that strangers would like to do."""
    identity = client.get(
        "/api/v1/incidents", params={"state": "open"}, headers=more.get("as_who", {})
    ).json()["incidents"][0]["id"]
    return client.post(
        f"/api/v1/incidents/{identity}/note", json={"reason": "by test"}, headers=headers
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-CSRF-Token": "0" * 64},
        {"X-CSRF-Token": b"\xff\xfe"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
    ],
)
def test_another_site_cannot_act(local, headers):
    """Without the token, or from elsewhere even with it, nothing is done, as a form nor as JSON."""
    token = csrf(local) if "Origin" in headers or "Sec-Fetch-Site" in headers else {}
    assert acknowledge(local, token | headers).status_code == 403
    form = local.post(
        f"/incidents/{UNKNOWN}/act",
        data={"what": "note", "csrf_token": token.get("X-CSRF-Token", "x")},
        headers=headers,
    )
    assert form.status_code == 403


def test_own_page_can_act(local):
    """The same origin with its token acts; so does a program on this machine that asks for the
    token first.
    """
    same = {"Sec-Fetch-Site": "same-origin", "Origin": BASE}
    assert acknowledge(local, csrf(local) | same).status_code == 200
    assert acknowledge(local, csrf(local)).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_cannot_read_the_api(local, site):
    """Nor hold listeners open; a link from elsewhere to a page or to JSON is followed."""
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
    assert local.get("/api/v1/events", headers=headers).status_code == 403
    assert local.get("/api/v1/incidents", headers=headers).status_code == 403
    followed = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
    assert local.get("/api/v1/incidents", headers=followed).status_code == 200
    assert local.get("/", headers=followed).status_code == 200


def log_in(client, token=ACT, **headers):
    """The log-in form, sent."""
    return client.post("/login", data={"token": token, "next": "/incidents"}, headers=headers)


def test_browser_session(guarded):
    """A page leads to the log-in; the token makes a session that acts with its own CSRF token
    alone, until it logs out.
    """
    asked = guarded.get("/incidents?host=db-1", headers={"Accept": "text/html"})
    assert (asked.status_code, asked.headers["location"]) == (
        303,
        "/login?next=%2Fincidents%3Fhost%3Ddb-1",
    )
    done = log_in(guarded)
    assert (done.status_code, done.headers["location"]) == (303, "/incidents")
    cookie = done.headers["set-cookie"]
    assert all(one in cookie for one in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"))
    session = guarded.get("/api/v1/session").json()
    assert (session["name"], session["via"], session["roles"]) == (
        "ann",
        "session",
        ["act", "read"],
    )
    assert acknowledge(guarded, {}).status_code == 403
    assert acknowledge(guarded, csrf(guarded)).status_code == 200
    kept = guarded.cookies[COOKIE]
    assert guarded.post("/logout", headers=csrf(guarded)).status_code == 303
    guarded.cookies.set(COOKIE, kept)
    assert guarded.get("/api/v1/session").status_code == 401


def test_csrf_token_of_another_session_is_worth_nothing(guarded):
    """What one visitor's page holds does not let another's act: a stolen page cannot act."""
    log_in(guarded, SQL)
    stolen = csrf(guarded)
    guarded.cookies.clear()
    log_in(guarded, ACT)
    assert acknowledge(guarded, stolen).status_code == 403
    guarded.cookies.clear()
    assert acknowledge(guarded, stolen, as_who=bearer(READ)).status_code == 401


def test_session_ends(path, tmp_path):
    """After its hours a session is none."""
    now = [queries.NOW_US]
    settings = settings_of(path, tokens_file=str(tokens_file(tmp_path)), session_hours=1)
    client = TestClient(
        create_app(settings, clock=lambda: now[0]), base_url=BASE, follow_redirects=False
    )
    log_in(client)
    assert client.get("/metrics").status_code == 200
    now[0] += 3_600 * SECOND_US
    assert client.get("/metrics").status_code == 401


def test_log_in_refuses(guarded):
    """Wrong tokens get no cookie, other sites no log-in, and guessing gets slow, also by
    headers.
    """
    wrong = log_in(guarded, "<script>")
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    assert "<script>" not in wrong.text
    assert log_in(guarded, ACT, Origin="http://evil.example").status_code == 403
    statuses = [log_in(guarded, "guess").status_code for _ in range(12)]
    assert statuses[:9] == [401] * 9
    assert set(statuses[9:]) == {429}
    assert guarded.get("/metrics", headers=bearer("guess")).status_code == 429
    assert guarded.get("/metrics", headers=bearer(READ)).status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "evil",
        "",
        "/a\nb",
        "\t//x",
        "/\x00",
        "/ä",
    ],
)
def test_log_in_leads_inward(target):
    """No address of another server, however it is spelled."""
    assert inward(target) == "/"
    assert inward("/incidents?host=db-1") == "/incidents?host=db-1"


def test_form_holds_what_it_was_given_inert(guarded):
    """The address to go on to is text in an attribute."""
    page = guarded.get("/login", params={"next": '/"><script>alert(1)</script>'}).text
    assert "<script>alert" not in page
    assert "&quot;&gt;&lt;script&gt;" in page


def test_trusted_proxy(path):
    """A proxy's word counts from its address alone; its visitors act by CSRF token like any
    browser.
    """
    settings = {"trusted_proxies": ["10.0.0.0/8"], "address": "0.0.0.0"}
    headers = {"X-Forwarded-User": "carol", "X-Forwarded-Roles": "read, act, root"}
    trusted = client_of(path, "10.1.2.3", **settings)
    assert trusted.get("/api/v1/session", headers=headers).json()["roles"] == ["act", "read"]
    assert trusted.get("/api/v1/session", headers={"X-Forwarded-User": "carol"}).json()[
        "roles"
    ] == ["read"]
    assert trusted.get("/api/v1/session").status_code == 401
    assert trusted.get("/api/v1/session", headers={"X-Forwarded-User": "a\tb<"}).status_code == 401
    assert trusted.post("/api/v1/silences", json={}, headers=headers).status_code == 403
    assert (
        client_of(path, "::ffff:10.1.2.3", **settings).get("/metrics", headers=headers).status_code
        == 200
    )
    for address in ("192.0.2.1", "127.0.0.1", "testclient", ""):
        stranger = client_of(path, address, **settings)
        assert (
            stranger.get(
                "/api/v1/session", headers=headers | {"X-Forwarded-For": "10.1.2.3"}
            ).status_code
            == 401
        )


def test_cookie_is_secure_where_the_browser_speaks_https(path, tmp_path):
    """Told by the trusted proxy, or by the server's own certificate."""
    settings = {"tokens_file": str(tokens_file(tmp_path)), "trusted_proxies": ["10.0.0.1"]}
    forwarded = {"X-Forwarded-Proto": "https"}
    assert (
        "Secure"
        in log_in(client_of(path, "10.0.0.1", **settings), **forwarded).headers["set-cookie"]
    )
    assert (
        "Secure"
        not in log_in(client_of(path, "10.0.0.2", **settings), **forwarded).headers["set-cookie"]
    )


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/incidents",
        "/login",
        "/healthz",
        "/nothing",
        "/api/v1/incidents",
        "/static/oopswatch.css",
        "/metrics",
    ],
)
def test_headers_that_keep_pages_apart(local, address):
    """Every answer, errors too, forbids frames, inline scripts and sniffing."""
    answer = local.get(address)
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers


def test_rate_of_one_visitor(path, tmp_path):
    """Who asks too often waits, and says nothing about others."""
    client = client_of(
        path, tokens_file=str(tokens_file(tmp_path)), requests_per_second=1, request_burst=3
    )
    statuses = [client.get("/metrics", headers=bearer(READ)).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    limited = client.get("/metrics", headers=bearer(READ))
    assert limited.headers["retry-after"] == "2"
    assert limited.headers["content-type"] == "application/problem+json"
    assert client.get("/metrics", headers=bearer(ACT)).status_code == 200


def test_buckets_refill_and_are_bounded():
    """A bucket fills over time to its brim; the one that was quiet longest is forgotten."""
    buckets = Buckets(rate=2, burst=2, most=3)
    assert [buckets.take("a", 0) for _ in range(3)] == [0, 0, 0.5]
    assert buckets.take("a", SECOND_US // 2) == 0
    assert [buckets.take("a", 100 * SECOND_US) for _ in range(3)] == [0, 0, 0.5]
    for name in "bcd":
        buckets.take(name, 100 * SECOND_US)
    assert buckets.empty("a", 100 * SECOND_US) == 0
    assert buckets.take("x", 50) == buckets.take("x", 0) == 0


def test_large_bodies_are_refused(local):
    """A body beyond the limit is not read to its end."""
    answer = local.post("/api/v1/explain", content=b"x" * (1_024 * 1_024 + 1), headers=csrf(local))
    assert answer.status_code == 413
    assert answer.json()["title"]


def test_log_lines_cannot_be_forged(local, capsys):
    """What a client sends stays on one line of our own log."""
    local.get("/api/v1/incidents", headers={"Host": "evil\x0bexample"})
    local.post("/incidents/a%0A2026 [error] forged%1b[2J/act", data={})
    said = capsys.readouterr()
    text = said.out + said.err
    assert "access_refused" in text
    assert "\x1b[2J" not in text
    assert not [line for line in text.splitlines() if line.startswith("2026 [error] forged")]


def test_acts_are_audited(path, tmp_path, monkeypatch):
    """Who changed what is said, also where it was refused by the state."""
    said = []
    monkeypatch.setattr(
        "detector.telemetry.say", lambda event, **fields: said.append((event, fields))
    )
    client = client_of(path, tokens_file=str(tokens_file(tmp_path)))
    client.post(f"/api/v1/incidents/{UNKNOWN}/note", json={"reason": "x"}, headers=bearer(ACT))
    assert said == [
        (
            "acted",
            {
                "who": "ann",
                "via": "token",
                "method": "POST",
                "path": f"/api/v1/incidents/{UNKNOWN}/note",
                "status": 404,
            },
        )
    ]


def refused(folder, content, mode=0o600):
    """What is said of a tokens file."""
    made = tokens_file(folder, content)
    made.chmod(mode)
    with pytest.raises(SettingsError) as refusal:
        read_tokens(made)
    return [one.removeprefix(f"{made}: ") for one in refusal.value.faults]


def test_faults_of_the_tokens_file_are_told_at_once(tmp_path):
    """Each in one line that names the token; none shows a secret."""
    faults = refused(
        tmp_path,
        (
            '[[token]]\nname = "a b"\nroles = ["root"]\ntoken = "short-secret"\n[[token]]\n'
            'name = "x"\nroles = ["read"]\n[other]\n'
        ),
    )
    assert len(faults) == 5
    assert any(one.startswith("token 1, name:") for one in faults)
    assert "token 2: needs either sha256 or token" in faults
    assert "short-secret" not in json.dumps(faults)
    assert "unknown table" in refused(tmp_path, "[other]\n")[0]
    assert "bad TOML" in refused(tmp_path, "[[")[0]
    assert refused(tmp_path, "") == ["holds no [[token]]"]
    assert (
        "everyone on this machine"
        in refused(
            tmp_path, '[[token]]\nname="a"\nroles=["read"]\ntoken="0123456789abcdef"', 0o644
        )[0]
    )


def test_hashed_token(path, tmp_path):
    """A file may hold hashes alone."""
    content = (
        '[[token]]\nname = "ci"\nroles = ["read"]\nsha256 = '
        f'"{hashlib.sha256(b"long-random-token").hexdigest()}"\n'
    )
    client = client_of(path, tokens_file=str(tokens_file(tmp_path, content)))
    assert client.get("/api/v1/session", headers=bearer("long-random-token")).json()["name"] == "ci"
    assert client.get("/metrics", headers=bearer(content[-66:-2])).status_code == 401
    assert (
        client.get(
            "/metrics", headers={"Authorization": "Basic bG9uZy1yYW5kb20tdG9rZW4="}
        ).status_code
        == 401
    )
