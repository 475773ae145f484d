"""Datagrams become records keyed by host; what does not get on is bounded, counted and logged."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from detector import telemetry
from detector.app.relay import Relay
from detector.clock import MINUTE_US
from detector.settings import load
from detector.sources import netconsole
from detector.sources.errors import SourceError
from detector.sources.netconsole import DatagramSocket, sender_names

LINE = b"6,444,501151268,-;eth9: link is down"


class Sent:
    """The future of a record, settled by the test."""

    def __init__(self) -> None:
        self.delivered: Callable[[object], None] = lambda _: None
        self.failed: Callable[[BaseException], None] = lambda _: None

    def add_callback(self, call: Callable[[object], None]) -> None:
        self.delivered = call

    def add_errback(self, call: Callable[[BaseException], None]) -> None:
        self.failed = call


class Producer:
    """Takes records as kafka-python's producer does, and delivers when it is asked to."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes, Sent]] = []

    def send(self, _topic: str, *, key: bytes, value: bytes) -> Sent:
        self.records.append((key, value, Sent()))
        return self.records[-1][2]

    def flush(self, timeout: float | None = None) -> None:
        for _, _, sent in self.records:
            sent.delivered(None)

    def close(self, timeout: float | None = None) -> None:
        """Nothing is open."""


@pytest.fixture
def losses(monkeypatch) -> list[tuple[str, int]]:
    """The losses that are logged."""
    logged: list[tuple[str, int]] = []

    def say(event: str, **fields: Any) -> None:
        assert event == "datagrams_lost"
        logged.append((fields["reason"], fields["number"]))

    monkeypatch.setattr(telemetry, "say", say)
    return logged


def relay_of(producer: Producer, now: list[int], **settings: object) -> Relay:
    """A relay with the settings given, in a time that the test moves."""
    overrides = {f"netconsole.{name}": value for name, value in settings.items()}
    names = {"192.0.2.7": "Web-12"}
    return Relay(load(None, overrides, {})[0], producer, names, lambda: now[0])


def test_key_is_the_host_or_the_address(losses):
    """A sender with a name has one spelling; without one its address is its name."""
    producer = Producer()
    relay = relay_of(producer, [0])
    relay.take([("192.0.2.7", LINE), ("2001:db8::7", LINE), ("192.0.2.7", b"")], 0)
    relay.close()
    assert [(key, value) for key, value, _ in producer.records] == [
        (b"web-12", LINE),
        (b"2001:db8::7", LINE),
    ]
    assert (relay.sent, relay.lost, losses) == (2, 0, [])


def test_senders_that_are_not_allowed_are_counted(losses):
    """Their datagrams go nowhere; the log has their number, once a minute."""
    producer, now = Producer(), [0]
    relay = relay_of(producer, now, allowed="192.0.2.0/24,2001:db8::/32")
    relay.take([("192.0.2.9", LINE), ("2001:db8::1", LINE), ("198.51.100.1", LINE)], 0)
    assert losses == [("not-allowed", 1)]
    relay.take([("198.51.100.1", LINE), ("fe80::1%eth0", LINE)], 0)
    assert losses == [("not-allowed", 1)]
    now[0] = MINUTE_US
    relay.take([], 0)
    assert losses == [("not-allowed", 1), ("not-allowed", 2)]
    assert len(producer.records) == 2


def test_what_waits_is_bounded(losses):
    """Beyond the bound datagrams are dropped and counted; what is delivered makes room."""
    producer, now = Producer(), [0]
    relay = relay_of(producer, now, buffer_mib=1)
    content = bytes(50_000)
    relay.take([("192.0.2.7", content)] * 30, 0)
    waiting = len(producer.records)
    assert waiting == 1024 * 1024 // (50_000 + 500)
    assert losses == [("buffer-full", 30 - waiting)]
    producer.records[0][2].delivered(None)
    relay.take([("192.0.2.7", content)] * 2, 0)
    assert len(producer.records) == waiting + 1
    assert relay.lost == 30 - waiting + 1


def test_what_kafka_and_the_socket_lose_is_counted(losses):
    """A record that was given up, and datagrams that came faster than they were taken."""
    producer, now = Producer(), [0]
    relay = relay_of(producer, now)
    relay.take([("192.0.2.7", LINE)], 5)
    producer.records[0][2].failed(TimeoutError("no broker"))
    now[0] = MINUTE_US
    relay.take([], 7)
    relay.close()
    assert losses == [("socket-full", 5), ("kafka: TimeoutError", 1), ("socket-full", 2)]
    assert relay.lost == 8


def test_the_kernel_says_what_it_dropped(monkeypatch):
    """A socket that nobody reads drops, and the number is read from /proc/net/udp."""
    monkeypatch.setattr(netconsole, "RECEIVE_BYTES", 4_096)
    opened = DatagramSocket("127.0.0.1", 0)
    try:
        assert opened.dropped() == 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(200):
                sender.sendto(bytes(1_000), ("127.0.0.1", opened.port))
        taken = 0
        while batch := opened.receive(0):
            taken += len(batch)
        assert 0 < taken < 200
        assert opened.dropped() == 200 - taken
    finally:
        opened.close()


def test_ipv4_senders_of_a_dual_socket_have_their_own_address():
    """At :: an IPv4 sender is no mapped IPv6 address."""
    opened = DatagramSocket("::", 0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(LINE, ("127.0.0.1", opened.port))
        assert opened.receive(30) == [("127.0.0.1", LINE)]
    finally:
        opened.close()


def test_names_are_those_of_hosts_files_and_aliases(tmp_path):
    """The first name of an address counts; aliases come first; addresses have one form."""
    path = tmp_path / "hosts"
    path.write_text(
        "# racks\n192.0.2.7 web-12 web-12.example.com\n192.0.2.8\tweb-13 # spare\n\n"
        "2001:DB8:0::7 db-1\n192.0.2.7 other\n"
    )
    assert sender_names(path, {"192.0.2.8": "db-9"}) == {
        "192.0.2.7": "web-12",
        "192.0.2.8": "db-9",
        "2001:db8::7": "db-1",
    }


@pytest.mark.parametrize(
    ("row", "fault"), [("web-12 192.0.2.7", "is no IP address"), ("192.0.2.7", "has no name")]
)
def test_a_bad_hosts_file_names_its_line(tmp_path, row, fault):
    """File, line and what is wrong."""
    path = tmp_path / "hosts"
    path.write_text(f"# racks\n{row}\n")
    with pytest.raises(SourceError, match=f"hosts:2: .*{fault}"):
        sender_names(path, {})


def test_addresses_that_cannot_be_used_name_their_setting():
    """A host name, and a port that is taken."""
    with pytest.raises(SourceError, match=r"netconsole\.address: localhost is no IP address"):
        DatagramSocket("localhost", 0)
    opened = DatagramSocket("127.0.0.1", 0)
    try:
        with pytest.raises(SourceError, match=r"netconsole\.port: 127\.0\.0\.1:\d+ cannot be used"):
            DatagramSocket("127.0.0.1", opened.port)
    finally:
        opened.close()
