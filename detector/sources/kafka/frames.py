"""Reads the brokers' answers into the buffer that they are decoded from.

In: a client of kafka-python. Out: the same client, whose connections copy nothing on the way from
the socket to the records of a fetch, which stay in that buffer. Its own code reads 4 KiB at a time,
and copies an answer five times. Connections, TLS, login, requests, timeouts and the schemas of all
answers stay the client's.
"""

from __future__ import annotations

import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient
from kafka.net.connection import KafkaConnection
from kafka.net.manager import KafkaConnectionManager
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport
from kafka.protocol.api_header import RequestHeader
from kafka.protocol.api_message import ApiMessage
from kafka.protocol.consumer import FetchRequest, FetchResponse
from kafka.protocol.frame import KafkaBytes
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.schemas.fields.codecs import Bytes
from kafka.protocol.schemas.fields.struct import StructField

from detector.sources.kafka.pinned import changes

# What this module builds upon; where a release changes one of them, the client reads as it does.
PINNED: dict[str, tuple[Any, str]] = {
    "KafkaConnectionManager._build_transport": (
        KafkaConnectionManager._build_transport,  # noqa: SLF001
        "0362b0a783871097ee4d8a3b251173f60d5905bcde090f0e7ec8bdf906921d8c",
    ),
    "KafkaTCPTransport._read_from_sock": (
        KafkaTCPTransport._read_from_sock,  # noqa: SLF001
        "572fe643c70751bf28e4e977ce7fcc667ba473801a01cd642c85834ad2413af5",
    ),
    "KafkaTCPTransport._sock_recv": (
        KafkaTCPTransport._sock_recv,  # noqa: SLF001
        "2594a6a62ec5a3e56355033514d33265dcd9513bc5c24342c1b91c90641589ff",
    ),
    "KafkaSSLTransport._sock_recv": (
        KafkaSSLTransport._sock_recv,  # noqa: SLF001
        "0a592f230c5c4455245fa50057926170680e0f950c003a2186b10e578f10a481",
    ),
    "KafkaConnection.data_received": (
        KafkaConnection.data_received,
        "331fdbcfb8df98ef6388e750b76cc30d41249c7ac2551af875f18a2827dbe567",
    ),
    "KafkaConnection.connection_made": (
        KafkaConnection.connection_made,
        "2e7ce062e0ae716fa336ebb784e8ae7ff1442b1536b1077273bab9b9ffbe2f85",
    ),
    "KafkaProtocol.__init__": (
        KafkaProtocol.__init__,
        "18c3fe940d81f40b9aad3cc63f357bd508d27a80e745a6911d4478e8ebccd8c5",
    ),
    "KafkaProtocol.send_request": (
        KafkaProtocol.send_request,
        "ad512b973d99bd65a67014cda9cda184d642a9e344aa63b9e77084d54a409c4b",
    ),
    "KafkaProtocol.receive_bytes": (
        KafkaProtocol.receive_bytes,
        "d54b3fe40b87ef8231856572057a066106e621c172d646b9ccfd54e745d93ff3",
    ),
    "KafkaProtocol._process_response": (
        KafkaProtocol._process_response,  # noqa: SLF001
        "ccfc0aa658381e117fee878142b81be7f4125a3976f1cd056fa6ec33fac436af",
    ),
    "RequestHeader.get_response_class": (
        RequestHeader.get_response_class,
        "c77e11fdcee223bb361983c54f4da2987a57a730a4b72d99c4d02f4933f09c9b",
    ),
    "ApiMessage.decode": (
        ApiMessage.decode,
        "66539bd58d53a4a8d018dc0e8c8041675ceac2c4dfc4fa333b8f9be458182ddf",
    ),
    "StructField.compiled_decode_from": (
        StructField.compiled_decode_from,
        "df03055bdd3843aa4bc3ab2ce4c29a70025e415afe5b2ee921ea24c4bfc7450f",
    ),
    "StructField.emit_decode_from": (
        StructField.emit_decode_from,
        "468538ed5f6d370b82052ad8c6ec8d68a4c0c4c31a4ba566013d3ff9a6a9b7ee",
    ),
    "Bytes.emit_decode_from": (
        Bytes.emit_decode_from,
        "65f173a3f2057e2a6bd2fcb7066392b8964456d43a7cc7ad1bd763c859a38a6b",
    ),
    "KafkaBytes": (
        KafkaBytes,
        "7b12af5a4b339828240e98e5510bfe272cf8fe6090c27426805c7842d27865c2",
    ),
}

_LENGTH = struct.Struct(">i")
_WAITS = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
# A wait for the rest of a large answer ends when so much of it has come, not with each segment.
_LEAST_BYTES = 512 * 1024
# So much of a frame is made room for before its bytes come: twice what a fetch asks for. A longer
# one, which a batch may be, grows as it comes, and a length that a fault made costs no more.
_ROOM_BYTES = 16 * 1024 * 1024
# No longer is waited because an answer says so. Brokers (KIP-219, Kafka 2.0 and later) leave the
# connection unread themselves while they throttle it.
THROTTLE_MS = 10_000
_RCVLOWAT = getattr(socket, "SO_RCVLOWAT", None) if sys.platform == "linux" else None


def changed() -> list[str]:
    """Returns what of kafka-python is not as it was when this module was written."""
    return changes(PINNED)


def read_frames(client: KafkaNetClient) -> None:
    """Makes the connections that a client opens from now on read whole frames."""
    client._manager.__class__ = _FrameManager  # noqa: SLF001


class _FrameManager(KafkaConnectionManager):  # type: ignore[misc]  # kafka-python ships no types
    """A manager of connections that read whole frames."""

    async def _build_transport(self, node: Any, timeout_at: Any = None) -> Any:
        transport = await super()._build_transport(node, timeout_at=timeout_at)
        if type(transport) is KafkaTCPTransport:
            transport.__class__ = _FrameTransport
        elif type(transport) is KafkaSSLTransport:
            transport.__class__ = _TlsFrameTransport
        return transport


class _Reading:
    """What both transports do: as the client's `_read_from_sock`, into the frame at hand."""

    _net: Any
    _sock: Any
    _protocol: Any
    _read: bool
    _closed: bool
    abort: Any
    _least = 1

    async def _read_from_sock(self) -> None:
        while self._read and not self._closed:
            await self._net.wait_read(self._sock)
            try:
                self._fill_frames()
            except _WAITS:
                self._wait_for(self._protocol.parser.missing())
            except kafka_errors.KafkaConnectionError as error:
                self.abort(error=error)
            except OSError as error:
                self.abort(error=kafka_errors.KafkaConnectionError(error))
            except Exception as error:  # noqa: BLE001  # whatever bytes that are no answer lead to
                self.abort(error=_unreadable(error))
            self.last_read = time.monotonic()

    def _fill_frames(self) -> None:
        """Reads until nothing is there, which raises one of `_WAITS`, or the connection is closed.

        Raises KafkaConnectionError at its end, OSError where it breaks, KafkaProtocolError and what
        the client's readers raise for what is no answer.
        """
        protocol = self._protocol
        parser = protocol.parser
        if type(parser) is KafkaProtocol:
            parser.__class__ = FrameParser
        while not self._closed:
            space = parser.space()
            count = self._sock.recv_into(space)
            if not count:
                raise kafka_errors.KafkaConnectionError("socket disconnected")
            protocol.data_received(space[:count])

    def _wait_for(self, missing: int) -> None:
        """Notes how many bytes of the frame at hand are missing, before a wait."""


def _unreadable(error: Exception) -> kafka_errors.KafkaConnectionError:
    """The error of a connection that brings what is no answer: another one may bring better.

    The client's own would be no error that passes, and end the process for one flipped bit.
    """
    detail = " ".join(str(error).split()) or type(error).__name__
    return kafka_errors.KafkaConnectionError(f"an answer cannot be read: {detail}")


class _FrameTransport(_Reading, KafkaTCPTransport):  # type: ignore[misc]
    """A connection without TLS."""

    def _wait_for(self, missing: int) -> None:
        least = max(1, min(missing, _LEAST_BYTES))
        if _RCVLOWAT is None or least == self._least:
            return
        self._sock.setsockopt(socket.SOL_SOCKET, _RCVLOWAT, least)
        # Linux makes room for twice as much (tcp_set_rcvlowat in net/ipv4/tcp.c, from 4.18 on);
        # before, what does not fit would never come, and the wait not end.
        room = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        if least > 1 and room < 2 * least:
            least = 1
            self._sock.setsockopt(socket.SOL_SOCKET, _RCVLOWAT, least)
        self._least = least


class _TlsFrameTransport(_Reading, KafkaSSLTransport):  # type: ignore[misc]
    """A connection with TLS."""


class FrameParser(KafkaProtocol):  # type: ignore[misc]
    """A parser whose frames are filled from outside: `space` is where the next bytes go."""

    _frame: KafkaBytes | None = None
    _size = 0
    _space: memoryview | None = None

    def send_request(self, request: Any, correlation_id: int | None = None) -> Any:
        """As the client does, and notes what the answer to a fetch is read by."""
        number = super().send_request(request, correlation_id)
        if request.API_KEY == FetchRequest.API_KEY and request.expect_response():
            self.in_flight_requests[-1].__class__ = _FetchHeader
        return number

    def space(self) -> memoryview:
        """The part of the length, or of the frame at hand, that is still to come."""
        if self._space is None:
            self._space = memoryview(bytearray(_LENGTH.size))
        return self._space

    def missing(self) -> int:
        """The bytes of the frame at hand that have not come yet; 0 between frames."""
        if self._frame is None:
            return 0
        return len(self.space()) + self._size - len(self._frame)

    def receive_bytes(self, data: memoryview) -> list[tuple[int, Any]]:
        """Notes that `data`, the beginning of `space`, is filled; the answer that is complete by
        it, if one is.

        Raises KafkaProtocolError for what is no answer.
        """
        space = self._space = self.space()[len(data) :]
        if space:
            return []
        if self._frame is None:
            (size,) = _LENGTH.unpack(data.obj)
            self._validate_frame_size(size)
            self._size = size
            self._frame = KafkaBytes(min(size, _ROOM_BYTES))
            self._space = memoryview(self._frame)
            if size:
                return []
        held = len(self._frame)
        if held < self._size:
            larger = KafkaBytes(min(self._size, 2 * held))
            larger[:held] = self._frame
            self._frame, self._space = larger, memoryview(larger)[held:]
            return []
        frame, self._frame, self._space = self._frame, None, None
        number, answer = self._process_response(frame)
        if getattr(answer, "throttle_time_ms", 0) > THROTTLE_MS:
            answer.throttle_time_ms = THROTTLE_MS
        return [(number, answer)]


class _FetchHeader(RequestHeader, init=False):  # type: ignore[misc, call-arg]
    """The header of a fetch on its way: its answer leaves the records in the frame."""

    __slots__ = ()

    def get_response_class(self) -> FetchAnswer:
        """What reads the answer."""
        return FetchAnswer(self.request_api_version)


class FetchAnswer:
    """Reader of an answer to a fetch of one version, by the client's own schema.

    Each partition's `records` are a view of the frame, which lives as long as they do.
    """

    def __init__(self, version: int) -> None:
        self._response = FetchResponse[version]
        flexible = FetchResponse.flexible_version_q(version)
        self._decode = _viewing(version, flexible)

    def parse_header(self, frame: KafkaBytes) -> Any:
        """The header, as the client reads it."""
        return self._response.parse_header(frame)

    def decode(self, frame: KafkaBytes) -> Any:
        """The answer behind the header. Raises ValueError or struct.error for what is none."""
        try:
            answer, _ = self._decode(memoryview(frame)[frame.tell() :], 0)
        except IndexError as error:  # which the client would not expect
            raise ValueError(str(error)) from error
        return answer


@cache
def _viewing(version: int, flexible: bool) -> Callable[[memoryview, int], tuple[Any, int]]:
    """The function that the client generates to read an answer: as it is, but for `bytes`, by
    which it would copy the records.
    """
    made = FetchResponse._struct.compiled_decode_from(  # noqa: SLF001
        version, compact=flexible, tagged=flexible, data_class=FetchResponse
    )
    return FunctionType(made.__code__, {**made.__globals__, "bytes": memoryview})
