"""The services as processes: standard streams that are closed or broken, a signal at any time, and
a log that is JSON from its first line to its last.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from detector.store import open_journal

OOPSWATCH = Path(sys.executable).parent / "oopswatch"
LOG = Path(__file__).parents[2] / "docs" / "example.log"
CLOSED = ("2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-", "<&-")
# Nobody answers there: `run` waits for its brokers.
NO_BROKER = ("run", "--bootstrap", "127.0.0.1:9", "--topic", "kernel-logs")


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """An empty history."""
    path = tmp_path / "history.db"
    open_journal(path).close()
    return path


def free_port() -> int:
    """A port that nobody listens to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def service(*arguments: str, shell: str = "", **options: object) -> Iterator[subprocess.Popen[str]]:
    """A service of its own, which is ended at the end."""
    command = ["sh", "-c", f'exec "$@" {shell}', "sh", str(OOPSWATCH), *arguments]
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def wait_for_handler(process: subprocess.Popen[str]) -> None:
    """Waits until the process minds SIGTERM."""
    deadline = time.monotonic() + 60
    while True:
        caught = re.search(r"SigCgt:\s+(\w+)", Path(f"/proc/{process.pid}/status").read_text())
        assert caught
        if int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)


def wait_for_answer(port: int) -> None:
    """Waits until pages answer."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                assert answer.status == 200
                return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "status", "closed"),
    [
        *((["scan", str(LOG)], 1, closed) for closed in CLOSED),
        (["scan", "no.log"], 2, "<&- >&- 2>&-"),
        (["config", "show"], 0, ">&-"),
        (["incidents", "list", "--store", "none.db"], 2, "2>&-"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else str(value),
)
def test_a_closed_stream_changes_no_exit_code(
    arguments: list[str], status: int, closed: str, tmp_path: Path
) -> None:
    """What has nowhere to go is dropped, and whatever else is said has no traceback."""
    command = ["sh", "-c", f'"$@" {closed}', "sh", str(OOPSWATCH), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, timeout=120, cwd=tmp_path)
    assert done.returncode == status
    assert b"Traceback" not in done.stderr
    assert bool(done.stdout) == (not re.search(r"(?<!2)>&-", closed) and arguments[-1] != "none.db")


def test_nothing_is_written_into_a_file_that_took_a_closed_streams_number(tmp_path: Path) -> None:
    """A history that was opened as descriptor 2 would be overwritten by the first message."""
    store = tmp_path / "history.db"
    command = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", str(OOPSWATCH)]
    arguments = ["scan", str(LOG), "no.log", "--store", str(store)]
    done = subprocess.run([*command, *arguments], check=False, timeout=120)
    assert done.returncode == 2
    with closing(open_journal(store)) as journal:
        assert journal.history().totals().matches


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_serve_answers_whatever_stream_is_closed(closed: str, history: Path) -> None:
    """Until SIGTERM, which ends it with 0."""
    port = free_port()
    with service("serve", "--store", str(history), "--port", str(port), shell=closed) as process:
        wait_for_answer(port)
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize("command", ["serve", "run"])
def test_a_reader_of_the_log_that_went_away_ends_nothing(
    command: str, history: Path, tmp_path: Path
) -> None:
    """As `oopswatch run 2>&1 | head -1`: each later message has nowhere to go."""
    port = free_port()
    store = ("--store", str(history))
    arguments = ("serve", *store, "--port", str(port)) if command == "serve" else NO_BROKER
    reading, writing = os.pipe()
    os.close(reading)
    with service(*arguments, stderr=writing, cwd=tmp_path) as process:
        os.close(writing)
        if command == "serve":
            wait_for_answer(port)
        wait_for_handler(process)
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize("after_s", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("command", ["serve", "run"])
def test_sigterm_is_minded_before_the_long_imports(
    command: str, after_s: float, history: Path, tmp_path: Path
) -> None:
    """From when the command begins, not from when it has all it needs."""
    arguments = ("serve", "--store", str(history), "--port", str(free_port()))
    with service(
        *(arguments if command == "serve" else NO_BROKER), cwd=tmp_path, stderr=subprocess.PIPE
    ) as process:
        wait_for_handler(process)
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        assert "pydantic_core" not in maps
        time.sleep(after_s)
        process.terminate()
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, "Traceback" in errors) == (0, False), errors


def test_a_reload_before_there_is_anything_to_reload_ends_nothing(tmp_path: Path) -> None:
    """`systemctl reload` right after `systemctl start`."""
    with service(*NO_BROKER, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert "broker_away" in process.stderr.readline()
        process.send_signal(signal.SIGHUP)
        process.terminate()
        assert process.wait(30) == 0


FAULTS = {
    "setting": ("run", {"OOPSWATCH_KAFKA_TOPICS": "a b"}, "kafka.topics"),
    "file": ("run", {}, "no.toml"),
    "history": ("serve", {}, "none.db"),
    "port": ("serve", {}, "cannot be served"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_all_of_the_log_is_json_when_json_is_asked_for(
    name: str, history: Path, tmp_path: Path
) -> None:
    """Also what is wrong at the start; so a collector loses no line of it."""
    command, environment, text = FAULTS[name]
    arguments = {
        "setting": [],
        "file": ["--config", "no.toml"],
        "history": ["--store", "none.db"],
        "port": ["--store", str(history)],
    }[name]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = {"OOPSWATCH_SERVE_PORT": str(taken.getsockname()[1])} if name == "port" else {}
        done = subprocess.run(
            [OOPSWATCH, command, *arguments],
            env=os.environ | {"OOPSWATCH_LOG_FORMAT": "json"} | environment | port,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
        )
    assert done.returncode == 2
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert any(event["event"] == "failed" and text in event["error"] for event in events)


def test_the_log_names_the_address_and_is_json(history: Path) -> None:
    """The line for people is one for people: `log.format = "console"`."""
    port = str(free_port())
    environment = os.environ | {"OOPSWATCH_LOG_FORMAT": "json"}
    arguments = ("serve", "--store", str(history), "--port", port)
    with service(*arguments, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        assert (first["event"], first["url"]) == ("serving", f"http://127.0.0.1:{port}/")
        process.terminate()
        assert process.wait(30) == 0
    environment["OOPSWATCH_LOG_FORMAT"] = "console"
    with service(*arguments, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"oopswatch: http://127.0.0.1:{port}/\n"
        process.terminate()
        assert process.wait(30) == 0


def test_our_own_fault_is_an_event_of_a_json_log(tmp_path: Path) -> None:
    """With its traceback inside the one line; of a thread too."""
    program = (
        "import detector.cli, detector.cli.service, sys, threading\n"
        "def fail(*_, **__): raise KeyError('x')\n"
        "def both(*_):\n"
        "    thread = threading.Thread(target=fail, name='t'); thread.start(); thread.join(); "
        "fail()\n"
        "detector.cli.service.kafka_source = both\n"
        f"sys.argv = ['oopswatch', *{NO_BROKER!r}]\n"
        "detector.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"OOPSWATCH_LOG_FORMAT": "json"},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 70
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(event["event"], event["thread"]) for event in events] == [
        ("fault", "t"),
        ("fault", ""),
    ]
    assert all("KeyError" in event["traceback"] for event in events)
