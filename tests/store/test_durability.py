"""A full disk, a file that may not be written, and kill -9: whole batches stay, half ones never."""

from __future__ import annotations

import random
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from detector.store import StoreError, open_journal
from tests.store.children import MATCHES, batch, fill, start
from tests.support.nouns import match


def batches_of(path: Path) -> int:
    """How many batches a history holds; matches, noise and position must agree on it."""
    with closing(open_journal(path)) as journal:
        assert journal.db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        totals, done = journal.history().totals(), journal.positions().get("logs/0", 0)
        assert (totals.matches, totals.noise) == (MATCHES * done, done)
        return done


def test_a_full_disk_rolls_the_batch_back(tmp_path: Path) -> None:
    """SQLite is given some pages and no more: the batch that did not fit is named and gone; with
    space it goes on.
    """
    path = tmp_path / "full.db"
    with closing(open_journal(path)) as journal:
        limit = journal.db.execute("PRAGMA page_count").fetchone()[0] + 300
        journal.db.execute(f"PRAGMA max_page_count = {limit}")
        with pytest.raises(StoreError, match=r"full\.db: the disk is full: free space"):
            fill(journal)
        done = journal.positions()["logs/0"]
        assert journal.history().totals().matches == MATCHES * done
        journal.db.execute("PRAGMA max_page_count = 1000000")
        batch(journal, done)
    assert batches_of(path) == done + 1


def test_a_file_that_may_not_grow_rolls_the_batch_back(tmp_path: Path) -> None:
    """The system itself refuses to write more (a limit on the size of files, as a quota would)."""
    path = tmp_path / "quota.db"
    child = start("quota", path)
    child.communicate(timeout=60)
    assert child.returncode == 0
    assert batches_of(path) >= 1


def test_a_file_that_may_not_be_written_is_named() -> None:
    """Another user's history: writing is refused, reading works, though the folder is closed to
    us.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name) / "theirs.db"
        with closing(open_journal(path)) as journal, journal.transaction():
            journal.add_match(match())
        path.chmod(0o444)
        folder.chmod(0o555)
        child = start("theirs", path)
        child.communicate(timeout=60)
        folder.chmod(0o755)
        assert child.returncode == 0


def test_a_kill_in_mid_batch_leaves_the_batches_before(tmp_path: Path) -> None:
    """The batch is half in the log on the disk already; after kill -9 nothing of it is there, and
    the next one goes in.
    """
    path = tmp_path / "killed.db"
    child = start("halfway", path)
    assert child.stdout is not None
    assert child.stdout.readline() == "halfway\n"
    assert Path(f"{path}-wal").stat().st_size > 3 * MATCHES * 1_000
    child.kill()
    child.communicate(timeout=60)
    assert batches_of(path) == 2
    with closing(open_journal(path)) as journal:
        batch(journal, 2)
    assert batches_of(path) == 3


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_at_any_time_loses_no_batch_that_was_reported(tmp_path: Path, seed: int) -> None:
    """Killed while it writes, wherever it stands: what it said is committed is there, and at most
    the one batch it was at.
    """
    path = tmp_path / "killed.db"
    child = start("forever", path)
    assert child.stdout is not None
    said = 0
    for _ in range(random.Random(seed).randrange(3, 12)):
        said = int(child.stdout.readline())
    child.kill()
    rest, _ = child.communicate(timeout=60)
    said = max([said, *(int(line) for line in rest.splitlines())])
    assert batches_of(path) in {said, said + 1}
