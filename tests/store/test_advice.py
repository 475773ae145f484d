"""What people know of a problem stays: said by command, API or page, and shown on its next incident
and in the message about it.
"""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from detector.cli import oopswatch
from detector.store import StoreError, open_actions, open_history
from detector.store.query.advice import Advice
from detector.store.query.standing import standing_of
from tests.support.queries import NOW_US, fill
from tests.support.visiting import client_of, csrf

PROBLEM = "1:nvme_irq"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The history of the table of queries."""
    fill(tmp_path / "history.db")
    return tmp_path / "history.db"


def test_each_kind_is_kept_once_with_who_and_when(path: Path) -> None:
    """The last word counts; an empty text takes it away; an unknown problem is one line."""
    with closing(open_actions(path, lambda: NOW_US)) as actions:
        actions.advise(PROBLEM, "cause", "a race", actor="ann")
        actions.advise(PROBLEM, "cause", "another race", actor="bob")
        actions.advise(PROBLEM, "ticket", "OPS-1", actor="ann")
        actions.advise(PROBLEM, "ticket", " ", actor="ann")
        with pytest.raises(StoreError, match="no problem 1:nowhere"):
            actions.advise("1:nowhere", "cause", "x", actor="ann")
        with pytest.raises(StoreError, match="at most 2,000 characters"):
            actions.advise(PROBLEM, "cause", "x" * 2_001, actor="ann")
    with closing(open_history(path)) as history:
        assert history.advice(PROBLEM) == [Advice("cause", "another race", "bob", NOW_US)]


def test_it_is_said_by_command_page_and_api_and_on_the_next_incident(path: Path) -> None:
    """One by each way; all of them stand on the problem, on an incident and in its message."""
    done = CliRunner().invoke(
        oopswatch,
        [
            "problems",
            "advise",
            PROBLEM,
            "--cause",
            "a race",
            "--actor",
            "ann",
            "--store",
            str(path),
        ],
    )
    assert done.exit_code == 0, done.output
    with client_of(path) as client:
        said = client.post(
            f"/api/v1/problems/{PROBLEM}/advice",
            json={"about": "ticket", "text": "OPS-1 <b>"},
            headers=csrf(client),
        )
        assert said.status_code == 200
        assert [one["about"] for one in said.json()["advice"]] == ["cause", "ticket"]
        page = client.get(f"/problems/{PROBLEM}").text
        token = re.findall(r'name="csrf_token" value="([^"]+)"', page)[0]
        fields = {"csrf_token": token, "what": "advise", "workaround": "boot with nvme=off"}
        kept = {"cause": "a race", "cause_before": "a race", "ticket": "OPS-1 <b>"}
        kept["ticket_before"] = kept["ticket"]
        assert client.post(f"/problems/{PROBLEM}/act", data=fields | kept).status_code == 303
        incident = client.get("/incidents.json", params={"problem": PROBLEM}).json()["incidents"][0]
        for address in (f"/problems/{PROBLEM}", f"/incidents/{incident['id']}"):
            text = client.get(address).text
            for words in ("a race", "OPS-1 &lt;b&gt;", "boot with nvme=off"):
                assert words in text, address
            assert "<b>OPS" not in text
    shown = CliRunner().invoke(
        oopswatch, ["incidents", "show", incident["id"], "--json", "--store", str(path)]
    )
    told = {one["about"]: one["author"] for one in json.loads(shown.output)["advice"]}
    assert told == {"cause": "ann", "ticket": "local", "workaround": "local"}
    with closing(open_history(path)) as history:
        standing = standing_of(history, incident["id"], NOW_US)
    assert standing is not None
    assert [one.text for one in standing.advice] == ["a race", "OPS-1 <b>", "boot with nvme=off"]
