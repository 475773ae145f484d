"""A history that is made at once holds what the service would have stored, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from sqlite3 import Connection

from bench.crashes import FOUND_US, Crash, log_lines, lone_texts, store, template
from bench.history import LONE, Fleet, add_up, enter
from detector.app import build
from detector.noise import NoiseCount
from detector.settings import Settings
from detector.store import open_journal
from tests.support.shipped import shipped

# Numbers of rows that are given as they come, and the state of what has not ended.
LEFT_OUT = {
    "boots": {"id"},
    "changes": {"id"},
    "reports": {"match_id"},
    "matches": {"id"},
    "faults": {"id"},
    "evidence": {"match_id"},
    "incidents": {"anchor_id"},
}
NOT_MADE = {"about", "streams", "repeating", "positions", "counters", "banners"}
CRASHES, HOSTS = 12, 3


class SmallFleet(Fleet):
    """A few crashes, of which nobody has said anything yet."""

    def __init__(self) -> None:
        super().__init__(0)
        self.crashes, self.hosts, self.noise = CRASHES, HOSTS, 40

    def made(self) -> Iterator[tuple[str, str, Crash]]:
        """Crashes of each kind, some of one function."""
        for text, kernel, crash in super().made():
            function = crash.function % 3
            yield text, kernel, replace(crash, function=function, state="open")


def read(fleet: Fleet) -> dict[str, list[tuple[object, ...]]]:
    """What the pipeline stores of every crash, each read after a restart."""
    catalogue, now_us = shipped(), [0]
    lone = lone_texts(catalogue, LONE)
    with closing(open_journal(":memory:", clock=lambda: now_us[0])) as journal:
        for text, kernel, crash in fleet.made():
            now_us[0] = crash.at_us + FOUND_US
            lines = template(catalogue, text, kernel, lone).lines
            pipeline = build.watch_of(Settings(), journal, catalogue)
            store(pipeline, list(log_lines(lines, lone, crash)), now_us[0])
        with journal.transaction():
            journal.count_noise(NoiseCount("", *row, None, None) for row in fleet.noise_rows())
        return dump(journal.db)


def made(fleet: Fleet) -> dict[str, list[tuple[object, ...]]]:
    """The same, made at once."""
    with closing(open_journal(":memory:")) as journal:
        journal.db.execute("PRAGMA foreign_keys = OFF")
        enter(journal.db, shipped(), fleet)
        add_up(journal.db)
        return dump(journal.db)


def test_rows_made_at_once_are_those_that_the_service_stores() -> None:
    """Every table, but for numbers of rows and the state of streams."""
    expected, found = read(SmallFleet()), made(SmallFleet())
    assert sum(map(len, expected.values())) > 500
    for table, rows in expected.items():
        assert found[table] == rows, table


def dump(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    """The rows of every table, without what is left out."""
    found = {}
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    for (table,) in tables:
        if table in NOT_MADE or table.startswith(("sqlite_", "_sqlite", "incident_words_")):
            continue
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        kept = ", ".join(name for name in names if name not in LEFT_OUT.get(table, ()))
        rows = [tuple(row) for row in connection.execute(f"SELECT {kept} FROM {table}")]
        found[table] = sorted(rows, key=repr)
    return found
