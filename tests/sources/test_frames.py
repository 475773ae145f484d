"""Answers read into the frame that they are decoded from: the same as the client reads, however
the network cuts them, and records that are not copied.
"""

from __future__ import annotations

import copy
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.errors import InvalidReceiveError, KafkaConnectionError, KafkaProtocolError
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


@settings(deadline=None)  # the client compiles a reader for each version
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


@pytest.mark.parametrize("room", [1, 7, 300, 1 << 20])
def test_a_frame_grows_as_its_bytes_come(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Beyond what there is room for at first: the same answer, and a false length takes no more."""
    monkeypatch.setattr(frames, "_ROOM_BYTES", room)
    _, ours = parsers()
    ask(ours, 12)
    part = _Partition(partition_index=1, records=b"x" * 5000)
    data = framed(FetchResponse(responses=[_Topic(topic="kmsg", partitions=[part])]), 1, 12)
    ((_, got),) = fill(ours, data, iter([900] * len(data)))
    assert bytes(got.responses[0].partitions[0].records) == b"x" * 5000
    assert fill(ours, struct.pack(">i", LARGEST), iter([4])) == []
    assert len(ours.space()) == min(room, LARGEST)
    assert ours.missing() == LARGEST


@pytest.mark.parametrize("said", [0, 3, 1 << 30])
def test_no_answer_silences_a_connection_for_long(said: int) -> None:
    """Whatever it says: a flipped bit is not waited for."""
    _, ours = parsers()
    ask(ours, 12)
    answer = FetchResponse(throttle_time_ms=said, responses=[])
    ((_, got),) = fill(ours, framed(answer, 1, 12), iter([1 << 20] * 9))
    assert got.throttle_time_ms == min(said, frames.THROTTLE_MS)


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


class Socket:
    """What a transport asks of a socket: bytes in pieces, an error where one is due, and room for
    as much as the kernel gives.
    """

    def __init__(self, *pieces: bytes | Exception, makes_room: bool = True) -> None:
        self._pieces = list(pieces)
        self._makes_room = makes_room
        self.least, self.room = 1, 131_072

    def recv_into(self, space: memoryview) -> int:
        """The next bytes; nothing is there when all have come."""
        piece = self._pieces.pop(0) if self._pieces else BlockingIOError()
        if isinstance(piece, Exception):
            raise piece
        count = min(len(piece), len(space))
        space[:count] = piece[:count]
        if piece[count:]:
            self._pieces.insert(0, piece[count:])
        return count

    def setsockopt(self, _level: int, _option: int, value: int) -> None:
        """Only the least number of bytes is ever set."""
        self.least = value
        if self._makes_room:
            self.room = max(self.room, 2 * value)

    def getsockopt(self, _level: int, _option: int) -> int:
        """Only the size of the buffer is ever asked for."""
        return self.room


class Connection:
    """What a transport asks of a connection."""

    _sensors = None

    def __init__(self) -> None:
        self.parser = KafkaProtocol(client_id="test", receive_message_max_bytes=LARGEST)
        self.lost: list[Exception | None] = []

    def data_received(self, data: memoryview) -> None:
        """Has the parser read it."""
        self.parser.receive_bytes(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Keeps why."""
        self.lost.append(error)


class Network:
    """What a transport asks of the client's loop: a wait that ends at once, so many times."""

    def __init__(self, waits: int) -> None:
        self._waits = waits

    async def wait_read(self, _socket: Any) -> None:
        """Ends the test where it is over."""
        if not self._waits:
            raise EOFError
        self._waits -= 1

    def unregister_event(self, *_: Any) -> None:
        """Nothing was registered."""

    def cancel(self, _task: Any) -> None:
        """Nothing was begun."""


def reading(socket_: Any, waits: int = 1) -> Connection:
    """A connection after so many waits for bytes."""
    transport, connection = frames._FrameTransport(Network(waits), socket_), Connection()
    transport._protocol, transport._read = connection, True
    with suppress(StopIteration, EOFError):
        transport._read_from_sock().send(None)
    return connection


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ((struct.pack(">i", 0x7FFFFFFF),), "an answer cannot be read: .*Invalid frame length"),
        ((struct.pack(">i", 0),), "an answer cannot be read: .*No in-flight-request"),
        ((struct.pack(">i", 90), b"half", b""), "socket disconnected"),
        ((struct.pack(">i", 90), b"half", ConnectionResetError(104, "reset")), "reset"),
    ],
)
def test_a_connection_that_brings_no_answer_is_closed(
    pieces: tuple[bytes | Exception, ...], why: str
) -> None:
    """As one that broke, which another may mend: the process goes on."""
    connection = reading(Breaking(*pieces))
    (error,) = connection.lost
    assert isinstance(error, KafkaConnectionError)
    assert error.retriable
    assert re.search(why, str(error))


@pytest.mark.parametrize("size", [0, 2, 7])
def test_an_answer_that_is_too_short_closes_the_connection(size: int) -> None:
    """The client would read no more from it, and wait for half a minute."""
    transport = frames._FrameTransport(Network(1), Breaking(struct.pack(">i", size), bytes(size)))
    connection = transport._protocol = Connection()
    transport._read = True
    ask(connection.parser, 12)
    with suppress(StopIteration, EOFError):
        transport._read_from_sock().send(None)
    assert [type(error) for error in connection.lost] == [KafkaConnectionError]


class Breaking(Socket):
    """A socket that may be closed."""

    def shutdown(self, _how: int) -> None:
        """Nobody is at the other end."""

    def close(self) -> None:
        """Nothing is held."""

    def getpeername(self) -> tuple[str, int]:
        """Its name in the client's log."""
        return "test", 1

    getsockname = getpeername


@pytest.mark.skipif(frames._RCVLOWAT is None, reason="only Linux is asked to wait for more")
@pytest.mark.parametrize(("makes_room", "least"), [(True, 512 * 1024), (False, 1)])
def test_a_wait_is_for_no_more_than_there_is_room_for(makes_room: bool, least: int) -> None:
    """Linux before 4.18 leaves the buffer as small as it is: there each segment ends the wait."""
    socket_ = Socket(struct.pack(">i", LARGEST), b"begin", makes_room=makes_room)
    reading(socket_, waits=1)
    assert socket_.least == least
