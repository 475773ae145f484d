"""The server itself: from when it takes connections, and what it says where it cannot."""

from __future__ import annotations

import http.client
import socket
from contextlib import closing
from pathlib import Path

import pytest

from detector.serve.server import Server
from detector.settings import SettingsError
from tests.support import queries
from tests.support.visiting import settings_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The history of the table of queries."""
    queries.fill(tmp_path / "history.db")
    return tmp_path / "history.db"


def test_who_connects_before_the_first_answer_waits_and_is_not_refused(path: Path) -> None:
    """The port takes connections from when the server exists; what was asked early is answered as
    soon as it runs.
    """
    server = Server(settings_of(path), port=0)
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as early:
        early.request("GET", "/healthz")
        server.start()
        try:
            assert early.getresponse().status == 200
        finally:
            server.stop()


def test_a_port_that_is_taken_is_one_line(path: Path) -> None:
    """The setting, the address, what is wrong."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError) as caught:
            Server(settings_of(path), port=port)
    assert caught.value.faults == (
        f"serve.port: 127.0.0.1:{port} cannot be served: Address already in use",
    )
