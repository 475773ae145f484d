"""Faults: every kernel match once, in an incident or not, under the filter language."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from detector.store import History, open_history
from detector.store.query import faults
from detector.store.query.filters import Filter, FilterError, parse
from tests.support import queries
from tests.support.queries import NOW_US


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """The history of the table of queries."""
    path = tmp_path_factory.mktemp("faults") / "history.db"
    queries.fill(path)
    with closing(open_history(path)) as opened:
        yield opened


def every(history: History, wanted: Filter, limit: int = 3) -> list[faults.FaultRow]:
    """All faults of a filter, page by page."""
    rows: list[faults.FaultRow] = []
    after = None
    while True:
        page = history.faults(wanted, frozenset(), after=after, limit=limit)
        rows += page.rows
        after = page.next
        if after is None:
            return rows


def test_every_match_is_one_fault(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a page looks at: each once, the newest first."""
    count = history.db.execute("SELECT count(*) FROM matches").fetchone()[0]
    whole = every(history, Filter())
    times = [(row.wall_time_us or 0, row.id) for row in whole]
    assert times == sorted(times, reverse=True)
    assert {row.id for row in whole} == set(range(1, count + 1))
    monkeypatch.setattr(faults, "LOOKED", (1, 2))
    assert every(history, Filter()) == whole
    assert all(row.incident for row in whole if row.fingerprint)


@pytest.mark.parametrize(
    "params",
    [
        {"host": ["db-1"]},
        {"host": ["db-*"]},
        {"since": ["24h"]},
        {"since": ["7d"], "until": ["24h"]},
        {"class": ["storage-timeout"]},
        {"signature": ["kernel.storage-timeout"]},
        {"severity": ["critical"], "function": ["kfree"]},
        {"module": ["nvme"]},
        {"kernel": ["4.14..4.19"]},
        {"kernel": ["6.1.36"]},
        {"problem": ["1:nvme_irq"]},
    ],
    ids=str,
)
def test_filters(history: History, params: dict[str, list[str]], monkeypatch) -> None:
    """As a plain look at every row decides, whatever a page looks at."""
    wanted = parse(params, NOW_US)
    expected = [row for row in every(history, Filter()) if fits(row, params, wanted)]
    assert expected
    assert every(history, wanted) == expected
    monkeypatch.setattr(faults, "LOOKED", (1, 3))
    assert every(history, wanted, limit=1) == expected


def fits(row: faults.FaultRow, params: dict[str, list[str]], wanted: Filter) -> bool:
    """Whether a row is what the parameters ask for."""
    kernels = {"4.14..4.19": ("4.14.", "4.15.", "4.19."), "6.1.36": ("6.1.36",)}
    names = {"class": "cls", "problem": "fingerprint"}
    for name, values in params.items():
        if name == "host":
            if not any(
                row.host == one or ("*" in one and row.host.startswith(one[:-1])) for one in values
            ):
                return False
        elif name == "since":
            if row.wall_time_us is None or row.wall_time_us < (wanted.since_us or 0):
                return False
        elif name == "until":
            if row.wall_time_us is None or row.wall_time_us >= (wanted.until_us or 0):
                return False
        elif name == "kernel":
            if not (row.kernel or "").startswith(kernels[values[0]]):
                return False
        elif getattr(row, names.get(name, name)) not in values:
            return False
    return True


def test_lines_of_a_report_are_none_of_their_own(history: History) -> None:
    """A signature that opens reports and got none claims a line of another's."""
    signatures = {row.signature for row in every(history, Filter())}
    heads = {"kernel.storage-timeout"}
    assert heads < signatures
    rows = history.faults(Filter(), heads, limit=500).rows
    assert {row.signature for row in rows} == signatures - heads
    assert history.fault(0) is None
    detail = history.fault(1)
    assert detail is not None
    assert detail.row.id == 1


@pytest.mark.parametrize(
    "wanted", [Filter(rule=("x",)), Filter(state=("open",)), Filter(text=("a",))]
)
def test_what_faults_do_not_have_is_said(history: History, wanted: Filter) -> None:
    """Rules and states belong to incidents."""
    with pytest.raises(FilterError, match="faults are not found by it"):
        history.faults(wanted, frozenset())
