"""Producers of topics: records that were set aside, and pieces of text.

What cannot be produced is said and stays listed in the history; nothing waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from detector import telemetry
from detector.errors import UserError
from detector.model import Rejected
from detector.render.escape import inert
from detector.settings.kafka import Kafka
from detector.sources.dumps import records_of
from detector.sources.kafka.internals import finds_topic
from detector.sources.kafka.reach import client_settings, obstacles, why_unreachable

# How long a topic may take to show itself before its want is said.
_ASK_MS = 2_000


class TopicProducer:
    """A producer for one topic.

    Raises UserError where brokers or topic do not work; where waiting may help, `say` gets the
    reason at once.
    """

    def __init__(
        self, kafka: Kafka, topic: str, within_s: float, say: Callable[[str], None]
    ) -> None:
        self._topic = topic
        self._within_s = within_s
        self._options: dict[str, Any] = client_settings(kafka)
        wait_ms = int(within_s * 1_000)
        self._knock(say)
        try:
            self._producer = KafkaProducer(
                **self._options,
                acks="all",
                max_block_ms=wait_ms,
                bootstrap_timeout_ms=wait_ms,
                delivery_timeout_ms=wait_ms,
                request_timeout_ms=min(30_000, wait_ms),
                allow_auto_create_topics=False,
            )
            self._ask_for_topic(say)
        except (kafka_errors.KafkaError, ValueError, AssertionError) as error:
            raise UserError(self._unsent(error)) from error

    def send_text(self, key: bytes, content: bytes) -> None:
        """Sends a text in records of whole lines, one after the other; returns when the brokers
        have all of them. Raises UserError.
        """
        try:
            sent = [
                self._producer.send(self._topic, key=key, value=record)
                for record in records_of(content)
            ]
            for future in sent:
                future.get(self._within_s)
        except kafka_errors.KafkaError as error:
            raise UserError(self._unsent(error, self._missing())) from error

    def _missing(self) -> str:
        """Why nothing could be sent, where it is for want of the topic."""
        with suppress(kafka_errors.KafkaError):
            return "" if finds_topic(self._producer, self._topic, 1) else self._no_topic()
        return ""

    def close(self) -> None:
        """Ends the producer."""
        with suppress(kafka_errors.KafkaError):
            self._producer.close(timeout=0)

    def _knock(self, say: Callable[[str], None]) -> None:
        """Says what keeps all brokers away. Raises UserError where waiting is of no use."""
        seen = obstacles(self._options)
        if len(seen) < len(self._options["bootstrap_servers"]):
            return
        reason = "; ".join(obstacle.text for obstacle in seen)
        if not any(obstacle.passing for obstacle in seen):
            raise UserError(f"not sent to topic {self._topic}: {reason}; it is sent next time")
        say(f"waiting for brokers, {self._within_s:g} s at most: {reason}")

    def _ask_for_topic(self, say: Callable[[str], None]) -> None:
        """Says that the brokers have no such topic, which may yet be created."""
        if not finds_topic(self._producer, self._topic, _ASK_MS):
            say(f"waiting for the topic, {self._within_s:g} s at most: {self._no_topic()}")

    def _no_topic(self) -> str:
        return (
            f"kafka.topics: the brokers have no topic {self._topic}, or may not show it: "
            "create it first"
        )

    def _unsent(self, error: BaseException, missing: str = "") -> str:
        """One line: what was not sent, and why."""
        reason = why_unreachable(self._options) or missing or str(error) or type(error).__name__
        return f"not sent to topic {self._topic}: {reason}; it is sent next time"


# How long a batch may wait for what a producer must know of its topic, and an end for what is
# still under way.
_WAIT_MS = 3_000


class DeadLetters:
    """Writes to `kafka.dead_letter_topic`; the producer is made at the first record."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._producer: KafkaProducer | None = None

    def send(self, row: Rejected) -> None:
        """Hands one record to the producer; does nothing where no topic is set."""
        topic = self._kafka.dead_letter_topic
        if topic is None:
            return
        facts = {"source": row.source, "number": row.number, "stage": row.stage}
        headers = [
            (f"oopswatch-{name}", str(value).encode(errors="backslashreplace"))
            for name, value in (facts | {"reason": row.reason}).items()
        ]

        def failed(error: BaseException) -> None:
            text = inert(" ".join(str(error).split()))[:200] or type(error).__name__
            telemetry.say("dead_letter_failed", topic=topic, error=text, **facts)

        try:
            sent = self._connected().send(topic, value=row.value, key=row.key, headers=headers)
            sent.add_errback(failed)
        except (kafka_errors.KafkaError, OSError, ValueError, AssertionError) as error:
            failed(error)

    def close(self) -> None:
        """Waits shortly for what is under way."""
        if self._producer is not None:
            with suppress(kafka_errors.KafkaError):
                self._producer.flush(_WAIT_MS / 1_000)
            with suppress(kafka_errors.KafkaError):
                self._producer.close(timeout=0)

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = KafkaProducer(
                **client_settings(self._kafka),
                acks="all",
                linger_ms=0,
                max_block_ms=_WAIT_MS,
                bootstrap_timeout_ms=_WAIT_MS,
            )
        return self._producer
