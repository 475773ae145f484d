from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.model import Position
from detector.sources.kafka.placement import (
    Committed,
    HistoryReader,
    PartitionLog,
    Placement,
    place,
)

US = HistoryReader(history="ours", member="host-1", alone=True, begun=True)
LOG = PartitionLog(beginning=0, end=100, topic_id="T")
HERE = Position(40, "T", 40)
OURS = Committed(60, "T", "ours", "host-1")
THEIRS = Committed(60, "T", "theirs", "host-2")
ANEW = replace(US, begun=False)


@pytest.mark.parametrize(
    ("stored", "committed", "log", "reader", "expected"),
    [
        # nothing known: the setting, but a partition that was added later is read from its start
        (
            None,
            None,
            PartitionLog(7, 100, "T"),
            ANEW,
            Placement(Position(7, "T", 7), "begins_late"),
        ),
        (None, None, LOG, replace(ANEW, earliest=False), Placement(Position(100, "T", 100))),
        (None, None, LOG, replace(US, earliest=False), Placement(Position(0, "T", 0))),
        # the history goes on, also where the commit was lost
        (HERE, None, LOG, US, Placement(HERE)),
        (HERE, replace(OURS, offset=40), LOG, US, Placement(HERE)),
        (HERE, replace(OURS, offset=30), LOG, US, Placement(HERE)),
        # a history of before topic ids takes the id that it meets
        (Position(40, None, 40), None, LOG, US, Placement(HERE)),
        # set back: its own commits are ahead of it
        (HERE, OURS, LOG, US, Placement(HERE, "history_set_back", 60)),
        (HERE, Committed(60), LOG, US, Placement(HERE, "history_set_back", 60)),
        # another file in the place of the one that this member had
        (HERE, replace(OURS, history="gone"), LOG, US, Placement(HERE, "history_set_back", 60)),
        # another member read on
        (
            HERE,
            THEIRS,
            LOG,
            US,
            Placement(Position(60, "T", 60), "history_elsewhere", 40),
        ),
        (
            HERE,
            Committed(60),
            LOG,
            replace(US, alone=False),
            Placement(Position(60, "T", 60), "history_elsewhere", 40),
        ),
        # a fresh file, alone or under the same name; beside others it joins them
        (None, THEIRS, LOG, ANEW, Placement(Position(0, "T", 0), "history_fresh", 60)),
        (
            None,
            replace(OURS, history="gone"),
            LOG,
            replace(ANEW, alone=False),
            Placement(Position(0, "T", 0), "history_fresh", 60),
        ),
        (
            None,
            THEIRS,
            LOG,
            replace(ANEW, alone=False),
            Placement(Position(60, "T", 60), "history_elsewhere"),
        ),
        (
            None,
            THEIRS,
            LOG,
            replace(ANEW, earliest=False),
            Placement(Position(60, "T", 60), "history_elsewhere"),
        ),
        # made anew: longer or shorter than the old one; what the group knows is of the old one too
        (
            HERE,
            replace(OURS, offset=40),
            PartitionLog(0, 100, "U"),
            US,
            Placement(Position(0, "U", 0), "topic_recreated", 40),
        ),
        (
            HERE,
            Committed(40),
            PartitionLog(0, 10, "U"),
            replace(US, earliest=False),
            Placement(Position(0, "U", 0), "topic_recreated", 40),
        ),
        # … and another member has begun with the new one
        (
            HERE,
            replace(THEIRS, topic_id="U", offset=5),
            PartitionLog(0, 10, "U"),
            US,
            Placement(Position(5, "U", 5), "topic_recreated", 40),
        ),
        # brokers that tell no ids: only a shorter topic shows
        (
            Position(40, None, 40),
            None,
            PartitionLog(0, 10),
            US,
            Placement(Position(0, None, 0), "topic_recreated", 40),
        ),
        # the same topic is shorter: Kafka lost its end; noise is not counted twice
        (
            HERE,
            None,
            PartitionLog(5, 30, "T"),
            US,
            Placement(Position(5, "T", 30), "log_truncated", 40),
        ),
        # retention was faster
        (HERE, None, PartitionLog(50, 100, "T"), US, Placement(Position(50, "T", 40), lost=10)),
        (
            HERE,
            OURS,
            PartitionLog(50, 100, "T"),
            US,
            Placement(Position(50, "T", 40), "history_set_back", 60, 10),
        ),
        # set by a person: back, beyond the end, before the beginning
        (
            Position(10, "T", 40, 1),
            OURS,
            LOG,
            US,
            Placement(Position(10, "T", 40, 1), "position_set", 60),
        ),
        (
            Position(900, "T", 40, 1),
            None,
            LOG,
            US,
            Placement(Position(100, "T", 40), "position_set"),
        ),
        (
            Position(0, "T", 40, 1),
            None,
            PartitionLog(20, 100, "T"),
            US,
            Placement(Position(20, "T", 40, 1), "position_set"),
        ),
    ],
)
def test_a_partition_finds_its_place(
    stored: Position | None,
    committed: Committed | None,
    log: PartitionLog,
    reader: HistoryReader,
    expected: Placement,
) -> None:
    """Each way in which history, group and Kafka may disagree, told apart."""
    assert place(stored, committed, log, reader) == expected


OFFSETS = st.integers(0, 50)
IDS = st.none() | st.sampled_from(["T", "U"])
NAMES = st.none() | st.sampled_from(["ours", "theirs"])


@given(
    st.none() | st.builds(Position, OFFSETS, IDS, OFFSETS, st.none() | st.just(1)),
    st.none() | st.builds(Committed, OFFSETS, IDS, NAMES, NAMES),
    st.builds(lambda a, b, i: PartitionLog(min(a, b), max(a, b), i), OFFSETS, OFFSETS, IDS),
    st.builds(
        HistoryReader,
        st.just("ours"),
        NAMES,
        alone=st.booleans(),
        begun=st.booleans(),
        earliest=st.booleans(),
    ),
)
def test_nothing_unread_is_passed_over(
    stored: Position | None, committed: Committed | None, log: PartitionLog, reader: HistoryReader
) -> None:
    """The place is within the log, and never behind what this history has read of this topic,
    unless another history stands behind what lies between.
    """
    placement = place(stored, committed, log, reader)
    at = placement.position
    assert log.beginning <= at.offset <= log.end
    assert at.topic_id == log.topic_id or log.topic_id is None
    same = stored is not None and None in {stored.topic_id, log.topic_id} | {None}
    if stored and stored.topic_id == log.topic_id and same:
        read = max(stored.offset, log.beginning)
        assert at.offset <= read or placement.reason == "history_elsewhere"
    if placement.lost:
        assert at.offset == log.beginning


@given(OFFSETS, IDS, NAMES, NAMES)
def test_a_commit_says_what_it_was_given(
    offset: int, topic: str | None, history: str | None, member: str | None
) -> None:
    """Through the metadata and back."""
    committed = Committed(offset, topic, history, member)
    assert Committed.read(offset, committed.metadata()) == committed


@given(
    st.text() | st.sampled_from(["", "{}", "[]", "1", '{"topic": 1}', '{"history": {}}', "null"])
)
def test_metadata_of_others_says_nothing(metadata: str) -> None:
    """Whatever another tool writes there."""
    assert Committed.read(3, metadata).offset == 3
