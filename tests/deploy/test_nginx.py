"""The shipped nginx sample: what oopswatch believes of a proxy is set by it, in each location, and
its settings hold.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from detector.settings import Settings
from tests.support import queries
from tests.support.visiting import app_of

HOST = "oopswatch.example.org"


@pytest.fixture
def sample(deploy: Path) -> str:
    """The file."""
    return (deploy / "nginx" / "oopswatch.conf").read_text()


def headers_of(location: str) -> dict[str, str]:
    """What a location sets for a visitor that the proxy calls ann."""
    found = dict(re.findall(r'proxy_set_header (\S+)\s+"?([^";]*)"?;', location))
    known = {"$host": HOST, "$scheme": "https", "$remote_user": "ann", "$remote_addr": "192.0.2.7"}
    return {name: known.get(value, value) for name, value in found.items() if value}


def test_every_location_says_who_it_is(sample: str, tmp_path: Path) -> None:
    """With the settings that the file tells, its headers make a reader of ann; nobody can send
    these headers past it.
    """
    serve = tomllib.loads("\n".join(re.findall(r"^#   (\w+ = .*)$", sample, re.MULTILINE)))
    queries.fill(tmp_path / "history.db")
    app = app_of(tmp_path / "history.db", **serve)
    locations = re.findall(r"location [^{]*\{(.*?)\n    \}", sample, re.DOTALL)
    assert len(locations) == 2
    for location in locations:
        headers = headers_of(location)
        assert {
            Settings().serve.user_header,
            Settings().serve.roles_header,
            "Host",
            "X-Forwarded-Proto",
            "X-Forwarded-For",
        } == headers.keys()
        assert re.search(r'proxy_set_header Authorization +"";', location)
        with TestClient(
            app, base_url="http://127.0.0.1:8470", headers=headers, client=("127.0.0.1", 50_000)
        ) as client:
            who = client.get("/api/v1/session").json()
            assert (who["name"], who["roles"]) == ("ann", ["read"])


def test_events_are_not_held_back(sample: str) -> None:
    """nginx buffers answers unless told otherwise, and ends a connection that is quiet for a
    minute.
    """
    events = sample.partition("location = /api/v1/events")[2]
    assert "proxy_buffering off;" in events
    assert int(re.search(r"proxy_read_timeout (\d+)h;", events)[1]) >= 1
