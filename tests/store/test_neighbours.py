"""The neighbours of a match, against a filter that looks at everything; and in storms, where only
the nearest count.
"""

from __future__ import annotations

from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.correlate import StoredMatch, gap
from detector.model import Boot, Match
from detector.same_boot import same_boot
from detector.store import open_journal
from detector.store.ingest.neighbours import CROWD, EACH_SIDE
from tests.support.nouns import SECOND, WALL, match

SPAN = 10 * SECOND
BOOTS = [
    Boot("b1"),
    Boot("b2"),
    Boot(epoch_us=WALL),
    Boot(epoch_us=WALL + 9_000 * SECOND),
    Boot("b1", WALL),
    Boot(stream="s", count=1),
    Boot(),
]

matches = st.builds(
    match,
    cls=st.sampled_from(["tcp-state", "memory-fault"]),
    seconds=st.none() | st.integers(0, 40),
    wall=st.none() | st.integers(0, 40),
    host=st.sampled_from(["db-1", "db-2"]),
    boot=st.sampled_from(BOOTS),
    number=st.integers(0, 999),
)


def near(one: StoredMatch, other: StoredMatch) -> bool:
    """The definition, word by word."""
    apart = gap(one.match, other.match)
    alike = one.match.host == other.match.host and same_boot(one.match, other.match)
    return one.id != other.id and alike and apart is not None and abs(apart[0]) <= SPAN


@settings(max_examples=80, deadline=None)
@given(st.lists(matches, max_size=14))
def test_neighbours_are_what_a_filter_over_everything_finds(found: list[Match]) -> None:
    """Same host, boots that may be one, kernel times within the span, or wall times where one has
    no kernel time.
    """
    with closing(open_journal(":memory:")) as journal, journal.transaction():
        by_id = {stored.id: stored for stored in [journal.add_match(one)[0] for one in found]}
        for stored in by_id.values():
            expected = {other.id for other in by_id.values() if near(stored, other)}
            assert sorted(other.id for other in journal.neighbours(stored, SPAN)) == sorted(
                expected
            )
            assert all(
                other.match == by_id[other.id].match for other in journal.neighbours(stored, SPAN)
            )


def test_in_a_storm_the_nearest_of_each_signature_are_found() -> None:
    """Thousands of one signature do not hide the few of another, nor those that have no kernel
    time.
    """
    fault = match("memory-fault", 500, wall=500)
    storm = [
        match("tcp-state", 500 + (number - 500) / 100, number=number) for number in range(1_000)
    ]
    rare = [
        match("warning", 491),
        match("warning", 509),
        match("warning", None, wall=509),
        match("warning", 511),
    ]
    with closing(open_journal(":memory:")) as journal, journal.transaction():
        for one in (*storm, *rare):
            journal.add_match(one)
        stored, _ = journal.add_match(fault)
        found = [one.match for one in journal.neighbours(stored, SPAN)]
    nearest = sorted(storm, key=lambda one: abs((one.kernel_time_us or 0) - 500 * SECOND))
    assert {one.text for one in found if one.cls == "warning"} == {one.text for one in rare[:3]}
    ours = {one.number for one in found if one.cls == "tcp-state"}
    assert ours >= {one.number for one in nearest[:EACH_SIDE]}
    assert len(ours) == 2 * EACH_SIDE


def test_a_storm_without_kernel_time_is_bounded_too() -> None:
    """Where nothing but wall times is known, the same bounds hold."""
    storm = [
        match("tcp-state", None, wall=500 + (number - 500) / 100, number=number)
        for number in range(1_000)
    ]
    with closing(open_journal(":memory:")) as journal, journal.transaction():
        for one in (*storm, match("warning", 1, wall=492)):
            journal.add_match(one)
        stored, _ = journal.add_match(match(seconds=None, wall=500))
        found = [one.match.cls for one in journal.neighbours(stored, SPAN)]
    assert sorted(found) == ["tcp-state"] * 2 * EACH_SIDE + ["warning"]


def test_a_boot_loop_does_not_crowd_out_the_boot_that_counts() -> None:
    """Hundreds of boots that failed at the same uptime are told apart before anything is
    counted.
    """
    with closing(open_journal(":memory:")) as journal, journal.transaction():
        for number in range(3 * CROWD):
            boot = (
                Boot(f"b{number}") if number % 2 else Boot(epoch_us=WALL + number * 86_400 * SECOND)
            )
            journal.add_match(
                match("tcp-state", 5, boot=boot, number=number, text=f"boot {number}")
            )
        stored, _ = journal.add_match(match(seconds=6, boot=Boot("b7", WALL + 7 * 86_400 * SECOND)))
        assert [one.match.text for one in journal.neighbours(stored, SPAN)] == ["boot 7"]


def test_every_lookup_uses_an_index() -> None:
    """No query of the hot path reads a whole table."""
    seen: list[str] = []
    with closing(open_journal(":memory:")) as journal:
        with journal.transaction():
            journal.db.set_trace_callback(seen.append)
            for one in [
                match("tcp-state", 5, number=number, text=str(number))
                for number in range(CROWD + 5)
            ]:
                stored, _ = journal.add_match(one)
            journal.neighbours(stored, SPAN)
            for one in [
                match("tcp-state", None, 5, number=number, text=str(number))
                for number in range(CROWD + 5)
            ]:
                stored, _ = journal.add_match(one)
            journal.neighbours(stored, SPAN)
            journal.db.set_trace_callback(None)
        queries = {query for query in seen if query.lstrip().startswith(("SELECT", "WITH"))}
        plans = [
            row["detail"]
            for query in queries
            for row in journal.db.execute(f"EXPLAIN QUERY PLAN {query}")
        ]
    assert any("matches_signature" in plan for plan in plans)
    # What a query itself lists, as JSON or as a common table, is no table of the history.
    listed = ("SCAN present", "SCAN json_each", "SCAN CONSTANT ROW")
    assert [plan for plan in plans if plan.startswith("SCAN") and not plan.startswith(listed)] == []
