"""Which files are opened, brought up to date or refused, and what a lock does. Every refusal is one
line.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from detector.store import StoreError, open_history, open_journal, schema
from tests.support.nouns import match


def refusal(path: Path, opener: Callable[[Path], object] = open_journal) -> str:
    """What opening says, which is one line that names the file."""
    with pytest.raises(StoreError) as error:
        opener(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def known() -> int:
    """How many migrations there are."""
    return len(schema.MIGRATIONS.pending(Database(memory=True)))


def newer() -> Migrations:
    """Our migrations, and one that a later version may bring."""
    later = Migrations("oopswatch")
    for migration in schema.MIGRATIONS.pending(Database(memory=True)):
        later(name=migration.name)(migration.fn)

    @later()
    def m999_owner(db: Database) -> None:
        """A column more."""
        db.execute("ALTER TABLE hosts ADD COLUMN owner TEXT")

    return later


def filled(path: Path) -> None:
    """A history with a match in it."""
    with closing(open_journal(path)) as journal, journal.transaction():
        journal.add_match(match())


def test_a_new_file_is_ours_and_current(tmp_path: Path) -> None:
    """It carries our application id and its schema's number, logs ahead and checks references."""
    with closing(open_journal(tmp_path / "new.db")) as journal:
        pragmas = {
            name: journal.db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version", "journal_mode")
        }
        strict = [
            table.name
            for table in Database(journal.db).tables
            if not table.strict and not table.name.startswith(("_", "incident_words"))
        ]
        assert journal.db.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert journal.db.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    assert pragmas == {
        "application_id": schema.APPLICATION_ID,
        "user_version": known(),
        "journal_mode": "wal",
    }
    assert strict == []


def test_an_empty_file_becomes_a_history(tmp_path: Path) -> None:
    """What `touch` or a temporary-file call leaves is as good as no file."""
    path = tmp_path / "empty.db"
    path.touch()
    filled(path)
    with closing(open_history(path)) as history:
        assert history.totals().matches == 1


def test_an_older_file_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in it stays; the reader asks for that first, and opening again changes nothing."""
    path = tmp_path / "older.db"
    filled(path)
    shipped = known()
    monkeypatch.setattr(schema, "MIGRATIONS", newer())
    assert "older oopswatch" in refusal(path, open_history)
    for _ in range(2):
        with closing(open_journal(path)) as journal:
            assert journal.db.execute("PRAGMA user_version").fetchone()[0] == shipped + 1
            assert [row["owner"] for row in Database(journal.db)["hosts"].rows] == [None]
    with closing(open_history(path)) as history:
        assert history.totals().matches == 1


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pending migrations are one transaction: none of them stays when one fails."""
    path = tmp_path / "older.db"
    filled(path)
    broken = newer()

    @broken()
    def m9999_broken(db: Database) -> None:
        """Fails after it has written."""
        db.execute("DELETE FROM faults")
        db.execute("DELETE FROM matches")
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", broken)
        with pytest.raises(ZeroDivisionError):
            open_journal(path)
    with closing(open_history(path)) as history:
        assert history.totals().matches == 1


@pytest.mark.parametrize("opener", [open_journal, open_history])
def test_a_newer_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opener: Callable[[Path], object]
) -> None:
    """It is left alone: a downgrade must not write into what it does not know."""
    path = tmp_path / "newer.db"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", newer())
        filled(path)
    before = path.read_bytes()
    assert "newer oopswatch" in refusal(path, opener)
    assert path.read_bytes() == before


def foreign(path: Path) -> None:
    """Another program's SQLite file."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE matches (id INTEGER PRIMARY KEY)")


def foreign_by_id(path: Path) -> None:
    """Another program's SQLite file, still without tables."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA application_id = 12345")


def picture(path: Path) -> None:
    """No SQLite file at all."""
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5000))


def torn(path: Path) -> None:
    """A history whose table of contents is overwritten."""
    filled(path)
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)


@pytest.mark.parametrize("opener", [open_journal, open_history])
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (foreign, "another program"),
        (foreign_by_id, "another program"),
        (picture, "not an SQLite file"),
        (torn, "damaged"),
    ],
)
def test_what_is_no_history_is_refused_untouched(
    tmp_path: Path, opener: Callable[[Path], object], make: Callable[[Path], None], says: str
) -> None:
    """A foreign, wrong or damaged file is named, and not a byte of it changes."""
    path = tmp_path / "other.db"
    make(path)
    before = path.read_bytes()
    assert says in refusal(path, opener)
    assert path.read_bytes() == before


def test_damage_that_shows_later_is_one_line_too(tmp_path: Path) -> None:
    """A page in the middle is broken: opening works, the query that meets it says so."""
    path = tmp_path / "worn.db"
    with closing(open_journal(path)) as journal, journal.transaction():
        for number in range(2_000):
            journal.add_match(match(text=f"fault {number}"))
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half:] = b"\xff" * half
    path.write_bytes(content)
    with (
        closing(open_history(path)) as history,
        pytest.raises(StoreError, match=r"worn\.db: it is damaged"),
    ):
        history.totals()


def test_a_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A folder that is not there, and a folder in place of the file."""
    assert "cannot be opened" in refusal(tmp_path / "no" / "such.db")
    assert "cannot be opened" in refusal(tmp_path)
    assert "no such history" in refusal(tmp_path, open_history)


def test_a_file_in_use_is_waited_for_and_then_named(tmp_path: Path) -> None:
    """Two writers: the second says that it waited, and goes on when the first has finished."""
    path = tmp_path / "shared.db"
    with closing(open_journal(path)) as one, closing(open_journal(path)) as two:
        two.db.execute("PRAGMA busy_timeout = 20")
        with (
            one.transaction(),
            pytest.raises(StoreError, match="it was busy for too long"),
            two.transaction(),
        ):
            pass
        with two.transaction():
            two.add_match(match())


def test_another_process_that_holds_a_file_is_named(tmp_path: Path) -> None:
    """By its number, and only where it is another one."""
    path = tmp_path / "shared.db"
    program = (
        "import sqlite3, sys\n"
        f"held = sqlite3.connect({str(path)!r}, isolation_level=None)\n"
        "held.execute('BEGIN IMMEDIATE')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with closing(open_journal(path)) as journal:
        journal.db.execute("PRAGMA busy_timeout = 20")
        other = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(StoreError, match=rf"another process holds it \({other.pid}\)"),
            journal.transaction(),
        ):
            pass
        other.communicate()
        with journal.transaction():
            journal.add_match(match())
