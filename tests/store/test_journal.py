"""What the journal stores, folds and finds again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from detector.boots import LineStream
from detector.model import Block, Boot, CrashReport, Match
from detector.store import Journal, open_journal
from tests.support.nouns import SECOND, WALL, match, noise


@pytest.fixture
def journal() -> Iterator[Journal]:
    """A history in memory."""
    with closing(open_journal(":memory:")) as opened:
        yield opened


def add(journal: Journal, *matches: Match) -> list[int]:
    """Stores matches in one transaction, and returns their ids."""
    with journal.transaction():
        return [journal.add_match(one)[0].id for one in matches]


def rows(journal: Journal, table: str) -> list[dict[str, Any]]:
    """A table without its ids, in an order of its own."""
    found = [
        {name: value for name, value in row.items() if name != "id"}
        for row in Database(journal.db)[table].rows
    ]
    return sorted(found, key=repr)


def test_a_match_comes_back_as_it_was(journal: Journal) -> None:
    """Every field of a match survives, and the second time it is not new."""
    made = match(
        wall=7,
        fields={"address": "1f", "comm": 'a "b" c'},
        boot=Boot("b1", WALL, "s", 3),
        caller="T12",
        number=9,
    )
    with journal.transaction():
        stored, new = journal.add_match(made)
        again, repeated = journal.add_match(made)
    assert (stored.match, new) == (made, True)
    assert (again, repeated) == (stored, False)
    assert again.match == made


def test_noise_is_not_stored_as_a_match(journal: Journal) -> None:
    """A match of user space is refused: it belongs to the counts."""
    with journal.transaction(), pytest.raises(ValueError, match="counted"):
        journal.add_match(match(origin="user"))


@pytest.mark.parametrize(
    ("other", "folds"),
    [
        ({"source": "kafka/3", "number": 70}, True),
        ({"source": "kafka/3", "number": 70, "boot": Boot()}, True),
        ({"number": 2, "boot": Boot("b2")}, False),
        ({"number": 1, "boot": Boot("b2")}, False),
        ({"number": 2, "host": "db-2"}, False),
        ({"number": 2, "kernel_time_us": 5_123_457}, False),
        ({"number": 2, "kernel_time_us": 5_123_000}, True),
        ({"number": 2, "kernel_time_us": 5_124_000}, True),
        ({"number": 2, "kernel_time_us": 5_120_000}, True),
        ({"number": 2, "kernel_time_us": 5_100_000}, True),
        ({"number": 2, "kernel_time_us": 5_200_000}, True),
        ({"number": 2, "kernel_time_us": 5_110_000}, False),
        ({"number": 2, "kernel_time_us": 5_122_000}, False),
        ({"number": 2, "kernel_time_us": 5_000_000}, False),
        ({"number": 2, "text": "another text"}, False),
        ({"number": 2, "wall_time_us": WALL}, True),
    ],
)
def test_equal_lines_of_what_may_be_one_boot_fold(
    journal: Journal, other: dict[str, Any], folds: bool
) -> None:
    """Host, kernel time and text make a line, whatever a shipper rounded; another boot parts
    two.
    """
    made = match(seconds=5.123456)
    again = replace(made, **other)
    assert (len(set(add(journal, made, again))) == 1) is folds
    with closing(open_journal(":memory:")) as turned:
        assert (len(set(add(turned, again, made))) == 1) is folds
        times = [row["kernel_time_us"] for row in rows(turned, "matches")]
    assert times == [row["kernel_time_us"] for row in rows(journal, "matches")]


@pytest.mark.parametrize(
    ("number", "source", "folds"), [(1, "serial", True), (2, "serial", False), (1, "dmesg", True)]
)
def test_a_stream_read_again_folds_though_its_boots_are_counted_anew(
    journal: Journal, number: int, source: str, folds: bool
) -> None:
    """The same place of a stream is the same line; another place with another count is another
    boot.
    """
    made = match(boot=Boot(stream="serial db-1", count=3), source="serial")
    again = replace(made, boot=Boot(stream=f"{source} db-1", count=0), number=number, source=source)
    assert (len(set(add(journal, made, again))) == 1) is folds


@pytest.mark.parametrize(
    ("first", "second", "folds"),
    [
        (match(seconds=None, wall=1), match(seconds=None, wall=1, number=2), True),
        (
            match(seconds=None, wall=1),
            match(seconds=None, wall=2, number=2, text=match(seconds=None, wall=1).text),
            False,
        ),
        (match(seconds=None), match(seconds=None), True),
        (match(seconds=None), match(seconds=None, number=2), False),
    ],
)
def test_without_kernel_time_the_wall_time_or_the_place_tells(
    journal: Journal, first: Match, second: Match, folds: bool
) -> None:
    """Equal wall times fold, and where no time is known at all, equal places."""
    assert (len(set(add(journal, first, second))) == 1) is folds


def test_a_repeat_fills_in_what_the_first_lacked(journal: Journal) -> None:
    """A second transport may know the boot id, the wall time, the caller."""
    poor = match(boot=Boot(stream="serial", count=2), source="z")
    rich = match(text=poor.text, wall=8, boot=Boot("b1", WALL), caller="C1", source="a", number=4)
    with journal.transaction():
        journal.add_match(poor)
        stored, new = journal.add_match(rich)
    assert not new
    assert stored.match.boot == Boot("b1", WALL, "serial", 2)
    assert (stored.match.wall_time_us, stored.match.caller, stored.match.source) == (
        rich.wall_time_us,
        "C1",
        "a",
    )
    assert rows(journal, "matches")[0]["boot_id"] == "b1"


def sighting(line: int, twin: bool, knows: tuple[bool, bool], late: int, source: str) -> Match:
    """One transport's sight of a line. Twins are equal lines of two boots of a host, told apart by
    their ids.
    """
    text, boot_id = (f"line {line // 2}", f"b{line % 2}") if twin else (f"single {line}", "b0")
    epoch = WALL + (line % 2) * 86_400 * SECOND if twin else WALL
    boot = Boot(boot_id if twin or knows[0] else None, epoch + late if knows[1] else None)
    wall = epoch + late + 5 * SECOND if knows[1] else None
    return match(text=text, boot=boot, wall_time_us=wall, source=source, number=line)


sightings = st.builds(
    sighting,
    line=st.integers(0, 5),
    twin=st.booleans(),
    knows=st.tuples(st.booleans(), st.booleans()),
    late=st.integers(0, 3 * SECOND),
    source=st.sampled_from(["kafka/1", "serial", "dmesg"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(sightings, max_size=12), st.randoms(use_true_random=False))
def test_order_and_repeats_leave_no_trace(matches: list[Match], chance: random.Random) -> None:
    """The same sightings in any order, some of them twice, make equal tables."""
    shuffled = [*matches, *chance.choices(matches, k=len(matches))] if matches else []
    chance.shuffle(shuffled)
    with closing(open_journal(":memory:")) as one, closing(open_journal(":memory:")) as other:
        add(one, *matches)
        add(other, *shuffled)
        assert rows(one, "matches") == rows(other, "matches")
        assert rows(one, "hosts") == rows(other, "hosts")


def test_a_transaction_is_all_or_nothing(journal: Journal) -> None:
    """What raises inside takes everything of the batch with it, and the journal goes on."""

    def batch() -> None:
        with journal.transaction():
            journal.add_match(match())
            journal.count_noise([noise()])
            journal.set_positions({"logs/0": 9})
            raise KeyError("anything")

    with pytest.raises(KeyError, match="anything"):
        batch()
    assert [
        Database(journal.db)[name].count
        for name in ("hosts", "boots", "matches", "noise", "positions")
    ] == [0] * 5
    add(journal, match())
    assert [row["name"] for row in rows(journal, "hosts")] == ["db-1"]


def test_noise_is_added_up_by_hour(journal: Journal) -> None:
    """Counts of one key add up over batches, first and last widen; other keys stay apart."""
    early, late = (
        noise(count=2),
        noise(
            count=3, first_us=None, last_us=WALL + 9 * SECOND, first_kernel_us=5, last_kernel_us=6
        ),
    )
    for batch in ([early, noise(hour=1)], [late, noise(process="java")]):
        with journal.transaction():
            journal.count_noise(batch)
    counts = {(row["process"], row["hour_us"]): row for row in rows(journal, "noise")}
    assert len(counts) == 3
    folded = counts["python", early.hour_us]
    assert (folded["count"], folded["first_us"], folded["last_us"]) == (
        5,
        early.first_us,
        max(early.last_us or 0, late.last_us or 0),
    )
    assert (folded["first_kernel_us"], folded["last_kernel_us"]) == (5, 6)


def test_positions_streams_and_counters_are_kept(journal: Journal) -> None:
    """Positions and streams are replaced, counters are added to."""
    for end in (5, 9):
        with journal.transaction():
            journal.set_positions({"logs/0": end})
            journal.save_streams({"serial db-1": LineStream(end, 7, fresh=False)})
            journal.add_counts({"unparsed": end})
    assert journal.positions() == {"logs/0": 9}
    assert journal.streams() == {"serial db-1": LineStream(9, 7, fresh=False)}
    assert journal.history().counters() == {"unparsed": 14}


def test_hosts_and_boots_are_noted(journal: Journal) -> None:
    """A host's first and last wall time; a boot's first and last kernel time and its kernel, from a
    banner that is not kept itself.
    """
    banner = match(
        "boot",
        0,
        wall=1,
        text="Linux version 6.1.0-test (someone@somewhere) #1 SMP",
        fields={"kernel": "6.1.0-test"},
        boot=Boot("b1"),
    )
    with journal.transaction():
        journal.note_boot(banner)
    add(
        journal,
        match(seconds=50, wall=51, boot=Boot("b1", WALL)),
        match(seconds=3, boot=Boot("b2")),
    )
    assert rows(journal, "hosts") == [
        {
            "name": "db-1",
            "first_seen_us": WALL + SECOND,
            "last_seen_us": WALL + 51 * SECOND,
            "hardware": None,
            "hardware_us": None,
        }
    ]
    first, second = rows(journal, "boots")
    assert (first["boot_id"], first["epoch_us"], first["kernel"]) == ("b1", WALL, "6.1.0-test")
    assert (first["first_kernel_us"], first["last_kernel_us"]) == (0, 50 * SECOND)
    assert (second["boot_id"], second["kernel"]) == ("b2", None)
    assert [one["text"] for one in rows(journal, "matches")] == [
        "memory-fault at 3 None",
        "memory-fault at 50 51",
    ]


def test_boots_without_id_are_told_by_their_start(journal: Journal) -> None:
    """Lines of one boot have starts that waver; a start of hours later is another boot."""
    uptime = 3_000
    starts = [WALL, WALL + 2 * SECOND, WALL + 40_000 * SECOND]
    for number, start in enumerate(starts):
        add(journal, match(seconds=uptime + number, boot=Boot(epoch_us=start), number=number))
    assert [row["epoch_us"] for row in rows(journal, "boots")] == [WALL, WALL + 40_000 * SECOND]


def block(head: Match, *lines: str, complete: bool = True) -> Block:
    """A block of a head and some lines."""
    return Block(head, (head.text, *lines), complete)


def test_open_blocks_are_there_after_a_restart_until_they_end(journal: Journal) -> None:
    """Open blocks grow from batch to batch; one that ends, or that is no longer named, is open no
    more.
    """
    (one, other) = add(journal, match(), match("tcp-state", 6))
    first, second = match(), match("tcp-state", 6)
    for lines in (["a"], ["a", "b\nwith a line feed"]):
        with journal.transaction():
            journal.save_open_blocks(
                [
                    (one, block(first, *lines, complete=False)),
                    (other, block(second, complete=False)),
                ]
            )
    assert journal.open_blocks() == [
        (one, block(first, "a", "b\nwith a line feed", complete=False)),
        (other, block(second, complete=False)),
    ]
    assert journal.block_of(first) == block(first, "a", "b\nwith a line feed", complete=False)
    with journal.transaction():
        journal.save_open_blocks([], None)
    assert [match_id for match_id, _ in journal.open_blocks()] == [one, other]
    with journal.transaction():
        journal.add_report(
            one,
            block(first, "a", "b"),
            CrashReport("memory-fault", title="BUG: x", kernel="6.1.0"),
            "1:abc",
        )
        journal.save_open_blocks([])
    assert journal.open_blocks() == []
    assert journal.block_of(first) == block(first, "a", "b")
    assert rows(journal, "boots")[0]["kernel"] == "6.1.0"
    assert journal.block_of(match(seconds=77)) is None


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_readings_the_better_stays(journal: Journal, turned: bool) -> None:
    """A complete report wins over a cut one, a longer one over a shorter one, in whatever order
    they come.
    """
    (head,) = add(journal, match())
    readings = [
        block(match(), "a"),
        block(match(), "a", "b"),
        block(match(), "a", "b", "c", complete=False),
    ]
    with journal.transaction():
        for reading in reversed(readings) if turned else readings:
            journal.add_report(head, reading, None, None)
        journal.save_open_blocks([(head, block(match(), "late", complete=False))])
    assert journal.block_of(match()) == readings[1]
    assert journal.open_blocks() == []
