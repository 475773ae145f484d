"""Puts netconsole's datagrams into a topic: key is the host, value what the kernel sent.

In: batches of datagrams. Out: records, and counts of what was refused, dropped or not taken. What
waits while Kafka is away is bounded in bytes; nothing is decided of the lines here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from threading import Lock
from typing import Any, Protocol

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from detector import telemetry
from detector.clock import MINUTE_US
from detector.settings import Settings
from detector.sources.kafka.reach import client_settings
from detector.sources.netconsole import Datagram

# How long a record may wait for a broker before it is given up.
_DELIVERY_MS = 3_600_000
_FLUSH_S = 10.0
# How long one record may hold up the next where the producer has forgotten the topic.
_BLOCK_MS = 3_000
# A record of Kafka costs so much beside its value while it waits.
_RECORD_BYTES = 500
_SENDERS = 100_000


class Producer(Protocol):
    """The part of kafka-python's producer that the relay calls."""

    def send(self, topic: str, *, key: bytes, value: bytes) -> Any:
        """Hands over one record; returns its future."""

    def flush(self, timeout: float | None = None) -> Any:
        """Waits for what is under way."""

    def close(self, timeout: float | None = None) -> Any:
        """Ends it."""


def producer_of(settings: Settings) -> KafkaProducer:
    """A producer that knows the topic, and keeps records for an hour while brokers are away."""
    producer = KafkaProducer(
        **client_settings(settings.kafka),
        acks="all",
        linger_ms=20,
        batch_size=131_072,
        delivery_timeout_ms=_DELIVERY_MS,
        max_block_ms=_BLOCK_MS,
        allow_auto_create_topics=False,
    )
    producer.partitions_for(topic_of(settings))
    return producer


class Relay:
    """Sends datagrams on; `now_us` is for how often losses are logged."""

    def __init__(
        self,
        settings: Settings,
        producer: Producer,
        names: Mapping[str, str],
        now_us: Callable[[], int],
    ) -> None:
        self.topic = topic_of(settings)
        self._producer = producer
        self._networks = settings.netconsole.allowed
        self._room = settings.netconsole.buffer_mib * 1024 * 1024
        self._now_us = now_us
        self._lock = Lock()
        self._waiting = 0
        self._lost: dict[str, int] = {}
        self._logged_us = -MINUTE_US
        self._dropped = 0
        self.sent = 0
        self.lost = 0
        self._key = lru_cache(_SENDERS)(lambda address: _key(names, address))
        self._allowed = lru_cache(_SENDERS)(self._is_allowed)

    def take(self, datagrams: Sequence[Datagram], dropped: int) -> None:
        """Sends datagrams on; `dropped` is what the kernel dropped since the socket was opened."""
        for address, content in datagrams:
            if not content:
                continue
            if not self._allowed(address):
                self._count("not-allowed")
            elif self._waiting + len(content) + _RECORD_BYTES > self._room:
                self._count("buffer-full")
            else:
                self._send(address, content)
        if dropped > self._dropped:
            self._count("socket-full", dropped - self._dropped)
            self._dropped = dropped
        self._log_losses()

    def close(self) -> None:
        """Waits shortly for what is under way, then counts what was not delivered."""
        with suppress(kafka_errors.KafkaError):
            self._producer.flush(_FLUSH_S)
        with suppress(kafka_errors.KafkaError):
            self._producer.close(timeout=0)
        self._logged_us = -MINUTE_US
        self._log_losses()

    def _send(self, address: str, content: bytes) -> None:
        size = len(content) + _RECORD_BYTES

        def delivered(_: object) -> None:
            with self._lock:
                self._waiting -= size
                self.sent += 1
            telemetry.DATAGRAMS.inc()

        def failed(error: BaseException) -> None:
            with self._lock:
                self._waiting -= size
            self._count(f"kafka: {type(error).__name__}")

        with self._lock:
            self._waiting += size
        try:
            future = self._producer.send(self.topic, key=self._key(address), value=content)
        except (kafka_errors.KafkaError, ValueError, AssertionError) as error:
            failed(error)
            return
        future.add_callback(delivered)
        future.add_errback(failed)

    def _count(self, reason: str, number: int = 1) -> None:
        with self._lock:
            self._lost[reason] = self._lost.get(reason, 0) + number
            self.lost += number
        telemetry.DATAGRAMS_LOST.labels(reason.partition(":")[0]).inc(number)

    def _log_losses(self) -> None:
        """Logs each reason with its number, once a minute at most."""
        if not self._lost or self._now_us() - self._logged_us < MINUTE_US:
            return
        self._logged_us = self._now_us()
        with self._lock:
            lost, self._lost = self._lost, {}
        for reason, number in lost.items():
            telemetry.say("datagrams_lost", reason=reason, number=number)

    def _is_allowed(self, address: str) -> bool:
        if not self._networks:
            return True
        sender = ipaddress.ip_address(address.partition("%")[0])
        return any(sender in network for network in self._networks)


def topic_of(settings: Settings) -> str:
    """The topic that datagrams go to."""
    return settings.netconsole.topic or settings.kafka.topics[0]


def _key(names: Mapping[str, str], address: str) -> bytes:
    return names.get(address, address).lower().encode()
