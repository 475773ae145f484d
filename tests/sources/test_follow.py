from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from detector.sources import FileSource, SourceProblem
from detector.sources.files.follow import LINGER, FileFollower


class Tail:
    """A follower whose new lines are asked for by hand."""

    def __init__(self, *paths: Path) -> None:
        self.problems: list[SourceProblem] = []
        self.follower = FileFollower([str(path) for path in paths], self.problems)
        self.follower.begin()

    def lines(self, polls: int = 1) -> list[bytes]:
        """The values of the records that have come."""
        found = []
        for _ in range(polls):
            for chunk in self.follower.poll(1 << 20):
                position = 0
                while position < len(chunk.data):
                    record, _, position = chunk.record_at(position)
                    found.append(record.value)
        return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with one line."""
    path = tmp_path / "kern.log"
    path.write_bytes(b"one\n")
    return path


@pytest.fixture
def tail(log: Path) -> Iterator[Tail]:
    """Follows the log alone; the line that was there has been read."""
    tail = Tail(log)
    assert tail.lines() == [b"one"]
    yield tail
    tail.follower.close()


@pytest.fixture
def folder(log: Path) -> Iterator[Tail]:
    """Follows the folder; the line that was there has been read."""
    tail = Tail(log.parent)
    assert tail.lines() == [b"one"]
    yield tail
    tail.follower.close()


def append(path: Path, data: bytes) -> None:
    """As a logger does."""
    with path.open("ab") as out:
        out.write(data)


def test_what_is_added_comes(log: Path, tail: Tail) -> None:
    """Whole lines only; a half one waits for its end."""
    assert tail.lines() == []
    append(log, b"two\nthr")
    assert tail.lines() == [b"two"]
    append(log, b"ee\n")
    assert tail.lines() == [b"three"]


def test_rename_and_create(log: Path, tail: Tail) -> None:
    """The old file to its end, although its writer is late to let it go, and the new one from its
    beginning.
    """
    append(log, b"two\n")
    old = log.rename(log.with_name("kern.log.1"))
    append(old, b"three\n")
    log.write_bytes(b"four\n")
    append(old, b"five\nsi")
    assert sorted(tail.lines()) == [b"five", b"four", b"three", b"two"]
    append(old, b"x\n")
    assert tail.lines() == [b"six"]
    assert tail.lines(LINGER + 1) == []
    append(log, b"seven\n")
    assert tail.lines() == [b"seven"]


def test_a_last_line_without_end_comes_when_its_file_is_let_go(log: Path, tail: Tail) -> None:
    """Nobody will finish it."""
    append(log, b"cut")
    log.unlink()
    assert tail.lines(LINGER + 1) == [b"cut"]


def test_copy_and_truncate(log: Path, folder: Tail) -> None:
    """The file begins again; the copy beside it is not read again."""
    shutil.copy(log, log.with_name("kern.log.1"))
    os.truncate(log, 0)
    append(log, b"a\n")
    assert folder.lines() == [b"a"]


def test_truncated_and_grown_past_the_old_size_between_two_looks(log: Path, tail: Tail) -> None:
    """Seen by what stands before the position."""
    os.truncate(log, 0)
    append(log, b"quite other text, and longer\n")
    assert tail.lines() == [b"quite other text, and longer"]


def test_a_folder_over_two_rotations_with_compression(log: Path, folder: Tail) -> None:
    """Renamed, then compressed, then the next: each line once."""
    for round_ in range(3):
        append(log, b"before %d\n" % round_)
        first, second = log.with_name("kern.log.1"), log.with_name("kern.log.2.gz")
        if first.exists():
            second.write_bytes(gzip.compress(first.read_bytes()))
            first.unlink()
        log.rename(first)
        log.write_bytes(b"after %d\n" % round_)
        assert sorted(folder.lines()) == [b"after %d" % round_, b"before %d" % round_]
    assert folder.lines(LINGER + 1) == []
    assert folder.problems == []


def test_new_files_of_a_folder_are_followed(log: Path, folder: Tail) -> None:
    """A new host's log, for instance; and one whose name begins like another's."""
    log.with_name("db-7").write_bytes(b"db\n")
    assert folder.lines() == [b"db"]
    log.with_name("db-7.example.org").write_bytes(b"named alike\n")
    log.with_name("kern.logger").write_bytes(b"other\n")
    assert sorted(folder.lines()) == [b"named alike", b"other"]


def test_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    """It is followed as soon as it comes."""
    tail = Tail(tmp_path / "kern.log")
    assert tail.lines() == []
    append(tmp_path / "kern.log", b"first\n")
    assert tail.lines() == [b"first"]
    tail.follower.close()


def test_a_binary_is_said_once_and_left(log: Path, folder: Tail) -> None:
    """However often it changes."""
    blob = log.with_name("blob")
    blob.write_bytes(b"\x89PNG\r\n")
    assert folder.lines(3) == []
    append(blob, b"more")
    append(log, b"two\n")
    assert folder.lines(LINGER + 3) == [b"two"]
    assert [str(problem) for problem in folder.problems] == [f"{blob}: not a log but a PNG image"]


def test_following_reads_what_is_there_and_waits_until_it_is_stopped(log: Path) -> None:
    """Compressed files once; empty batches while nothing comes; `stop` from another thread ends
    it.
    """
    log.with_name("kern.log.1.gz").write_bytes(gzip.compress(b"zero\n"))
    source = FileSource([str(log.parent)], follow=True, poll_s=0.01)
    seen: list[bytes] = []
    for batch in source.batches():
        if not batch and len(seen) == 2:
            append(log, b"two\n")
            seen.append(b"")
        seen += [chunk.data for chunk in batch]
        if len(seen) == 4:
            Thread(target=source.stop).start()
    source.close()
    assert seen == [b"zero\n", b"one\n", b"", b"two\n"]
    assert source.problems == []
