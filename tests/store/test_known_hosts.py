"""Hosts are asked for in any case of letters; a source's name keeps its capitals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from detector.model import Boot
from detector.store import History, open_history, open_journal
from detector.store.query.filters import Filter
from tests.support.nouns import HOUR, incident, match, noise

HOSTS = ("web-12", "Kern.LOG")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Noise and an incident of a named host, and of a file that names none."""
    path: Path = tmp_path_factory.mktemp("hosts") / "history.db"
    with closing(open_journal(path)) as journal, journal.transaction():
        for host in HOSTS:
            journal.count_noise(
                [noise("java", host, count=3, hour_us=HOUR, first_us=HOUR, last_us=HOUR + 1)]
            )
            halves = [
                journal.add_match(match(cls, 5, wall=5, host=host, boot=Boot()))[0]
                for cls in ("tcp-state", "memory-fault")
            ]
            journal.save_incident(incident(*halves), [half.id for half in halves])
    with closing(open_history(path)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("web-12", "web-12"),
        ("WEB-12", "web-12"),
        ("Web-1?", "web-12"),
        ("Kern.LOG", "Kern.LOG"),
        ("Kern.*", "Kern.LOG"),
        ("kern.log", None),
    ],
)
def test_a_host_is_found_in_any_case(history: History, asked: str, found: str | None) -> None:
    """Every question that takes a host or a pattern understands it alike."""
    wanted = Filter(host=(asked,))
    hosts = [found] if found else []
    assert [row.name for row in history.hosts(wanted).rows] == hosts
    assert [row.host for row in history.search(wanted).rows] == hosts
    assert [row.host for row in history.incidents(host=asked)] == hosts
    assert [row.host for row in history.faults(wanted, ["kernel.memory-fault"]).rows] == hosts
    assert [row.host for row in history.noise(host=asked).rows] == hosts


def test_a_page_of_one_host(history: History) -> None:
    """Its name is a whole one."""
    detail = history.host("WEB-12")
    assert detail is not None
    assert (detail.row.name, len(detail.incidents), len(detail.noise)) == ("web-12", 1, 1)
    assert (
        sum(one.count for one in history.noise_hours(host="WEB-12", since_us=0, until_us=2 * HOUR))
        == 3
    )
