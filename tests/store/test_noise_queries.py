"""Noise in bounded time: what is counted is counted exactly, in whole hours, and the answer says
from when on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.store import History, open_history, open_journal
from detector.store.query import noise as noise_queries
from tests.support.nouns import HOUR, noise

HOURS = 30
HOSTS = [f"{kind}-{number}" for kind in ("db", "web") for number in range(4)]
PROGRAMS = ["java", "nginx", "python"]
# Every program on every host in every hour; how often tells them apart.
PLANTED = [
    (
        host,
        process,
        100 * HOUR + hour * HOUR,
        1 + (3 * hour + 5 * len(process) + 7 * HOSTS.index(host)) % 11,
    )
    for hour in range(HOURS)
    for host in HOSTS
    for process in PROGRAMS
]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """A small fleet."""
    path: Path = tmp_path_factory.mktemp("noise") / "history.db"
    with closing(open_journal(path)) as journal, journal.transaction():
        journal.count_noise(
            [
                noise(process, host, count=count, hour_us=hour, first_us=hour, last_us=hour + 1)
                for host, process, hour, count in PLANTED
            ]
        )
    with closing(open_history(path)) as opened:
        yield opened


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that this fleet exceeds."""
    monkeypatch.setattr(noise_queries, "LOOKED", 100)
    monkeypatch.setattr(noise_queries, "LOOKED_PROGRAMS", 20)
    monkeypatch.setattr(noise_queries, "_HOSTS", 2)


def counted(
    history: History, quick: bool, by: list[str], **about: object
) -> tuple[dict[tuple[object, ...], int], int | None]:
    """What the history says, by key."""
    found = history.noise(by=by, top=-1, quick=quick, **about)
    names = {"hour": "hour_us"}
    return {
        tuple(getattr(row, names.get(one, one)) for one in by): row.count for row in found.rows
    }, found.counted_us


def expected(
    by: list[str], hosts: list[str], process: str | None, since_us: int | None
) -> dict[tuple[object, ...], int]:
    """What was planted, by key."""
    sums: Counter[tuple[object, ...]] = Counter()
    for host, program, hour, count in PLANTED:
        if (
            host in hosts
            and process in (None, program)
            and (since_us is None or hour + 1 >= since_us)
        ):
            values = {
                "host": host,
                "process": program,
                "signature": noise().signature,
                "hour": hour,
            }
            sums[tuple(values[one] for one in by)] += count
    return dict(sums)


BY = st.lists(st.sampled_from(["host", "process", "signature", "hour"]), unique=True)
HOST = st.sampled_from(
    [
        (None, HOSTS),
        ("db-1", ["db-1"]),
        ("db-*", HOSTS[:4]),
        ("*-1", ["db-1", "web-1"]),
        ("none", []),
    ]
)


@given(
    by=BY,
    host=HOST,
    process=st.sampled_from([None, *PROGRAMS]),
    since=st.none() | st.integers(0, HOURS),
    quick=st.booleans(),
)
@settings(deadline=None)
def test_within_the_bounds_everything_is_counted(
    history: History,
    by: list[str],
    host: tuple[str | None, list[str]],
    process: str | None,
    since: int | None,
    quick: bool,
) -> None:
    """By any columns, hosts, programs and times; the table that answers makes no difference."""
    since_us = None if since is None else 100 * HOUR + since * HOUR
    about = {"host": host[0], "process": process, "since_us": since_us}
    wanted = expected(by, host[1], process, since_us)
    assert counted(history, quick, by, **about) == (wanted, None)


@pytest.mark.parametrize("process", [None, "nginx"])
@pytest.mark.parametrize(("host", "hosts"), [(None, HOSTS), ("db-*", HOSTS[:4])])
def test_beyond_the_bounds_the_newest_hours_are_counted_whole(
    history: History, small: None, host: str | None, hosts: list[str], process: str | None
) -> None:
    """The answer says from when on, and is exact from there."""
    sums, since_us = counted(history, True, ["host", "process"], host=host, process=process)
    assert since_us is not None
    assert (
        0 < len([one for one in PLANTED if one[2] >= since_us and process in (None, one[1])]) <= 100
    )
    assert sums == expected(["host", "process"], hosts, process, since_us)
    assert counted(history, False, ["host", "process"], host=host, process=process)[1] is None


def test_programs_over_all_hosts_have_a_bound_of_their_own(history: History, small: None) -> None:
    """Three programs an hour: six hours are within it."""
    sums, since_us = counted(history, True, ["process"])
    assert since_us == (100 + HOURS - 6) * HOUR
    assert sums == expected(["process"], HOSTS, None, since_us)


def test_one_hour_beyond_the_bound_is_counted_whole(
    history: History, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something is always counted."""
    monkeypatch.setattr(noise_queries, "LOOKED", 10)
    sums, since_us = counted(history, True, ["host", "process"])
    assert since_us == (100 + HOURS - 1) * HOUR
    assert sums == expected(["host", "process"], HOSTS, None, since_us)


def test_a_named_host_is_never_cut(history: History, small: None) -> None:
    """Its own index leads to its counts alone."""
    assert counted(history, True, ["process"], host="db-1") == (
        expected(["process"], ["db-1"], None, None),
        None,
    )


def test_sums_over_hosts_know_first_and_last_but_no_kernel_time(history: History) -> None:
    """Kernel times of two hosts have nothing in common."""
    row = history.noise(by=["process"], top=1).rows[0]
    assert (row.first_us, row.last_us) == (100 * HOUR, (100 + HOURS - 1) * HOUR + 1)
    assert (row.first_kernel_us, row.last_kernel_us) == (None, None)
