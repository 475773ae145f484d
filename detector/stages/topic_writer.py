"""Writes records to a topic for whoever follows the history.

Where brokers refuse it is tried again after a pause, and nothing waits meanwhile.

In: a function that sends records and waits for them. Out: whether the brokers have them. The
producer is made at the first record, and anew after an error.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from detector.render.escape import inert
from detector.settings.kafka import Kafka
from detector.sources.kafka.reach import client_settings

# What did not work is tried again so much later.
PAUSE_S = 5.0
WAIT_MS = 3_000


class TopicWriter:
    """A producer of one topic; `failed` gets the brokers' error in one line."""

    def __init__(
        self, kafka: Kafka, *, elapsed_s: Callable[[], float], failed: Callable[[str], None]
    ) -> None:
        self._kafka = kafka
        self._elapsed_s = elapsed_s
        self.failed = failed
        self._after_s = 0.0
        self._producer: KafkaProducer | None = None

    @property
    def paused(self) -> bool:
        """Returns whether the brokers refused a moment ago."""
        return self._elapsed_s() < self._after_s

    def write(self, send: Callable[[KafkaProducer], None]) -> bool:
        """Calls `send`, which raises where brokers did not take all; returns whether they did."""
        try:
            if self._producer is None:
                self._producer = KafkaProducer(
                    **client_settings(self._kafka),
                    acks="all",
                    max_block_ms=WAIT_MS,
                    bootstrap_timeout_ms=WAIT_MS,
                    allow_auto_create_topics=False,
                )
            send(self._producer)
        except (kafka_errors.KafkaError, OSError, ValueError, AssertionError) as error:
            self._after_s = self._elapsed_s() + PAUSE_S
            self.failed(inert(" ".join(str(error).split()))[:200] or type(error).__name__)
            self.close()
            return False
        return True

    def close(self) -> None:
        """Lets the producer go."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(kafka_errors.KafkaError):
                producer.close(timeout=0)
