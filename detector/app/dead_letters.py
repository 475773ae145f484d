"""The topic of records that were set aside: their bytes as they came, for whoever looks
into them.

In: what was set aside, after it was stored. Out: one record each, with its place, stage and reason
as headers. What cannot be produced is said and stays listed in the history; nothing waits for it.
"""

from __future__ import annotations

from contextlib import suppress

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from detector import telemetry
from detector.model import Rejected
from detector.render.escape import inert
from detector.settings.kafka import Kafka
from detector.sources.kafka.security import client_settings

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
