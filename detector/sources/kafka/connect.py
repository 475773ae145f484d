"""The first meeting with the brokers: a connected consumer, or one line that says what to
mend.

Brokers that are away are waited for. kafka-python itself tells no more of a failed connection than
that time is up, so the reason is sought for (`reach`) and overheard.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Self

from kafka import KafkaConsumer
from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient

from detector.settings.kafka import Kafka
from detector.sources.errors import SourceError
from detector.sources.kafka.reach import Obstacle, obstacles, why_unreachable

# Enough for a broker that is far away, short enough for somebody who waits at a terminal.
CONNECT_MS = 10_000
_TOPIC_PAUSES_S = (0.2, 0.5, 1.0)
# While brokers are away: the longest pause between two tries.
RETRY_S = 5.0
# At the start: the pause between two knocks.
KNOCK_AGAIN_S = 1.0

# What one answer of a broker may bring, compressed: one such lies in memory while the next is on
# its way.
FETCH_BYTES = 8 * 1024 * 1024
PARTITION_BYTES = 2 * 1024 * 1024

# So often the list of partitions is asked for anew: one that is added is read within a minute.
METADATA_MS = 30_000
# A member hears of a rebalance with its next heartbeat, so that this bounds how long the partitions
# of one that leaves stand still.
HEARTBEAT_MS = 750

SourceLog = Callable[[str, Mapping[str, Any]], None]


class AwayError(SourceError):
    """No broker answers, and waiting may help."""


def wait_for_brokers(kafka: Kafka, options: Mapping[str, Any], tell: SourceLog) -> KafkaConsumer:
    """A consumer that has met a broker, however long that takes within `kafka.start_wait_s`.

    Raises SourceError where that time is up, or where waiting will not help.
    """
    began = time.monotonic()
    away = False
    servers = ", ".join(kafka.bootstrap_servers)
    while True:
        try:
            consumer = connect(kafka, options)
        except AwayError as error:
            waited_s = time.monotonic() - began
            if kafka.start_wait_s and waited_s >= kafka.start_wait_s:
                raise
            if not away:
                away = True
                tell("broker_away", {"servers": servers, "error": str(error), "retry_s": RETRY_S})
            time.sleep(KNOCK_AGAIN_S)
            continue
        if away:
            away_s = round(time.monotonic() - began, 1)
            tell("broker_back", {"servers": servers, "away_s": away_s})
        return consumer


def connect(kafka: Kafka, options: Mapping[str, Any]) -> KafkaConsumer:
    """A consumer that has met a broker within `CONNECT_MS`.

    Raises AwayError where brokers are away, SourceError with the reason where they refuse.
    """
    obstacles_met = obstacles(options)
    if len(obstacles_met) == len(kafka.bootstrap_servers):
        raise _blocked(obstacles_met)
    clients: list[KafkaNetClient] = []

    def client(**config: Any) -> KafkaNetClient:
        clients.append(KafkaNetClient(**config))
        if not frames_changed():
            from detector.sources.kafka.frames import read_frames

            read_frames(clients[-1])
        return clients[-1]

    settings = {
        "group_id": kafka.group,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",  # every position is found in `placement`
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "max_poll_records": kafka.max_records,
        "max_partition_fetch_bytes": PARTITION_BYTES,
        "fetch_max_bytes": FETCH_BYTES,
        "reconnect_backoff_max_ms": int(RETRY_S * 1000),
        "bootstrap_timeout_ms": CONNECT_MS,
        "metadata_max_age_ms": METADATA_MS,
        "heartbeat_interval_ms": HEARTBEAT_MS,
        "session_timeout_ms": kafka.session_s * 1_000,
        "kafka_client": client,
        **options,
    }
    try:
        with _Overheard() as overheard:
            try:
                return KafkaConsumer(**settings)
            except kafka_errors.KafkaTimeoutError:
                raise _unreached(kafka, options, overheard.error) from None
            except kafka_errors.KafkaError as error:
                raise SourceError(_why_refused(kafka, error)) from error
            except (AssertionError, ValueError) as error:
                raise SourceError(f"kafka: {explained(error)}") from error
    except BaseException:
        for item in clients:
            item.close()
        raise


@cache
def frames_changed() -> list[str]:
    """Returns what of the client a release has changed, so that it reads as it does."""
    try:
        from detector.sources.kafka.frames import changed

        return changed()
    except (ImportError, AttributeError) as error:
        return [str(error)]


def _unreached(kafka: Kafka, options: Mapping[str, Any], heard: Exception | None) -> SourceError:
    """Returns why time is up: brokers that let nobody in, or went away meanwhile."""
    if heard is None and (obstacles_met := obstacles(options)):
        return _blocked(obstacles_met)
    return SourceError(_why_refused(kafka, heard))


def _blocked(obstacles_met: Sequence[Obstacle]) -> SourceError:
    kind = AwayError if any(obstacle.passing for obstacle in obstacles_met) else SourceError
    return kind("; ".join(obstacle.text for obstacle in obstacles_met))


def _why_refused(kafka: Kafka, error: Exception | None) -> str:
    """The brokers can be reached, and let nobody in."""
    server, protocol = kafka.bootstrap_servers[0], kafka.security_protocol
    detail = f": {explained(error)}" if error else ""
    if not protocol.startswith("SASL"):
        return (
            f"kafka.security_protocol: {server} hangs up on {protocol}; does it demand a login "
            f"(SASL_PLAINTEXT, SASL_SSL)?{detail}"
        )
    if isinstance(error, kafka_errors.IllegalSaslStateError):
        return (
            f"kafka.security_protocol: {server} takes no login, and the setting is {protocol}; "
            f"say {protocol.replace('SASL_', '')}"
        )
    if isinstance(error, kafka_errors.UnsupportedSaslMechanismError):
        return f"kafka.sasl_mechanism: {kafka.sasl_mechanism} is not taken{detail}"
    return (
        f"kafka.sasl_username: the login of {kafka.sasl_username!r} by {kafka.sasl_mechanism} "
        f"is refused{detail}"
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


def demand_topics(
    consumer: KafkaConsumer, topics: Sequence[str], setting: str = "kafka.topics"
) -> None:
    """Raises SourceError where one of the topics is not there, and says which are.

    `setting` is the one that names the topics. Topics of `fleet` are made by whoever sets oopswatch
    up, so that the error says how.
    """
    there = _topics(consumer)
    missing = sorted(set(topics) - there)
    if missing:
        raise SourceError(
            f"{setting}: {', '.join(missing)} does not exist, or may not be "
            + (_how_to_make(missing[0]) if setting.startswith("fleet") else _others(there))
        )


def _others(there: set[str]) -> str:
    others = sorted(topic for topic in there if not topic.startswith("__"))
    return f"read: there are {', '.join(others[:20])}" if others else "read: the brokers show none"


def _how_to_make(topic: str) -> str:
    return (
        "seen: make it first, for example "
        f"kafka-topics.sh --create --topic {topic} --partitions 12 (docs/fleet.md)"
    )


def _topics(consumer: KafkaConsumer) -> set[str]:
    """Returns all topics that may be read; SourceError where the brokers do not tell.

    While a topic is made or deleted they answer with errors that pass: those are asked again.
    """
    pauses_s = iter(_TOPIC_PAUSES_S)
    while True:
        try:
            return set(consumer.topics())
        except kafka_errors.KafkaError as error:
            pause_s = next(pauses_s, None) if error.retriable else None
            if pause_s is None:
                raise SourceError(f"kafka.topics: {explained(error)}") from error
            time.sleep(pause_s)


def explained(error: Exception) -> str:
    """Returns what the client says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


# So often an idle source asks whether the brokers are still there.
PROBE_S = 5.0
# … and one that knows them to be away, or has met one that is.
RETRY_PROBE_S = 1.0
# Brokers are away once questions fail for so long without an answer: that one of several fails
# while the others answer, is no silence.
SILENT_S = 1.0

_AWAY = (
    kafka_errors.KafkaTimeoutError,
    kafka_errors.KafkaConnectionError,
    kafka_errors.NodeNotReadyError,
)


class BrokerHealth:
    """Health of the brokers: when one was heard, and since when they are away."""

    def __init__(self, kafka: Kafka, options: Mapping[str, Any], tell: SourceLog) -> None:
        self._servers = ", ".join(kafka.bootstrap_servers)
        self._options = options
        self._tell = tell
        self._away_since: float | None = None
        self._failed_since: float | None = None
        self._heard = self._asked = time.monotonic()

    @property
    def away(self) -> bool:
        """Returns whether no broker answers."""
        return self._away_since is not None

    def silent(self) -> bool:
        """Returns whether it is time to ask for a sign of life."""
        pause_s = PROBE_S if self._failed_since is None else RETRY_PROBE_S
        return time.monotonic() - max(self._heard, self._asked) > pause_s

    def ask(self, question: Callable[[], None]) -> None:
        """Asks the brokers something, and notes whether they answered."""
        self._asked = time.monotonic()
        try:
            question()
        except kafka_errors.KafkaError as error:
            self.survive(error)
        else:
            self.hear()

    def hear(self) -> None:
        """A broker answered."""
        self._heard = time.monotonic()
        self._failed_since = None
        if self._away_since is not None:
            away_s = round(self._heard - self._away_since, 1)
            self._away_since = None
            self._tell("broker_back", {"servers": self._servers, "away_s": away_s})

    def survive(self, error: Exception) -> None:
        """Notes an error that waiting mends; raises SourceError for any other."""
        passing = getattr(error, "retriable", False)
        if not (passing or isinstance(error, kafka_errors.NodeNotReadyError)):
            raise SourceError(f"kafka: {explained(error)}") from error
        self._asked = time.monotonic()
        if not isinstance(error, _AWAY):
            return
        if self._failed_since is None:
            self._failed_since = self._asked
        if self._away_since is None and self._asked - self._failed_since >= SILENT_S:
            self._away_since = self._heard
            reason = why_unreachable(self._options) or explained(error)
            self._tell(
                "broker_away", {"servers": self._servers, "error": reason, "retry_s": RETRY_S}
            )
