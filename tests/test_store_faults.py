"""Faults of the store end the work with one line and set nothing aside; what was committed stays,
and reading goes on from there exactly.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from detector.hooks import Hooks
from detector.model import Rejected
from detector.store import Journal, StoreError, open_history, open_journal
from tests.support.fleet_log import chunks, lines, watched

PAGE = 4_096
FLEET = tuple(f"web-{number}" for number in range(12))


def fleet() -> list[str]:
    """Some hundred lines, with a dozen incidents."""
    return lines(FLEET)


def facts(path: Path) -> tuple[object, ...]:
    """What a history holds."""
    with closing(open_history(path)) as history:
        totals = history.totals()
        incidents = sorted((row.id, row.title) for row in history.incidents())
        noise = history.db.execute("SELECT sum(count) FROM noise").fetchone()[0]
    return totals.matches, incidents, noise


def read_on(path: Path, hurt: Callable[[Journal], None] = lambda _journal: None) -> list[Rejected]:
    """Reads the fleet's log from where the history stands, as a source does; `hurt` is done after
    each batch. Returns what was set aside.
    """
    rejected: list[Rejected] = []
    with closing(open_journal(path)) as journal:
        pipeline = watched(journal, Hooks(rejected=rejected.append))
        done = journal.positions().get("fleet.log", 0)
        for now, chunk in enumerate(chunks(fleet(), 10)):
            if chunk.end > done:
                pipeline.handle([chunk], now)
                hurt(journal)
        pipeline.finish(10**6)
    return rejected


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history of all of it."""
    path = tmp_path_factory.mktemp("whole") / "whole.db"
    assert read_on(path) == []
    return path


def test_a_full_disk_ends_the_work_and_nothing_is_set_aside(tmp_path: Path, whole: Path) -> None:
    """SQLite is given a few more pages and no more; with space again the rest is read once."""
    path = tmp_path / "full.db"
    rejected: list[Rejected] = []

    def fill(journal: Journal) -> None:
        pages = journal.db.execute("PRAGMA page_count").fetchone()[0]
        journal.db.execute(f"PRAGMA max_page_count = {pages + 1}")

    with pytest.raises(StoreError, match=r"full\.db: the disk is full: free space") as caught:
        read_on(path, fill)
    assert "\n" not in str(caught.value)
    with closing(open_history(path)) as history:
        assert history.rejected().rows == []
    rejected += read_on(path)
    assert rejected == []
    assert facts(path) == facts(whole)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_removed_under_the_work_ends_it(tmp_path: Path, replaced: bool) -> None:
    """What would be written to it is nowhere: the name is asked before each batch."""
    path = tmp_path / "gone.db"

    def remove(journal: Journal) -> None:
        del journal
        path.unlink()
        if replaced:
            path.write_bytes(b"")

    with pytest.raises(StoreError, match=r"gone\.db: the file was removed or replaced") as caught:
        read_on(path, remove)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["zeros", "random", "flips"])
def test_a_damaged_page_is_said_or_does_no_harm(tmp_path: Path, whole: Path, how: str) -> None:
    """Every seventh page in turn: the history is refused, or the work ends with one line, or all
    goes on; never another error, and nothing is set aside.
    """
    original, dice = whole.read_bytes(), random.Random(how)
    refused = 0
    for page in range(0, len(original) // PAGE, 7):
        path = tmp_path / f"{page}.db"
        path.write_bytes(damaged(original, page, how, dice))
        rejected: list[Rejected] = []
        said = work_on(path, rejected)
        assert rejected == [], page
        assert said is None or (str(path) in said and said.isprintable()), page
        refused += said is not None
    assert refused


def work_on(path: Path, rejected: list[Rejected]) -> str | None:
    """Reads the fleet's log again, and two hosts more; returns what the store said, if anything."""
    rows = [*fleet(), *lines(["new-1", "new-2"])]
    try:
        with closing(open_journal(path)) as journal:
            pipeline = watched(journal, Hooks(rejected=rejected.append))
            for now, chunk in enumerate(chunks(rows, 50)):
                pipeline.handle([chunk], now)
            pipeline.finish(10**6)
    except StoreError as error:
        return str(error)
    return None


def damaged(original: bytes, page: int, how: str, dice: random.Random) -> bytes:
    """A file of which one page is not what was written."""
    data, start = bytearray(original), page * PAGE
    if how == "zeros":
        data[start : start + PAGE] = bytes(PAGE)
    elif how == "random":
        data[start : start + PAGE] = dice.randbytes(PAGE)
    else:
        for _ in range(40):
            data[start + dice.randrange(PAGE)] ^= 1 << dice.randrange(8)
    return bytes(data)
