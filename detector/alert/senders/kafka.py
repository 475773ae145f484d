"""The topic of incidents, for every program that reads Kafka: the documented JSON, keyed by
incident, for compaction.

In: a notice. Out: one record for each incident that the notice holds, written by an idempotent
producer and acknowledged by all replicas. The producer is made at the first notice, and anew after
a failure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from kafka import KafkaProducer
from kafka import errors as kafka_errors
from pydantic import Field, FilePath, SecretStr, ValidationError

from detector.alert.notice import Action, Notice, SendOutcome
from detector.alert.payload import SCHEMA, notice_item, subject_item
from detector.alert.senders.options import Options, hidden, read, redacted
from detector.render.escape import inert
from detector.settings.group import BrokerAddresses, Topic
from detector.settings.kafka import Kafka
from detector.sources.errors import SourceError
from detector.sources.kafka.reach import client_settings

_DETAIL_LIMIT = 300
# What no second attempt would mend. Authorisation is among them: who mends it knows, and says
# `notify --test`.
_FINAL = (
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.RecordListTooLargeError,
    kafka_errors.InvalidTopicError,
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
)


class KafkaOptions(Options):
    """A Kafka topic."""

    bootstrap_servers: BrokerAddresses = Field(description="brokers to begin with, as host:port")
    topic: Topic = Field(
        default="oopswatch.incidents",
        description="topic to write to; with cleanup.policy=compact it keeps the last word",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="how to talk to the brokers"
    )
    ssl_cafile: FilePath | None = Field(
        default=None, description="certificates of the authorities to trust, PEM"
    )
    ssl_certfile: FilePath | None = Field(default=None, description="own certificate, PEM")
    ssl_keyfile: FilePath | None = Field(
        default=None, description="key of the own certificate, PEM"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, description="how to log in"
    )
    sasl_username: str | None = Field(default=None, description="who logs in")
    sasl_password: SecretStr | None = hidden("the password of the login", optional=True)


class KafkaTopic:
    """Writes notices to one topic."""

    kind = "kafka"
    repeat_s: float | None = None
    actions: frozenset[Action] = frozenset({"fire", "update", "acknowledge", "resolve"})

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self._options = read(KafkaOptions, table, where)
        if self._options.title_template or self._options.body_template:
            raise ValueError(
                f"{where}: title_template and body_template: a topic carries data, not words"
            )
        self._client = _client_settings(self._options, where)
        self._producer: KafkaProducer | None = None

    def send(self, notice: Notice, now_us: int) -> SendOutcome:  # noqa: ARG002
        """One record for each incident; delivered when all are acknowledged."""
        given = False
        try:
            producer = self._connected()
            futures = []
            for key, value, headers in records(notice):
                futures.append(
                    producer.send(self._options.topic, value=value, key=key, headers=headers)
                )
                given = True
            for future in futures:
                future.get(self._options.timeout_s)
        except _FINAL as error:
            return SendOutcome("refused", self._detail(error))
        except (kafka_errors.KafkaError, OSError, ValueError, AssertionError) as error:
            self.close()
            return SendOutcome("unknown" if given else "retry", self._detail(error))
        return SendOutcome(
            "delivered",
            f"{self._options.topic}: {len(futures)} {'record' if len(futures) == 1 else 'records'}",
        )

    def close(self) -> None:
        """Lets the producer go; what it still held is given up."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(kafka_errors.KafkaError):
                producer.close(timeout=0)

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            wait_ms = int(self._options.timeout_s * 1000)
            self._producer = KafkaProducer(
                **self._client,
                enable_idempotence=True,
                acks="all",
                max_block_ms=wait_ms,
                delivery_timeout_ms=wait_ms,
                request_timeout_ms=max(wait_ms // 2, 1),
                linger_ms=0,
                bootstrap_timeout_ms=wait_ms,
                allow_auto_create_topics=False,
            )
        return self._producer

    def _detail(self, error: Exception) -> str:
        text = " ".join(str(error).split()) or type(error).__name__
        return (
            f"{self._options.topic}: "
            + inert(redacted(text, self._options.secrets()))[:_DETAIL_LIMIT]
        )


def records(notice: Notice) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """(key, value, headers) for each incident of a notice: the notice's own fields, and of the
    incidents that one.
    """
    item = notice_item(notice)
    shared = [("oopswatch-schema", SCHEMA.encode()), ("oopswatch-action", notice.action.encode())]
    made = []
    for subject in notice.subjects:
        value = json.dumps(item | {"incidents": [subject_item(subject)]}).encode()
        made.append((subject.id.encode(), value, [*shared, ("incident-id", subject.id.encode())]))
    return made


def _client_settings(options: KafkaOptions, where: str) -> dict[str, Any]:
    """Returns how to talk to the brokers, by the same settings as the input's."""
    names = options.model_fields_set & Kafka.model_fields.keys()
    try:
        return client_settings(Kafka(**{name: getattr(options, name) for name in names}))
    except ValidationError as error:
        raise ValueError(
            f"{where}: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
        ) from None
    except SourceError as error:
        raise ValueError(f"{where}: {str(error).removeprefix('kafka.')}") from None
