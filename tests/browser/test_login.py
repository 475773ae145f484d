"""Logging in with a real browser: over plain http under a name, over https, and behind nginx."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import queries
from tests.support.certificates import certificate
from tests.support.visiting import ACT, served, tokens_file

NAME = "oopswatch.test"


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A history with incidents."""
    path = tmp_path / "history.db"
    queries.fill(path)
    return path


@contextmanager
def visiting(browser: Browser) -> Iterator[Page]:
    """A page in a context of its own, which trusts the test's certificates."""
    context = browser.new_context(ignore_https_errors=True)
    try:
        yield context.new_page()
    finally:
        context.close()


def log_in_and_act(page: Page, address: str) -> None:
    """Logs in, and acknowledges an incident: both are forms that the browser posts."""
    page.goto(f"{address}/incidents?state=open")
    page.get_by_label("Token").fill(ACT)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{address}/incidents?state=open")
    page.locator("main a[href^='/incidents/']").first.click()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator("#state")).to_contain_text("acknowledged")


def test_over_http_under_a_name(browser: Browser, history: Path, tmp_path: Path) -> None:
    """What a container's user does first: no secure context, so no Sec-Fetch-Site."""
    settings = {
        "address": "0.0.0.0",
        "tokens_file": str(tokens_file(tmp_path)),
        "hosts": [NAME],
    }
    with served(history, **settings) as server, visiting(browser) as page:
        log_in_and_act(page, f"http://{NAME}:{server.port}")


def test_over_https(browser: Browser, history: Path, tmp_path: Path) -> None:
    """The server's own TLS: the cookie is for https alone."""
    settings = {"tokens_file": str(tokens_file(tmp_path)), **certificate(tmp_path, "own")}
    with served(history, **settings) as server, visiting(browser) as page:
        log_in_and_act(page, server.address)
        assert [one["secure"] for one in page.context.cookies()] == [True]


@pytest.mark.debian
def test_behind_nginx(browser: Browser, history: Path, tmp_path: Path) -> None:
    """TLS at the proxy, plain http to the server: the form's origin is still its own."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if os.environ.get("OOPSWATCH_STRICT") == "1":
            raise RuntimeError("no nginx: install the package nginx")
        pytest.skip("needs nginx: install the package nginx")
    settings = {
        "tokens_file": str(tokens_file(tmp_path)),
        "hosts": [NAME],
        "trusted_proxies": ["127.0.0.2/32"],
    }
    files = certificate(tmp_path, "proxy")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    with served(history, **settings) as server:
        config = tmp_path / "nginx.conf"
        config.write_text(
            f"""daemon off; pid {tmp_path}/pid; error_log stderr; events {{}}
http {{ access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
server {{ listen 127.0.0.1:{port} ssl; server_name {NAME};
ssl_certificate {files["tls_certfile"]}; ssl_certificate_key {files["tls_keyfile"]};
location / {{ proxy_pass http://127.0.0.1:{server.port}; proxy_bind 127.0.0.2;
proxy_set_header Host $host:$server_port; proxy_set_header X-Forwarded-Proto $scheme;
proxy_set_header X-Forwarded-For $remote_addr; }} }} }}
"""
        )
        proxy = subprocess.Popen(
            [program, "-c", str(config), "-p", str(tmp_path)], stderr=subprocess.PIPE
        )
        try:
            with visiting(browser) as page:
                log_in_and_act(page, f"https://{NAME}:{port}")
        finally:
            proxy.terminate()
            proxy.communicate(timeout=20)
