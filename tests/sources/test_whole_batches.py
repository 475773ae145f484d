"""Whole batches and record by record: the same records, hits and positions, whatever a topic
holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError

from detector.model import Record
from detector.scan import Scanner
from detector.sources.kafka import whole_batches
from detector.sources.kafka.chunks import Damaged, chunks_of
from tests.sources.topics import CODECS, PARTITION, READ_COMMITTED, SOURCE, Entry, Topic

SCANNER = Scanner(("BUG: ", "Unable to handle kernel"))
WORDS = [
    b"BUG: ",
    b"BUG:",
    b"BU",
    b"G: ",
    b" ",
    b"Unable to handle kernel",
    b"db-1 ",
    b'"MESSAGE":[72',
    b"ncfrag=0/9",
    b"\n",
    b"\0\x80\xff",
    b"x" * 70,
]
words = st.lists(st.sampled_from(WORDS), max_size=4).map(b"".join)
values = st.none() | words | words.map(lambda word: word * 40)
headers = st.lists(
    st.tuples(st.sampled_from(["", "BUG: ", "host"]), st.none() | words), max_size=2
) | st.just([("", None)] * 16)
entries = st.lists(
    st.builds(
        Entry,
        st.none() | words,
        values,
        headers,
        st.integers(0, 1 << 41),
        st.sampled_from([0, 0, 0, 1, 300]),
    ),
    min_size=1,
    max_size=8,
)


@st.composite
def topics(draw: st.DrawFn) -> Topic:
    """A log of batches of every sort, transactions that end either way or not at all, and message
    sets of the old formats.
    """
    topic = Topic()
    for _ in range(draw(st.integers(1, 6))):
        sort = draw(
            st.sampled_from(["plain", "plain", "transaction", "transaction", "marker", "legacy"])
        )
        producer = draw(st.sampled_from([7, 8]))
        if sort == "marker":
            topic.end_transaction(producer, abort=draw(st.booleans()))
        elif sort == "legacy":
            topic.add_legacy(
                draw(st.sampled_from([0, 1])), draw(entries), draw(st.sampled_from([0, 1, 2]))
            )
        else:
            topic.add(
                draw(entries),
                draw(st.sampled_from(CODECS)),
                append_ms=draw(st.none() | st.integers(0, 1 << 41)),
                producer=producer if sort == "transaction" else -1,
                tail=draw(st.sampled_from([0, 0, 2, 200])),
            )
    return topic


def fetched(sort: type[Any], topic: Topic, first: int) -> Any:
    """The records of one fetch as the client sees them."""
    return sort(
        first,
        PARTITION,
        topic.records(),
        isolation_level=READ_COMMITTED,
        aborted_transactions=topic.aborted,
    )


def selected(
    chunks: list[Any], following: Callable[[], Collection[str] | None]
) -> list[tuple[Record, bool]]:
    """What the scanner makes of some chunks; a record without a value, or with an empty one, says
    nothing.
    """
    return [
        (record, hit)
        for chunk in chunks
        for record, hit in SCANNER.select(chunk, following)
        if record.value
    ]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(topics(), st.data())
def test_both_ways_give_the_same(topic: Topic, data: st.DataObject) -> None:
    """Records, hits, counts, positions, from any offset on."""
    first = data.draw(st.integers(0, topic.end - 1))
    one_by_one = fetched(Fetcher.PartitionRecords, topic, first)
    whole = fetched(whole_batches.BatchRecords, topic, first)
    records = one_by_one.take()
    stock = list(chunks_of(SOURCE, records))
    batches = list(chunks_of(SOURCE, whole.take()))
    assert selected(batches, lambda: ()) == selected(stock, lambda: ())
    assert selected(batches, lambda: None) == selected(stock, lambda: None)
    named = [
        one
        for one in selected(stock, lambda: None)
        if b"db-1" in one[0].value + (one[0].key or b"")
    ]
    assert [one for one in selected(batches, lambda: ("db-1",)) if one in named] == named
    assert (
        sum(chunk.count for chunk in batches) == sum(chunk.count for chunk in stock) == len(records)
    )
    assert (whole.next_fetch_offset, whole.leader_epoch) == (
        one_by_one.next_fetch_offset,
        one_by_one.leader_epoch,
    )
    done = 0
    for chunk in batches:  # a restart at any chunk's end goes on with the next record
        done += chunk.count
        assert [one.offset < chunk.end for one in records] == [True] * done + [False] * (
            len(records) - done
        )


@pytest.mark.parametrize("codec", CODECS)
def test_damage_is_found_by_the_sum(codec: int) -> None:
    """As the client finds it: before anything of the batch is handed out, and after what came
    before it. Where the client would raise, it is handed out as what it is.
    """
    topic = Topic()
    topic.add([Entry(None, b"sound")], codec)
    topic.add([Entry(None, b"damaged" * 50)], codec)
    topic.data[-3] ^= 1
    records = fetched(Fetcher.PartitionRecords, topic, 0)
    assert len(records.take()) == 1
    with pytest.raises(CorruptRecordError, match="failed crc check"):
        records.take()
    for sort in (whole_batches.SingleRecords, whole_batches.BatchRecords):
        records = fetched(sort, topic, 0)
        _, last = records.take()
        assert "failed crc check" in last.value.reason
        assert last.value == Damaged(1, last.value.reason, None, 2)
        assert not records


def test_an_answer_that_begins_before_its_offset_is_no_damage() -> None:
    """Some brokers answer so: what lies before is left out."""
    topic = Topic()
    for value in (b"one", b"two", b"three"):
        topic.add([Entry(None, value)], 0)
    records = fetched(whole_batches.BatchRecords, topic, 1)
    assert [one.value.base for one in records.take()] == [1, 2]


def test_the_client_is_the_one_that_this_was_written_for() -> None:
    """A new kafka-python fails here: read again what is named, see that the tests above still hold,
    and note the new hashes.
    """
    assert whole_batches.changed() == []


def test_a_changed_client_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever of it has changed is named; what cannot be read is taken as changed."""
    monkeypatch.setitem(whole_batches.PINNED, "Fetcher._append", (Fetcher.send_fetches, "0" * 64))
    monkeypatch.setitem(whole_batches.PINNED, "unreadable", (len, "0" * 64))
    assert whole_batches.changed() == ["Fetcher._append", "unreadable"]
