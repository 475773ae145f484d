"""Delivers pieces of text to a topic, and waits until the brokers have them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from detector.errors import UserError
from detector.settings.kafka import Kafka
from detector.sources.dumps import records_of
from detector.sources.kafka.reach import why_unreachable
from detector.sources.kafka.security import client_settings


class TopicProducer:
    """A producer for one topic. Raises UserError where brokers or topic do not work."""

    def __init__(self, kafka: Kafka, topic: str, within_s: float) -> None:
        self._topic = topic
        self._within_s = within_s
        self._options: dict[str, Any] = client_settings(kafka)
        wait_ms = int(within_s * 1_000)
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
            raise UserError(self._unsent(error)) from error

    def close(self) -> None:
        """Ends the producer."""
        with suppress(kafka_errors.KafkaError):
            self._producer.close(timeout=0)

    def _unsent(self, error: BaseException) -> str:
        """One line: what was not sent, and why."""
        reason = why_unreachable(self._options) or str(error) or type(error).__name__
        return f"not sent to topic {self._topic}: {reason}; it is sent next time"
