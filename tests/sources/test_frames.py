"""Answers read into the frame that they are decoded from: the same as the client reads, however
the network cuts them, and records that are not copied.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import InvalidReceiveError, KafkaProtocolError
from kafka.protocol.consumer import FetchRequest, FetchResponse
from kafka.protocol.metadata import MetadataRequest, MetadataResponse
from kafka.protocol.parser import KafkaProtocol

from detector.sources.kafka import frames
from detector.sources.kafka.frames import FrameParser

LARGEST = 1 << 20
_Topic = FetchResponse.FetchableTopicResponse
_Partition = _Topic.PartitionData
_Aborted = _Partition.AbortedTransaction
_Diverging, _Leader = _Partition.EpochEndOffset, _Partition.LeaderIdAndEpoch
numbers, epochs = st.integers(-1, 1 << 40), st.integers(-1, 1 << 30)
partitions = st.builds(
    lambda index, error, high, aborted, diverging, leader, records: _Partition(
        partition_index=index,
        error_code=error,
        high_watermark=high,
        last_stable_offset=high,
        log_start_offset=0,
        aborted_transactions=aborted,
        preferred_read_replica=-1,
        diverging_epoch=diverging,
        current_leader=leader,
        records=records,
    ),
    st.integers(0, 9),
    st.sampled_from([0, 0, 0, 1, 6]),
    numbers,
    st.none()
    | st.lists(
        st.builds(lambda one, two: _Aborted(producer_id=one, first_offset=two), numbers, numbers),
        max_size=2,
    ),
    st.none() | st.builds(lambda one, two: _Diverging(epoch=one, end_offset=two), epochs, numbers),
    st.none()
    | st.builds(lambda one, two: _Leader(leader_id=one, leader_epoch=two), epochs, epochs),
    st.none() | st.binary(max_size=300),
)
answers = st.lists(
    st.builds(
        lambda name, parts: _Topic(topic=name, partitions=parts),
        st.sampled_from(["kmsg", "logs.ä"]),
        st.lists(partitions, max_size=3),
    ),
    max_size=2,
)


def parsers() -> tuple[KafkaProtocol, FrameParser]:
    """The client's own, and ours, which is made of one as a connection makes it."""
    stock, ours = (
        KafkaProtocol(client_id="test", receive_message_max_bytes=LARGEST) for _ in range(2)
    )
    ours.__class__ = FrameParser
    return stock, ours


def framed(answer: Any, number: int, version: int) -> bytes:
    """An answer as a broker sends it."""
    answer.API_VERSION = version
    answer.with_header(correlation_id=number)
    return bytes(answer.encode(header=True, framed=True))


def fill(parser: FrameParser, data: bytes, cuts: Iterator[int]) -> list[tuple[int, Any]]:
    """Feeds a parser as a connection does: into its space, as much as has come."""
    got: list[tuple[int, Any]] = []
    while data:
        space = parser.space()
        size = min(len(space), len(data), next(cuts))
        space[:size] = data[:size]
        got += parser.receive_bytes(space[:size])
        data = data[size:]
    return got


def plain(answer: Any) -> Any:
    """An answer whose records are bytes, to be compared."""
    for topic in getattr(answer, "responses", ()):
        for part in topic.partitions:
            if isinstance(part.records, memoryview):
                part.records = bytes(part.records)
    return answer


def ask(parser: KafkaProtocol, version: int) -> None:
    """A fetch, and a question whose answer has no records, on their way."""
    fetch = FetchRequest(
        max_wait_ms=1, min_bytes=1, max_bytes=1, isolation_level=1, topics=[], rack_id="",
        session_id=0, session_epoch=-1, forgotten_topics_data=[],
    )  # fmt: skip
    fetch.API_VERSION = version
    parser.send_request(fetch)
    metadata = MetadataRequest(topics=[])
    metadata.API_VERSION = 8
    parser.send_request(metadata)


@given(answers, st.integers(4, 12), st.lists(st.integers(1, 90), min_size=1))
def test_answers_are_those_of_the_client(responses: Any, version: int, cuts: list[int]) -> None:
    """All versions of a fetch that the client asks for, with epochs that diverge and new leaders
    in the newest, cut anywhere; other answers as well.
    """
    stock, ours = parsers()
    answer = FetchResponse(throttle_time_ms=3, error_code=0, session_id=9, responses=responses)
    brokers = [MetadataResponse.MetadataResponseBroker(node_id=1, host="h", port=9, rack=None)]
    other = MetadataResponse(
        throttle_time_ms=0, brokers=brokers, cluster_id="c", controller_id=1, topics=[]
    )
    ask(stock, version)
    ask(ours, version)
    data = framed(copy.deepcopy(answer), 1, version) + framed(other, 2, 8)
    expected = stock.receive_bytes(data)
    got = fill(ours, data, iter(cuts * len(data)))
    assert [(number, plain(one)) for number, one in got] == expected
    assert {one.API_VERSION for _, one in got} == {version, 8}
    assert not ours.missing()
    assert not ours.in_flight_requests


def test_records_are_left_in_the_frame() -> None:
    """Views of one buffer, for versions with and without tagged fields."""
    for version in (11, 12):
        _, ours = parsers()
        ask(ours, version)
        parts = [_Partition(partition_index=n, records=b"x" * 5000) for n in (0, 1)]
        answer = FetchResponse(responses=[_Topic(topic="kmsg", partitions=parts)])
        ((_, got),) = fill(ours, framed(answer, 1, version), iter([1 << 20] * 9))
        first, second = (part.records for part in got.responses[0].partitions)
        assert isinstance(first, memoryview)
        assert first.obj is second.obj
        assert bytes(first) == b"x" * 5000


def test_what_is_no_answer_is_an_error() -> None:
    """A length beyond what may come, and an answer that breaks off inside."""
    _, ours = parsers()
    for size in (-1, LARGEST + 1):
        with pytest.raises(InvalidReceiveError):
            fill(ours, struct.pack(">i", size), iter([4]))
        _, ours = parsers()
    ask(ours, 12)
    answer = FetchResponse(responses=[_Topic(topic="kmsg", partitions=[_Partition()])])
    whole = framed(answer, 1, 12)
    for cut in range(9, len(whole) - 1):
        _, ours = parsers()
        ask(ours, 12)
        with pytest.raises(KafkaProtocolError):
            fill(ours, struct.pack(">i", cut - 4) + whole[4:cut], iter([cut] * 9))


def test_the_client_is_the_one_that_this_was_written_for() -> None:
    """A new kafka-python fails here: read again what is named, see that the tests above still hold,
    and note the new hashes.
    """
    assert frames.changed() == []
