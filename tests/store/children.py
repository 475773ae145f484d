"""What the store's tests let other processes do: `python -m tests.store.children STORY FILE`; a
story that fails exits with 1.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

from detector.store import Journal, StoreError, open_history, open_journal
from tests.support.nouns import match, noise

ROOT = Path(__file__).parents[2]
MATCHES = 200


def start(story: str, path: Path) -> subprocess.Popen[str]:
    """Starts a story in a process of its own."""
    command = [sys.executable, "-m", "tests.store.children", story, str(path)]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def batch(journal: Journal, number: int) -> None:
    """One batch of matches, noise and positions, some hundred kilobytes."""
    with journal.transaction():
        write(journal, number)


def write(journal: Journal, number: int) -> None:
    """What is in a batch."""
    for line in range(MATCHES):
        journal.add_match(match(text=f"fault {number}.{line} " + "x" * 1_000))
    journal.count_noise([noise()])
    journal.set_positions({"logs/0": number + 1})


def fill(journal: Journal) -> None:
    """More batches than any limit of these tests allows."""
    for number in range(50):
        batch(journal, number)


def refused(path: Path) -> str:
    """Writes batches until the store refuses, and returns what it says."""
    try:
        fill(open_journal(path))
    except StoreError as error:
        return str(error)
    raise AssertionError("nothing was refused")


def quota(path: Path) -> None:
    """The system lets no file grow by more than some batches."""
    open_journal(path).close()  # the tables alone take half of a megabyte, more with each version
    limit = path.stat().st_size + 900_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    message = refused(path)
    assert "disk" in message, message


def theirs(path: Path) -> None:
    """The file and its folder belong to somebody else, who lets us read."""
    os.chdir(path.parent)
    if os.geteuid() == 0:
        open_journal(":memory:").close()  # imports what the other user may not read
        os.setuid(65534)
    message = refused(path)
    assert "cannot be written" in message, message
    assert open_history(path).totals().matches == 1


def forever(path: Path) -> None:
    """Commits batches and says so after each."""
    journal = open_journal(path)
    for number in range(1_000_000):
        batch(journal, number)
        print(number + 1, flush=True)


def halfway(path: Path) -> None:
    """Commits two batches, writes most of a third, far more than SQLite's cache holds, and
    waits.
    """
    journal = open_journal(path)
    journal.db.execute("PRAGMA cache_size = 10")
    batch(journal, 0)
    batch(journal, 1)
    with journal.transaction():
        write(journal, 2)
        print("halfway", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    {"quota": quota, "theirs": theirs, "forever": forever, "halfway": halfway}[sys.argv[1]](
        Path(sys.argv[2])
    )
