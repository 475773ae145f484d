"""A real browser (the system's Chromium) against a real server on loopback."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, expect, sync_playwright

from detector.serve.server import Server
from detector.settings import Settings
from tests.browser import fleet

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP oopswatch.test 127.0.0.1",
)
# A condition is waited for; how long only says when a machine that is busy is given up.
expect.set_options(timeout=30_000)
IMAGES = Path(__file__).parents[2] / "docs" / "img"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for one module: Playwright's event loop runs in this thread as long as it is open,
    and no other loop can.

    Where there is none the tests fail if they must run, and are skipped elsewhere.
    """
    path = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if path is None:
        if os.environ.get("OOPSWATCH_STRICT") == "1":
            raise RuntimeError("no Chromium: install the package chromium")
        pytest.skip("needs Chromium: install the package chromium")
    with sync_playwright() as playwright:
        opened = _launched(playwright.chromium, path)
        yield opened
        opened.close()


def _launched(chromium, path: str) -> Browser:
    """Chromium may need a second attempt on a machine that is busy."""
    try:
        return chromium.launch(executable_path=path, args=list(_ARGUMENTS))
    except Error:
        return chromium.launch(executable_path=path, args=list(_ARGUMENTS))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the pages of a fleet's history are, as of its end."""
    path = fleet.write(tmp_path_factory.mktemp("browser"))
    settings = Settings.model_validate(
        {
            "store": {"path": str(path)},
            "serve": {"requests_per_second": 1000, "request_burst": 10_000, "max_listeners": 50},
        }
    )
    server = Server(settings, port=0, clock=_clock())
    server.start()
    yield server.address
    server.stop()


def _clock():
    """The end of the fleet's two days, and time that goes on from there: log-ins and rates need it
    to pass.
    """
    begun = time.monotonic_ns()
    return lambda: fleet.NOW_US + (time.monotonic_ns() - begun) // 1_000


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: into the documentation when `OOPSWATCH_SCREENSHOTS=1` asks for them,
    else away.
    """
    folder = (
        IMAGES
        if os.environ.get("OOPSWATCH_SCREENSHOTS") == "1"
        else tmp_path_factory.mktemp("images")
    )
    folder.mkdir(parents=True, exist_ok=True)
    return folder
