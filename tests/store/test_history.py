"""What the history answers, from the file alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from detector.store import History, StoreError, open_history, open_journal
from tests.support import queries
from tests.support.nouns import HOUR, SECOND, WALL, incident, match, noise

DAY = 86_400


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    """A closed history of three incidents on three days, and noise, opened for reading."""
    path = tmp_path / "history.db"
    with (
        closing(open_journal(path, clock=lambda: WALL + 2 * DAY * SECOND)) as journal,
        journal.transaction(),
    ):
        for number, host in enumerate(["db-1", "db-2", "web-1"]):
            wall = None if host == "web-1" else number * DAY
            evidence = [
                journal.add_match(match(cls, 5 + number, wall, host=host))[0]
                for cls in ("memory-fault", "tcp-state")
            ]
            journal.save_incident(incident(*evidence), [one.id for one in evidence])
        journal.count_noise(
            [
                noise(count=5),
                noise(hour=1, count=2),
                noise("java", "db-2", count=3),
                noise("java", "web-1", hour=30),
            ]
        )
    with closing(open_history(path)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("wanted", "hosts"),
    [
        ({}, ["web-1", "db-2", "db-1"]),
        ({"limit": 1}, ["web-1"]),
        ({"limit": -1}, ["web-1", "db-2", "db-1"]),
        ({"host": "db-*"}, ["db-2", "db-1"]),
        ({"host": "db-1"}, ["db-1"]),
        ({"host": "' OR 1=1 --"}, []),
        ({"since_us": WALL + DAY * SECOND}, ["web-1", "db-2"]),
        ({"until_us": WALL + DAY * SECOND}, ["db-1"]),
        ({"rule": "pair", "severity": "critical", "state": "open"}, ["web-1", "db-2", "db-1"]),
        ({"rule": "other"}, []),
        ({"severity": "info"}, []),
        ({"state": "resolved"}, []),
    ],
)
def test_incidents_are_filtered_newest_first(
    history: History, wanted: dict[str, object], hosts: list[str]
) -> None:
    """Each filter, alone; without a wall time, when it was found counts."""
    assert [row.host for row in history.incidents(**wanted)] == hosts


def test_an_incident_without_report_is_called_by_its_fault(history: History) -> None:
    """No title, no function: the anchor's text is the headline, and its kernel time is there."""
    row = history.incidents(host="db-1")[0]
    assert (row.title, row.kernel_time_us, row.function) == (
        "memory-fault at 5 0",
        5 * SECOND,
        None,
    )
    detail = history.incident(row.id)
    assert detail is not None
    assert (detail.block, detail.report, detail.diagnosis) == (None, None, None)


def test_noise_is_grouped_by_any_columns(history: History) -> None:
    """The most frequent first, over whatever was not asked for."""
    assert [(row.host, row.process, row.count) for row in history.noise().rows] == [
        ("db-1", "python", 7),
        ("db-2", "java", 3),
        ("web-1", "java", 1),
    ]
    assert [(row.host, row.process, row.count) for row in history.noise(by=["process"]).rows] == [
        (None, "python", 7),
        (None, "java", 4),
    ]
    assert [row.count for row in history.noise(by=[]).rows] == [11]
    assert [
        (row.process, row.count)
        for row in history.noise(by=["process"], process="java", top=1).rows
    ] == [("java", 4)]
    assert history.noise(process="jav*").rows == []
    assert [(row.hour_us, row.count) for row in history.noise(by=["hour"], host="db-1").rows] == [
        (noise().hour_us, 5),
        (noise(hour=1).hour_us, 2),
    ]
    assert [row.process for row in history.noise(top=1).rows] == ["python"]


def test_noise_is_cut_by_time(history: History) -> None:
    """Hours that touch the time that is asked for."""
    hour = noise().hour_us
    assert [row.count for row in history.noise(by=[], since_us=hour + HOUR).rows] == [3]
    assert [row.count for row in history.noise(by=[], until_us=hour + HOUR).rows] == [8]
    row = history.noise(by=[]).rows[0]
    assert (row.first_us, row.last_us) == (hour + SECOND, hour + 30 * HOUR + 2 * SECOND)


def test_totals_say_how_much_there_is(history: History) -> None:
    """Counts of everything, and the time that is covered."""
    totals = history.totals()
    assert (totals.hosts, totals.matches, totals.incidents, totals.joined, totals.noise) == (
        3,
        6,
        3,
        0,
        11,
    )
    assert totals.boots == 3
    assert (totals.reports, totals.open_reports) == (0, 0)


def test_the_history_cannot_write(history: History) -> None:
    """The connection itself is for reading."""
    with pytest.raises(Exception, match="readonly"):
        history.db.execute("DELETE FROM incidents")


def test_reading_goes_on_beside_a_writer(tmp_path: Path) -> None:
    """A reader sees the last commit, never half a batch, and holds nobody up."""
    path = tmp_path / "history.db"
    with closing(open_journal(path)) as journal, closing(open_history(path)) as reader:
        with journal.transaction():
            journal.count_noise([noise()])
            assert reader.totals().noise == 0
        assert reader.totals().noise == 1


def test_a_missing_history_is_named(tmp_path: Path) -> None:
    """No file is made by looking."""
    path = tmp_path / "none.db"
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreError, match=r"empty\.db: the file is empty, no history yet"):
        open_history(tmp_path / "empty.db")
    with pytest.raises(StoreError, match=r"none\.db: there is no such history"):
        open_history(path)
    assert not path.exists()


def test_what_is_open_is_one_number_by_problem(tmp_path: Path) -> None:
    """Open and acknowledged incidents of one fingerprint are one; what is resolved is none."""
    path = tmp_path / "open.db"
    queries.fill(path)
    with closing(open_history(path)) as history:
        seen = history.overview(queries.NOW_US)
    assert (seen.open_problems_counted.count, seen.open_problems_counted.more) == (4, False)
    counts = {one.fingerprint: (one.incidents, one.hosts) for one in seen.open_problems}
    assert counts == {
        "1:__inet_lookup_listener": (2, 2),
        "1:nvme_irq": (2, 2),
        "1:kfree": (1, 1),
        "1:foo'\"; DROP TABLE incidents": (1, 1),
    }
    assert {one.severity for one in seen.open_problems} == {"critical"}
