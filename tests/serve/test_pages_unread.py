"""What was set aside or not understood is shown where people look: the first page and `stats`."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from click.testing import CliRunner

from detector.cli import oopswatch
from detector.model import Rejected
from detector.store import open_journal
from detector.unclaimed import UnclaimedCount
from tests.support.visiting import client_of

HOSTILE = "<script>alert(1)</script>"


def stats(path: Path, *options: str) -> str:
    """What the command prints."""
    done = CliRunner().invoke(oopswatch, ["stats", "--store", str(path), *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_first_page_and_stats_say_what_was_set_aside_or_not_understood(tmp_path: Path) -> None:
    """With the command that lists it, and a sample that stays text."""
    path = tmp_path / "history.db"
    rows = [Rejected("kmsg/0", n, "match", "KeyError: 'x'", HOSTILE.encode()) for n in range(3)]
    unclaimed = UnclaimedCount("differs", 5, "kernel.oops", "kmsg/0", 7, "db-1", HOSTILE)
    with closing(open_journal(path)) as journal, journal.transaction():
        journal.add_rejected(rows)
        journal.add_unclaimed([unclaimed])
    said = stats(path)
    assert "3 records; see `oopswatch rejected list`" in said
    assert "5 lines hold the phrase of a kernel fault" in said
    assert json.loads(stats(path, "--json"))["rejected"] == 3
    with client_of(path) as client:
        page = client.get("/").text
        assert f"3 records: <code>oopswatch rejected list --store {path}</code>" in page
        assert "5 lines hold the phrase" in page
        assert HOSTILE not in page
        assert client.get("/api/v1/stats/overview").json()["rejected"] == 3


def test_nothing_set_aside_is_said_too(tmp_path: Path) -> None:
    """In words, not by an empty place."""
    path = tmp_path / "history.db"
    open_journal(path).close()
    assert "set aside       none" in stats(path)
    with client_of(path) as client:
        assert "nothing: no stage raised on a record" in client.get("/").text
