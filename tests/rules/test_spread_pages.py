"""An incident of many hosts on its page, in the API and in the terminal; a program's name is
text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from detector.cli import oopswatch
from detector.model import Incident
from detector.outbreak import Outbreaks
from detector.store import open_journal
from tests.support.nouns import noise
from tests.support.pages import visit
from tests.support.rules import HOUR, START, counting

NAME = "<script>x{{7}}'"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history in which a program with a hostile name crashes on sixty hosts."""
    path = tmp_path_factory.mktemp("burst") / "history.db"
    with closing(open_journal(path, clock=lambda: START + HOUR)) as journal:
        outbreaks = Outbreaks([counting("process", 1, 20)], journal)

        def save(incident: Incident, evidence: Sequence[int], *, notify: bool = True) -> None:
            journal.save_incident(incident, evidence)

        rows = [noise(NAME, f"h{host:02}<b>", hour_us=START) for host in range(60)]
        with journal.transaction():
            journal.count_noise(rows)
            outbreaks.noise(rows)
            outbreaks.raise_incidents(save)
    return path


@pytest.fixture(scope="module")
def client(path: Path) -> Iterator[TestClient]:
    """A visitor of its pages."""
    with visit(path, START + 2 * HOUR) as opened:
        yield opened


def test_the_api_names_the_hosts(client: TestClient) -> None:
    """How many, which, and in which hours."""
    (row,) = client.get("/api/v1/incidents").json()["incidents"]
    spread = client.get(f"/api/v1/incidents/{row['id']}").json()["spread"]
    assert (spread["field"], spread["value"], spread["hosts"]) == ("process", NAME, 60)
    assert (len(spread["names"]), spread["names"][0]) == (60, "h00<b>")
    assert spread["first_hour"] == spread["last_hour"] == "2027-01-15T08:00:00.000000Z"


def test_the_page_shows_the_hosts_and_no_gap(client: TestClient) -> None:
    """The first of them by name, and how many more; nothing of a name becomes markup."""
    (row,) = client.get("/api/v1/incidents").json()["incidents"]
    page = client.get(f"/incidents/{row['id']}").text
    assert "<b>60</b> hosts" in page
    assert ">h00&lt;b&gt;</a>, <a " in page
    assert ">h50&lt;b&gt;</a>" not in page
    assert "and 10 more" in page
    assert "<script>x" not in page
    assert "at least one line carries no kernel time" not in page
    assert "<li>gap" not in page


def test_the_terminal_shows_the_hosts(path: Path, client: TestClient) -> None:
    """The same in one line."""
    (row,) = client.get("/api/v1/incidents").json()["incidents"]
    result = CliRunner().invoke(oopswatch, ["incidents", "show", row["id"], "--store", str(path)])
    assert result.exit_code == 0, result.output
    assert "60, hours 2027-01-15T08 to 2027-01-15T08 (UTC): h00<b>, h01<b>" in result.output
    assert f"{NAME} crashed in user space on 20 hosts or more within an hour" in result.output
