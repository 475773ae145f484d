"""Two questions of a fleet's engineers, by command line, API and page: the same answer from each,
in at most three clicks from the first page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from detector import clock
from detector.cli import oopswatch
from detector.model import Block, Boot, CrashReport, Match
from detector.store import History, open_history, open_journal
from detector.store.query.fleet import CrashRate, rates
from tests.support.nouns import match
from tests.support.queries import NOW_US
from tests.support.visiting import client_of

DAY = clock.DAY_US
MIDNIGHT = NOW_US - NOW_US % DAY
OLD, NEW = "5.4.210", "6.1.36"
BOARD = "Example Inc. R640/0H28RR"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty hosts on an old kernel; edge-32 and nine others boot a new one a week ago, and
    crash.
    """
    path = tmp_path_factory.mktemp("fleet") / "history.db"
    with closing(open_journal(path, clock=lambda: NOW_US)) as journal:
        for number in range(40):
            with journal.transaction():
                boot(journal, f"edge-{number}", OLD, NOW_US - 100 * DAY)
        for number in range(30, 40):
            with journal.transaction():
                boot(journal, f"edge-{number}", NEW, NOW_US - 7 * DAY)
                if number < 37:
                    crash(journal, f"edge-{number}", NEW, NOW_US - 5 * DAY)
        with journal.transaction():
            crash(journal, "edge-32", OLD, NOW_US - 20 * DAY)
            crash(journal, "edge-32", OLD, NOW_US - 40 * DAY)
    return path


def boot(journal, host: str, kernel: str, at_us: int) -> None:
    """A boot banner of a host."""
    banner = match("boot", 0, wall_time_us=at_us, host=host, fields={"kernel": kernel})
    journal.note_boot(_of(banner, at_us))


def crash(journal, host: str, kernel: str, at_us: int) -> None:
    """A report of a host in no incident."""
    made = match("memory-fault", at_us % 9_999, wall_time_us=at_us, host=host)
    fault, _ = journal.add_match(_of(made, at_us - 10))
    report = CrashReport(
        "oops", title="BUG: in f", function="f", kernel=kernel, hardware=f"{BOARD}, BIOS 2.10.0"
    )
    block = Block(fault.match, ("head", "trace"), complete=True)
    journal.add_report(fault.id, block, report, "1:f")


def _of(made: Match, epoch_us: int) -> Match:
    return replace(made, boot=Boot(f"{made.host}-{epoch_us // DAY}", epoch_us))


@pytest.fixture(scope="module")
def history(path: Path) -> Iterator[History]:
    """It, for reading."""
    with closing(open_history(path)) as opened:
        yield opened


@pytest.fixture
def page(path: Path) -> Iterator[TestClient]:
    """A visitor of its pages."""
    with client_of(path) as one:
        yield one


def said(path: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[dict]:
    """What a command prints as JSON."""
    monkeypatch.setattr(clock, "now_us", lambda: NOW_US)
    result = CliRunner().invoke(oopswatch, [*words, "--store", str(path), "--json"])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_rates_are_those_of_counting_hosts_by_hand(history: History) -> None:
    """From a midnight to noon of the 29th day: 40 hosts for 21 days and 30 for 7.5 on the old
    release, 10 for 7.5 on the new.
    """
    found = rates(history.db, "kernel", NOW_US - 28 * DAY, None, NOW_US)
    assert found.rows == [
        CrashRate(NEW, 7, 10, 10.7, 653.3, True, MIDNIGHT - 7 * DAY),
        CrashRate(OLD, 1, 30, 152.1, 6.6, True, MIDNIGHT - 100 * DAY),
    ]
    (board,) = rates(history.db, "hardware", NOW_US - 28 * DAY, None, NOW_US).rows
    assert (board.name, board.crashes, board.hosts) == (BOARD, 8, 7)


def test_which_kernel_release_crashes_most(
    path: Path, page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One click from the first page; the same rows, in the same order, by all three ways."""
    command = said(path, monkeypatch, "fleet")
    answer = page.get("/api/v1/fleet").json()
    assert [{"type": "crash_rate", "by": "kernel", **row} for row in answer["rows"]] == command
    assert command[0]["name"] == NEW
    assert 'href="/fleet"' in page.get("/").text
    text = page.get("/fleet").text
    table = text[text.index("<tbody>") :]
    assert re.findall(r'<th scope="row"><a [^>]*>([^<]+)</a>', table) == [NEW, OLD]
    assert re.findall(r'data-label="rate">([0-9.]+)', table) == ["653.3", "6.6"]
    # The crashes behind a rate are one click further.
    (href, _) = re.findall(r'<th scope="row"><a href="([^"]+)"', table)
    behind = page.get(f"{unescape(href).replace('/faults', '/faults.json')}").json()["faults"]
    assert len(behind) == 7


def test_what_did_the_kernel_of_one_host_do_last_month(
    path: Path, page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faults, then the form: two clicks; or the host's page."""
    command = said(path, monkeypatch, "faults", "list", "--host", "edge-32", "--since", "30d")
    asked = "host=edge-32&since=30d"
    answer = page.get(f"/api/v1/faults?{asked}").json()["faults"]
    assert [{"type": "fault", **row} for row in answer] == command
    assert [row["kernel"] for row in command] == [NEW, OLD]
    assert 'href="/faults"' in page.get("/").text
    assert 'name="host"' in page.get("/faults").text
    assert 'name="since"' in page.get("/faults").text
    shown = re.findall(r'href="/faults/(\d+)"', page.get(f"/faults?{asked}").text)
    assert [int(one) for one in shown] == [row["id"] for row in command]
    on_host = re.findall(r'href="/faults/(\d+)"', page.get("/hosts/edge-32").text)
    assert on_host[:2] == shown


def test_since_which_release(path: Path, page: TestClient, history: History) -> None:
    """A problem says the oldest release that has it, and the next older one that hosts ran."""
    found = history.releases_with("1:f")
    assert found is not None
    assert (found.oldest, found.newest, found.before) == (OLD, NEW, None)
    assert f"seen on {OLD} to {NEW}" in page.get("/problems/1:f").text


def test_a_time_that_is_none_is_said(page: TestClient) -> None:
    """The same words by API and page."""
    assert page.get("/api/v1/fleet?since=yesterday").json()["field"] == "since"
    wrong = page.get("/fleet?since=yesterday")
    assert wrong.status_code == 422
    assert "is no time" in unescape(wrong.text)


def test_what_crashes_are_not_counted_by_is_refused(path: Path) -> None:
    """Page, JSON and API name the field; the same word twice is no choice."""
    client = client_of(path)
    for query in ("by=zzz", "by=kernel&by=hardware"):
        assert "by: " in client.get(f"/fleet?{query}").text
        for place in (f"/fleet.json?{query}", "/api/v1/fleet?by=zzz"):
            answer = client.get(place)
            assert (answer.status_code, answer.json()["field"]) == (422, "by")
