"""A server under hostile connections: half-open ones, endless queries, wrong tokens, SIGTERM."""

from __future__ import annotations

import http.client
import json
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.support import queries
from tests.support.pages import ENDLESS
from tests.support.visiting import SQL, bearer, tokens_file

HALF_OPEN = 1_000


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process may open enough sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4_096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`oopswatch serve` as a process, with its log as JSON in `err`, and its port."""
    queries.fill(tmp_path / "history.db")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    settings = tmp_path / "oopswatch.toml"
    settings.write_text(
        f'[store]\npath = "{tmp_path}/history.db"\n[log]\nformat = "json"\n[serve]\n'
        f'port = {port}\ntokens_file = "{tokens_file(tmp_path)}"\nsql_seconds = 60\n'
    )
    with (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "oopswatch", "serve", "--config", str(settings)],
            stderr=err,
            text=True,
        )
        try:
            wait_for_health(port)
            yield process, port
        finally:
            process.kill()
            process.wait()


def health(port: int) -> float:
    """The seconds that the health check takes; raises where it is not 200."""
    begun = time.monotonic()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        answer.read()
    return time.monotonic() - begun


def wait_for_health(port: int) -> None:
    """Returns when the server answers."""
    deadline = time.monotonic() + 60
    while True:
        try:
            health(port)
        except OSError:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        else:
            return


def ask(port: int, query: str, token: str) -> int:
    """The status of a query, 0 where the connection ended."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=90)) as connection:
        try:
            connection.request(
                "POST",
                "/api/v1/sql",
                json.dumps({"sql": query}),
                bearer(token) | {"Content-Type": "application/json"},
            )
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0


def test_health_is_answered_and_sigterm_ends_it(
    server: tuple[subprocess.Popen[str], int], many_files: None, tmp_path: Path
) -> None:
    """1,000 half-open connections, four endless queries and ten wrong tokens at once: health within
    a second, an end within five, each line of the log an object.
    """
    process, port = server
    with ExitStack() as stack:
        for _ in range(HALF_OPEN):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(b"GET /incidents HTTP/1.1\r\nHo")
        assert health(port) < 1
        threads = [threading.Thread(target=ask, args=(port, ENDLESS, SQL)) for _ in range(4)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while ask(port, "SELECT 1", SQL) != 429 and time.monotonic() < deadline:
            time.sleep(0.05)
        statuses = {ask(port, "SELECT 1", "wrong-token-0123456789") for _ in range(12)}
        assert statuses <= {401, 429}
        assert health(port) < 1
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert time.monotonic() - begun < 5
        for thread in threads:
            thread.join(10)
    said = (tmp_path / "err").read_text()
    assert "Traceback" not in said
    assert [line for line in said.splitlines() if not isinstance(json.loads(line), dict)] == []


def test_a_head_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a head, and half of a second one on a connection that was used: closed; slow but whole
    is answered.
    """
    from detector.serve import server
    from tests.support.visiting import served

    monkeypatch.setattr(server, "HEAD_S", 0.3)
    queries.fill(tmp_path / "history.db")
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served(tmp_path / "history.db") as one:
        for sent in (b"", b"GET / HT", head + head[:9]):
            with closing(socket.create_connection(("127.0.0.1", one.port), 10)) as connection:
                connection.sendall(sent)
                received = b""
                try:
                    while piece := connection.recv(65_536):
                        received += piece
                except ConnectionResetError:
                    pass
                assert (b"200 OK" in received) == sent.startswith(head)


def test_the_cap_is_kept_where_all_are_busy(tmp_path: Path) -> None:
    """No connection waits for its head: the one too many is told 503 and not left alone."""
    from tests.support.visiting import served

    queries.fill(tmp_path / "history.db")
    listen = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served(tmp_path / "history.db", max_connections=10) as one, ExitStack() as stack:
        for _ in range(10):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", one.port), 10))
            connection.sendall(listen)
            assert connection.recv(15).startswith(b"HTTP/1.1 200")
        with closing(socket.create_connection(("127.0.0.1", one.port), 10)) as late:
            assert late.recv(4_096).startswith(b"HTTP/1.1 503")
