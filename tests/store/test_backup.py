"""A backup is the history of one moment, proved, under load, and restored it goes on."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from detector.store import StoreError, backup, open_history, open_journal, retention
from detector.store.query.filters import Filter
from tests.support.nouns import incident, match
from tests.support.queries import fill


def write(path: Path, stop: Event, started: Event, numbers: list[int]) -> None:
    """Writes incidents, one a transaction, until it is stopped."""
    with closing(open_journal(path)) as journal:
        number = 0
        while not stop.is_set():
            with journal.transaction():
                pair = [
                    journal.add_match(match(cls, 5, number, host=f"load-{number}"))[0]
                    for cls in ("memory-fault", "tcp-state")
                ]
                journal.save_incident(incident(*pair), [one.id for one in pair])
            numbers.append(number)
            number += 1
            if number == 20:
                started.set()


def test_a_backup_under_load_is_restored_equal(tmp_path: Path) -> None:
    """Taken while a writer commits: sound, whole transactions only, nothing of before missing; put
    in place, it is written on.
    """
    path, copy = tmp_path / "history.db", tmp_path / "copy.db"
    ids = fill(path)
    stop, started, numbers = Event(), Event(), []
    writer = Thread(target=write, args=(path, stop, started, numbers))
    writer.start()
    try:
        assert started.wait(30)
        before, seen = len(numbers), []
        held = backup.backup(path, copy, lambda done, pages: seen.append((done, pages)))
        after = len(numbers)
    finally:
        stop.set()
        writer.join()
    assert seen
    assert seen[-1][0] == seen[-1][1]
    assert before <= held.incidents - len(ids) <= after + 1
    assert held.matches == 16 + 2 * (held.incidents - len(ids))
    assert retention.check(copy) == []
    with closing(open_history(path)) as history, closing(open_history(copy)) as restored:
        assert restored.totals() == held
        everything = Filter()
        kept = {row.id: row for row in restored.search(everything, limit=100_000).rows}
        now = {row.id: row for row in history.search(everything, limit=100_000).rows}
        assert kept.items() <= now.items()
        for identity in ids.values():
            assert restored.incident(identity) == history.incident(identity)
    with closing(open_journal(copy)) as journal, journal.transaction():
        journal.add_match(match("later", 1, host="after-restore"))
    assert sorted(
        one.name for one in tmp_path.iterdir() if not one.name.endswith(("-wal", "-shm"))
    ) == ["copy.db", "history.db"]


def test_an_equal_history_dumps_equal(tmp_path: Path) -> None:
    """Without load the copy is the same, statement by statement, but that it says it is one."""
    path, copy = tmp_path / "history.db", tmp_path / "copy.db"
    fill(path)
    backup.backup(path, copy)
    with closing(open_history(path)) as history, closing(open_history(copy)) as restored:
        copied = [line for line in restored.db.iterdump() if "'copied_us'" not in line]
        assert list(history.db.iterdump()) == copied


def test_a_backup_overwrites_nothing_and_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An existing file is refused; a copy that is not sound does not get its name."""
    path, copy = tmp_path / "history.db", tmp_path / "copy.db"
    fill(path)
    copy.write_text("precious")
    with pytest.raises(StoreError, match=r"copy\.db: there is such a file already"):
        backup.backup(path, copy)
    assert copy.read_text() == "precious"
    monkeypatch.setattr(retention, "check", lambda _path: ["page 3 is damaged"])
    with pytest.raises(StoreError, match="not sound: page 3 is damaged"):
        backup.backup(path, tmp_path / "other.db")
    with pytest.raises(StoreError, match="no such history"):
        backup.backup(tmp_path / "none.db", tmp_path / "other.db")
    assert sorted(
        one.name for one in tmp_path.iterdir() if not one.name.endswith(("-wal", "-shm"))
    ) == ["copy.db", "history.db"]
