"""The first meeting with the brokers: a connected consumer, or one line that says what to mend.

kafka-python itself tells no more of a failed connection than that time is up, so the reason is
sought for (`reach`) and overheard.
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
from detector.sources.kafka.reach import why_unreachable

# Enough for a broker that is far away, short enough for somebody who waits at a terminal.
CONNECT_MS = 10_000
# While brokers are away: the longest pause between two tries.
RETRY_S = 5.0

# What one answer of a broker may bring, compressed: one such lies in memory while the next is on
# its way.
FETCH_BYTES = 8 * 1024 * 1024
PARTITION_BYTES = 2 * 1024 * 1024


def connect(kafka: Kafka, options: Mapping[str, Any]) -> KafkaConsumer:
    """A consumer that has met a broker; SourceError with the reason where it has not within
    `CONNECT_MS`.
    """
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
        "max_partition_fetch_bytes": PARTITION_BYTES,
        "fetch_max_bytes": FETCH_BYTES,
        "reconnect_backoff_max_ms": int(RETRY_S * 1000),
        "bootstrap_timeout_ms": CONNECT_MS,
        "kafka_client": client,
        **options,
    }
    with _Overheard() as overheard:
        try:
            return KafkaConsumer(**settings)
        except kafka_errors.KafkaTimeoutError:
            reason = why_unreachable(options) or _why_refused(kafka, overheard.error)
        except kafka_errors.KafkaError as error:
            reason = _why_refused(kafka, error)
        except (AssertionError, ValueError) as error:
            reason = f"kafka: {explained(error)}"
        for one in clients:
            one.close()
        raise SourceError(reason)


def _why_refused(kafka: Kafka, error: Exception | None) -> str:
    """The brokers can be reached, and let nobody in."""
    server, protocol = kafka.bootstrap_servers[0], kafka.security_protocol
    said = f": {explained(error)}" if error else ""
    if not protocol.startswith("SASL"):
        return (
            f"kafka.security_protocol: {server} hangs up on {protocol}; does it demand a login "
            f"(SASL_PLAINTEXT, SASL_SSL)?{said}"
        )
    if isinstance(error, kafka_errors.IllegalSaslStateError):
        return (
            f"kafka.security_protocol: {server} takes no login, and the setting is {protocol}; "
            f"say {protocol.replace('SASL_', '')}"
        )
    if isinstance(error, kafka_errors.UnsupportedSaslMechanismError):
        return f"kafka.sasl_mechanism: {kafka.sasl_mechanism} is not taken{said}"
    return (
        f"kafka.sasl_username: the login of {kafka.sasl_username!r} by {kafka.sasl_mechanism} "
        f"is refused{said}"
    )


# What tells of a refused login. Often the broker has hung up before its answer is read, so that
# another try must be overheard.
_TELLING = (
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
)


class _Overheard(logging.Handler):
    """Hears what the client logs of a failed connection: it raises no more than a timeout."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.error: Exception | None = None
        self._logger = logging.getLogger("kafka.net.manager")

    def __enter__(self) -> Self:
        self._before = self._logger.level, self._logger.propagate
        self._logger.setLevel(logging.WARNING)
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        level, self._logger.propagate = self._before
        self._logger.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps what says more than that time is up, or that the broker has hung up."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        self.error = next(
            (argument for argument in arguments if isinstance(argument, _TELLING)), self.error
        )


def demand_topics(consumer: KafkaConsumer, topics: Sequence[str]) -> None:
    """Raises SourceError where one of the topics is not there, and says which are."""
    there = consumer.topics()
    missing = sorted(set(topics) - there)
    if missing:
        others = sorted(topic for topic in there if not topic.startswith("__"))
        known = f"there are {', '.join(others[:20])}" if others else "the brokers show none"
        raise SourceError(
            f"kafka.topics: {', '.join(missing)} does not exist, or may not be read: {known}"
        )


def explained(error: Exception) -> str:
    """What the client says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
