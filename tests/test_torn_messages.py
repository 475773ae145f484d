"""Messages whose parts come in different batches: what waits for its rest outlives a kill, and
nothing is counted twice for it.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from detector.clock import SECOND_US
from detector.hooks import Hooks
from detector.model import Position
from detector.sources.files.framing import FileChunk
from detector.store import Journal, open_history, open_journal
from tests.support.fleet_log import watched

FAULT = "Unable to handle kernel paging request at virtual address ffff80001234a001"
SOURCE = "kmsg/0"
NOISE = (
    "6.9.1,6,{number},1758{number},-;app[7]: segfault at 10 ip 00007f0000000000 "
    "sp 00007ffc00000000 error 4 in libc.so[7f0000000000+1000]"
)
TORN = [
    NOISE.format(number=415),
    f"6.9.1,4,416,1758426,-,ncfrag=0/{len(FAULT) + 1};{FAULT[:30]}",
    NOISE.format(number=417),
    f"6.9.1,4,416,1758426,-,ncfrag=30/{len(FAULT) + 1};{FAULT[30:]}",
    NOISE.format(number=418),
]
# Of another host, so that it is no line of the dump.
OTHER = (
    "Nov 22 10:00:00 db-1 kernel: [  17.{number}] app[7]: segfault at 10 ip 00007f0000000000 "
    "sp 00007ffc00000000 error 4 in libc.so[7f0000000000+1000]"
)
DUMP = [
    "Panic#2 Part2",
    f"<1>[  1758.426000] {FAULT}",
    OTHER.format(number=417000),
    "Panic#2 Part1",
    "<0>[  1758.500000] Kernel panic - not syncing: Fatal exception",
    OTHER.format(number=418000),
]


def placed(journal: Journal) -> Position:
    """Where the partition stands, placed as the source of a topic does."""
    known = journal.sources.get(SOURCE) or Position(0, None, 0)
    journal.sources.place({SOURCE: known})
    return known


def read(path: Path, rows: list[str], size: int, *, batches: int | None = None) -> None:
    """Reads a partition from where the history stands, in batches of `size` records; after
    `batches` of them the process is killed.
    """
    with closing(open_journal(path)) as journal:
        pipeline = watched(journal, Hooks())
        known = placed(journal)
        for done, at in enumerate(range(known.offset, len(rows), size)):
            if done == batches:
                return
            part = rows[at : at + size]
            data = "".join(f"{row}\n" for row in part).encode()
            pipeline.handle([FileChunk(SOURCE, data, at + len(part), at)], 0)
        pipeline.handle([], 120 * SECOND_US)  # what waits for more is given up


def facts(path: Path) -> tuple[object, ...]:
    """What a history holds."""
    with closing(open_history(path)) as history:
        matches = history.db.execute("SELECT text, source, number FROM matches ORDER BY number")
        noise = history.db.execute("SELECT sum(count) FROM noise").fetchone()[0]
        return [tuple(row) for row in matches], noise


@pytest.mark.parametrize("rows", [TORN, DUMP], ids=["fragments", "dump"])
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("kill", [1, 2, 3])
def test_a_kill_between_the_parts_loses_nothing(
    tmp_path: Path, rows: list[str], size: int, kill: int
) -> None:
    """At each place, once and again: matches and noise are those of one quiet run."""
    quiet, killed = tmp_path / "quiet.db", tmp_path / "killed.db"
    read(quiet, rows, size)
    assert len(facts(quiet)[0]) == (1 if rows is TORN else 2)
    assert facts(quiet)[1] == (3 if rows is TORN else 2)
    read(killed, rows, size, batches=kill)
    read(killed, rows, size, batches=1)
    read(killed, rows, size)
    assert facts(killed) == facts(quiet)


def test_the_position_waits_and_then_goes_on(tmp_path: Path) -> None:
    """It stands at the first part; what is counted goes ahead; both meet when nothing waits."""
    path = tmp_path / "history.db"
    read(path, TORN, 2, batches=1)
    with closing(open_journal(path)) as journal:
        assert journal.sources.get(SOURCE) == Position(1, None, 2)
    read(path, TORN, 2)
    with closing(open_journal(path)) as journal:
        assert journal.sources.get(SOURCE) == Position(5, None, 5)


def test_what_never_comes_holds_nothing_up(tmp_path: Path) -> None:
    """After ten seconds the piece is taken as it is, also where nothing else is read."""
    with closing(open_journal(tmp_path / "history.db")) as journal:
        placed(journal)
        pipeline = watched(journal, Hooks())
        data = f"{TORN[1]}\n{TORN[0]}\n".encode()
        pipeline.handle([FileChunk(SOURCE, data, 2, 0)], 0)
        assert journal.sources.get(SOURCE) == Position(0, None, 2)
        pipeline.handle([], 9 * SECOND_US)
        assert journal.sources.get(SOURCE) == Position(0, None, 2)
        pipeline.handle([], 11 * SECOND_US)
        assert journal.sources.get(SOURCE) == Position(2, None, 2)
        counters = dict(journal.db.execute("SELECT name, count FROM counters").fetchall())
        assert counters["fragments_lost"] == 1


def test_a_topic_made_anew_is_not_moved_by_what_waited_in_the_old_one(tmp_path: Path) -> None:
    """Its position is its own."""
    with closing(open_journal(tmp_path / "history.db")) as journal:
        placed(journal)
        pipeline = watched(journal, Hooks())
        data = f"{TORN[1]}\n{TORN[0]}\n".encode()
        pipeline.handle([FileChunk(SOURCE, data, 2, 0)], 0)
        journal.sources.place({SOURCE: Position(0, "new", 0)})
        pipeline.handle([], 11 * SECOND_US)
        assert journal.sources.get(SOURCE) == Position(0, "new", 0)


def test_a_dump_that_goes_on_for_ever_is_let_go(tmp_path: Path) -> None:
    """Headers that keep coming hold a position for a minute, no longer."""
    with closing(open_journal(tmp_path / "history.db")) as journal:
        placed(journal)
        pipeline = watched(journal, Hooks())
        for number in range(20):
            rows = f"Panic#2 Part{number + 1}\n<1>[  17.000000] {FAULT}\n"
            chunk = FileChunk(SOURCE, rows.encode(), 2 * number + 2, 2 * number)
            pipeline.handle([chunk], number * 5 * SECOND_US)
        position = journal.sources.get(SOURCE)
        assert position is not None
        assert position.offset > 20
