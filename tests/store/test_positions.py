from __future__ import annotations

from contextlib import closing
from pathlib import Path

from detector.model import Position
from detector.store import backup, open_journal


def test_a_position_is_placed_moves_on_and_is_kept(tmp_path: Path) -> None:
    """With its topic, and with what a person set until it moves on."""
    path = tmp_path / "history.db"
    with closing(open_journal(path)) as journal:
        journal.sources.place({"kmsg/0": Position(5, "T", 9, 1), "kmsg/1": Position(0, "T", 0)})
        with journal.transaction():
            journal.set_positions({"kmsg/1": 7})
        history = journal.sources.history
    with closing(open_journal(path)) as journal:
        assert journal.sources.all() == {
            "kmsg/0": Position(5, "T", 9, 1),
            "kmsg/1": Position(7, "T", 7),
        }
        assert journal.sources.get("kmsg/2") is None
        assert journal.sources.counted("kmsg/0") == 9
        with journal.transaction():
            journal.set_positions({"kmsg/0": 6})
        assert journal.sources.get("kmsg/0") == Position(6, "T", 9)
        assert journal.sources.history == history


def test_only_the_partitions_of_a_topic_count_for_it() -> None:
    """Also where a name begins like another, or holds what LIKE would read."""
    with closing(open_journal(":memory:")) as journal:
        journal.sources.place({"kernel_logs.a/0": Position(1)})
        assert journal.sources.reads("kernel_logs.a")
        assert not journal.sources.reads("kernel_logs")
        assert not journal.sources.reads("kernelxlogs.a")


def test_files_have_no_counted_position() -> None:
    """They are read anew each time, and their positions are bytes, not line numbers."""
    with closing(open_journal(":memory:")) as journal:
        with journal.transaction():
            journal.set_positions({"/var/log/kern.log": 1_000})
        with journal.transaction():
            journal.set_positions({"/var/log/kern.log": 10})
        assert journal.sources.get("/var/log/kern.log") == Position(10, None, 10)
        assert journal.sources.counted("/var/log/kern.log") == 0


def test_histories_differ_and_a_backup_is_the_same_history(tmp_path: Path) -> None:
    """A backup says that it is one, until reading goes on from it."""
    first, second, copy = (tmp_path / name for name in ("first.db", "second.db", "copy.db"))
    with closing(open_journal(first)) as one, closing(open_journal(second)) as other:
        assert one.sources.history != other.sources.history
        assert one.sources.copied_us is None
        history = one.sources.history
    backup.backup(first, copy)
    with closing(open_journal(copy)) as restored:
        assert restored.sources.history == history
        assert restored.sources.copied_us is not None
        restored.sources.place({"kmsg/0": Position(1)})
    with closing(open_journal(copy)) as restored:
        assert restored.sources.copied_us is None
