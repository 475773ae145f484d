"""Records inside a batch: found for hits alone, and only values are searched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.assemble.report_lines import SEARCHED
from detector.kernel_errors.priority import PRIORITIES
from detector.scan import REVEALING, Scanner
from detector.sources import SourceError
from detector.sources.kafka.chunks import Batch, BatchChunk, chunks_of
from detector.sources.kafka.whole_batches import BatchRecords
from tests.sources.topics import CODECS, PARTITION, SOURCE, Entry, Topic

SCANNER = Scanner(("BUG: ", "Unable to handle kernel"))


def chunks(topic: Topic, first: int = 0) -> list[Any]:
    """The batches of a topic."""
    return list(chunks_of(SOURCE, BatchRecords(first, PARTITION, topic.records()).take()))


def hits(chunk: Any) -> list[bytes]:
    """The values that the scanner selects."""
    return [record.value for record, _ in SCANNER.select(chunk, lambda: ())]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where records were decoded."""
    places: list[int] = []
    decode = BatchChunk._decode

    def counted(self: BatchChunk, start: int, after: int) -> Any:
        places.append(start)
        return decode(self, start, after)

    monkeypatch.setattr(BatchChunk, "_decode", counted)
    return places


@pytest.mark.parametrize("codec", CODECS)
def test_only_hits_are_decoded(decoded: list[int], codec: int) -> None:
    """None of 5,000 records without a hit, and of those with three hits three, each once."""
    topic = Topic()
    topic.add(
        [Entry(b"db-%d" % number, b"[%d] eth0: link is up" % number) for number in range(5_000)],
        codec,
    )
    (chunk,) = chunks(topic)
    assert (hits(chunk), len(decoded), chunk.count) == ([], 0, 5_000)
    topic = Topic()
    topic.add(
        [
            Entry(b"db", b"BUG: %d" % number if number in {3, 1_999, 4_000} else b"up")
            for number in range(5_000)
        ],
        codec,
    )
    (chunk,) = chunks(topic)
    assert (hits(chunk), len(decoded)) == ([b"BUG: 3", b"BUG: 1999", b"BUG: 4000"], 3)


def test_each_part_of_a_batch_is_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the hits and the wanted hosts are: a record's place is found from the nearest one
    that is known before it.
    """
    topic = Topic()
    topic.add([Entry(None, b"%d" % number) for number in range(300)])
    (chunk,) = chunks(topic)
    walked: list[tuple[int, int]] = []
    walk = BatchChunk._walk

    def counted(self: BatchChunk, after: int, offset: int) -> tuple[int, int]:
        found = walk(self, after, offset)
        walked.append((after, found[0]))
        return found

    monkeypatch.setattr(BatchChunk, "_walk", counted)
    size = len(chunk.data)
    for share in (0.9, 0.2, 0.1, 0.5, 0.51, 0.95):
        chunk.record_at(int(size * share))
    spans = [end - begin for begin, end in walked]
    assert spans[1] < size * 0.2
    assert spans[4] < size * 0.02
    assert spans[5] < size * 0.06


def test_records_of_every_length_are_gone_by() -> None:
    """Lengths of one to four bytes, each before a hit."""
    topic = Topic()
    sizes = (0, 1, 50, 60, 64, 127, 128, 4_000, 8_180, 8_192, 20_000, 1_100_000)
    topic.add([Entry(None, value) for size in sizes for value in (b"x" * size, b"BUG: %d" % size)])
    (chunk,) = chunks(topic)
    assert hits(chunk) == [b"BUG: %d" % size for size in sizes]
    assert [len(record.value) for record, _ in SCANNER.select(chunk, lambda: None)][::2] == list(
        sizes
    )


def test_keys_headers_and_what_lies_between_are_no_hits() -> None:
    """A key, a header's name and value, and a match that only the bytes between value and headers
    complete (16 headers are a blank).
    """
    topic = Topic()
    topic.add([Entry(b"BUG: key", b"value"), Entry(None, b"value", [("BUG: ", b"BUG: header")])])
    topic.add(
        [
            Entry(None, b"BUG:", [("", None)] * 16),
            Entry(b"BUG: ", None),
            Entry(b"BUG: ", b"BUG: value"),
        ]
    )
    first, second = chunks(topic)
    assert SCANNER.ends(first.data)
    assert len(SCANNER.ends(second.data)) == 4
    assert hits(first) == []
    assert hits(second) == [b"BUG: value"]


pieces = st.sampled_from(
    [b"BUG: ", b"BUG:", b" ", b"Unable to handle", b" kernel", b"<3>", b'"log":', b"\t[", b"x" * 60]
)
texts = st.lists(pieces, max_size=4).map(b"".join)


@settings(deadline=None)
@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=6))
def test_long_values_need_no_search_of_their_own(
    given_records: list[tuple[bytes, bytes, bytes]],
) -> None:
    """What a search of the whole batch finds in them is what a search of each value finds."""
    topic = Topic()
    topic.add([Entry(key, value, [("", header)]) for key, value, header in given_records], tail=0)
    search = Scanner(("BUG: ", "Unable to handle kernel", *PRIORITIES)).ends
    (whole,), (each,) = chunks(topic), chunks(topic)
    found = whole.hits_by(search, is_ascii=True)
    assert found == each.hits_by(search)
    assert [whole.line_at(end - 1) for end in found] == [each.line_at(end - 1) for end in found]


def test_no_expression_can_hold_a_byte_above_ascii() -> None:
    """By which hits in long values are known from the search of a whole batch."""
    for expression in (*REVEALING, *PRIORITIES, *SEARCHED):
        assert expression.isascii()
        for wide in (b"[^", b".", b"\\x", b"\\W", b"\\S", b"\\D"):
            assert wide not in expression.replace(b"\\.", b"")


def test_a_fetch_within_a_batch_begins_at_its_offset() -> None:
    """Records below are not seen, not counted, not followed; an offset that compaction took begins
    at the next.
    """
    topic = Topic()
    topic.add(
        [Entry(None, b"BUG: 0"), Entry(None, b"BUG: 1"), Entry(None, b"BUG: 5", gap=3)], tail=2
    )
    for first, expected in ((0, [0, 1, 5]), (1, [1, 5]), (3, [5]), (5, [5]), (6, [])):
        (chunk,) = chunks(topic, first)
        assert hits(chunk) == [b"BUG: %d" % number for number in expected]
        assert [record.number for record, _ in SCANNER.select(chunk, lambda: None)] == expected
        assert (chunk.count, chunk.end) == (len(expected), 8)


def test_a_batch_without_records_is_passed_over() -> None:
    """Compaction may leave a batch empty; its end still counts."""
    chunk = BatchChunk(SOURCE, Batch(b"header", 6, 0, 10, 10, 15, 0, append_time=False))
    assert (chunk.count, chunk.end, chunk.data) == (0, 15, b"")


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x10\0\0\0\x01\x40", b"\x7f\0\0", b"\x04\0\0", b"\xff" * 12]
)
def test_a_batch_that_breaks_off_is_one_line(data: bytes) -> None:
    """Its sum was right, so a producer wrote it so: where, and what."""
    chunk = BatchChunk(SOURCE, Batch(data + b"BUG: ", 0, 3, 70, 70, 73, 0, append_time=False))
    with pytest.raises(
        SourceError, match=r"^kafka: kmsg/4: the batch of records at offset 70 is damaged: "
    ):
        chunk.record_at(len(chunk.data) - 1)
