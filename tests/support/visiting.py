"""Servers and visitors for the tests of pages and API: settings, tokens, clients, a server on a
port of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from detector.serve.app import create_app
from detector.serve.server import Server
from detector.settings import Settings
from tests.support import queries

BASE = "http://127.0.0.1:8470"
READ, ACT, SQL = "read-token-0123456789", "act-token-0123456789", "sql-token-0123456789"
TOKENS = f"""
[[token]]
name = "grafana"
roles = ["read"]
token = "{READ}"
[[token]]
name = "ann"
roles = ["read", "act"]
token = "{ACT}"
[[token]]
name = "analyst"
roles = ["read", "sql"]
token = "{SQL}"
"""
GENEROUS = {"requests_per_second": 10_000, "request_burst": 100_000}


def bearer(token: str) -> dict[str, str]:
    """The header that presents a token."""
    return {"Authorization": f"Bearer {token}"}


def tokens_file(folder: Path, content: str = TOKENS) -> Path:
    """A file of tokens that only its owner can read."""
    path = folder / "tokens.toml"
    path.write_text(content)
    path.chmod(0o600)
    return path


def settings_of(path: Path, **serve: object) -> Settings:
    """Settings over one history, by default without a limit that a test would meet."""
    return Settings.model_validate({"store": {"path": str(path)}, "serve": GENEROUS | serve})


def app_of(path: Path, **serve: object) -> FastAPI:
    """An application at the time of the table of queries."""
    return create_app(settings_of(path, **serve), clock=lambda: queries.NOW_US)


def client_of(path: Path, comes_from: str = "127.0.0.1", **serve: object) -> TestClient:
    """A visitor who comes from an address."""
    return TestClient(
        app_of(path, **serve), base_url=BASE, client=(comes_from, 50_000), follow_redirects=False
    )


def csrf(client: TestClient) -> dict[str, str]:
    """The header that a script of the same origin would send."""
    return {"X-CSRF-Token": client.get("/api/v1/session").json()["csrf_token"]}


@contextmanager
def served(path: Path, **serve: object) -> Iterator[Server]:
    """A real server on a port of its own."""
    server = Server(settings_of(path, **serve), port=0, clock=lambda: queries.NOW_US)
    server.start()
    try:
        yield server
    finally:
        server.stop()
