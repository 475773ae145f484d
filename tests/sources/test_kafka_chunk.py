from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from detector.sources.kafka.chunks import KafkaChunk


@dataclass(frozen=True)
class Polled:
    """A record as the client hands it over."""

    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None


VALUES = st.lists(
    st.none() | st.binary(min_size=1, max_size=9) | st.sampled_from([b"two\nlines\n", b"\n"]),
    min_size=1,
    max_size=30,
)


@given(VALUES, st.lists(st.integers(0, 10_000), max_size=20))
def test_every_byte_leads_to_its_record(values: list[bytes | None], offsets: list[int]) -> None:
    """Whatever values hold; records without one lead nowhere and are counted."""
    polled = [
        Polled(70 + 3 * number, 1_000 + number, b"k%d" % number, value)
        for number, value in enumerate(values)
    ]
    chunk = KafkaChunk("kmsg/4", polled)
    assert (chunk.count, chunk.end) == (len(values), polled[-1].offset + 1)
    found = []
    position = 0
    while position < len(chunk.data):
        record, start, after = chunk.record_at(position)
        assert start == position < after
        assert (
            chunk.data[start:after].removesuffix(b"" if after == len(chunk.data) else b"\n")
            == record.value
        )
        found.append((record.source, record.number, record.key, record.value, record.arrival_us))
        position = after
    assert found == [
        ("kmsg/4", one.offset, one.key, one.value, one.timestamp * 1_000)
        for one in polled
        if one.value is not None
    ]
    for offset in (number % len(chunk.data) for number in offsets if chunk.data):
        _, start, after = chunk.record_at(offset)
        assert start <= offset < after


def test_a_record_without_a_time_has_no_arrival() -> None:
    """Old producers send -1, and the oldest format has no place for it."""
    for time_ms in (-1, None):
        assert (
            KafkaChunk("kmsg/0", [Polled(5, time_ms, None, b"x")]).record_at(0)[0].arrival_us
            is None
        )
