"""The first meeting with the brokers: a connected consumer, or one line that says what to mend.

kafka-python itself tells no more of a failed connection than that time is up, so the reason is sought for (`reach`) and overheard.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Self

from kafka import KafkaConsumer
from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient

from detector.settings.declared import Kafka
from detector.sources.errors import SourceError
from detector.sources.reach import why_unreachable

# Enough for a broker that is far away, short enough for somebody who waits at a terminal.
CONNECT_MS = 10_000
# While brokers are away: the longest pause between two tries.
RETRY_S = 10.0


def connect(kafka: Kafka, options: Mapping[str, Any]) -> KafkaConsumer:
    """A consumer that has met a broker; SourceError with the reason where it has not within `CONNECT_MS`."""
    clients: list[KafkaNetClient] = []

    def client(**config: Any) -> KafkaNetClient:
        clients.append(KafkaNetClient(**config))
        return clients[-1]

    settings = {
        "group_id": kafka.group,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",  # every position is found in `_start`
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "max_poll_records": kafka.max_records,
        "reconnect_backoff_max_ms": int(RETRY_S * 1000),
        "bootstrap_timeout_ms": CONNECT_MS,
        "kafka_client": client,
        **options,
    }
    with _Overheard() as overheard:
        try:
            return KafkaConsumer(**settings)
        except kafka_errors.SaslAuthenticationFailedError as error:
            reason = f"kafka.sasl_username: the broker refuses the login of {kafka.sasl_username!r}: {error}"
        except kafka_errors.KafkaTimeoutError:
            reason = why_unreachable(options, overheard.last)
        except (kafka_errors.KafkaError, AssertionError, ValueError) as error:
            reason = f"kafka: {explained(error)}"
        for one in clients:
            one.close()
        raise SourceError(reason)


class _Overheard(logging.Handler):
    """Hears what the client logs of a failed connection: it raises no more than a timeout."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last = ""
        self._logger = logging.getLogger("kafka.net.manager")

    def __enter__(self) -> Self:
        self._before = self._logger.level, self._logger.propagate
        self._logger.setLevel(logging.ERROR)
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.level, self._logger.propagate = self._before

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the last message."""
        self.last = record.getMessage()


def demand_topics(consumer: KafkaConsumer, topics: Sequence[str]) -> None:
    """Raises SourceError where one of the topics is not there, and says which are."""
    there = consumer.topics()
    missing = sorted(set(topics) - there)
    if missing:
        others = sorted(topic for topic in there if not topic.startswith("__"))
        known = f"there are {', '.join(others[:20])}" if others else "the brokers show none"
        raise SourceError(f"kafka.topics: {', '.join(missing)} does not exist, or may not be read: {known}")


def explained(error: Exception) -> str:
    """What the client says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
