"""Takes from inside kafka-python what it does not offer: topic ids, fresh metadata, a
rebalance, a goodbye.

Where another release lacks one of them, the function says how oopswatch does without.
"""

from __future__ import annotations

import base64
import uuid
from contextlib import suppress

from kafka import KafkaConsumer, KafkaProducer
from kafka import errors as kafka_errors

_NONE = uuid.UUID(int=0)


def topic_id(consumer: KafkaConsumer, topic: str) -> str | None:
    """Kafka's id of a topic by the last metadata, written as Kafka's own tools write it.

    None where there is no such topic now, where brokers tell none (before 2.8), and from a client
    that keeps none: positions are then of a name, as they were before.
    """
    try:
        topic_id_read = consumer._cluster.topic_id(topic)  # noqa: SLF001
    except AttributeError:
        return None
    if topic_id_read is None or topic_id_read == _NONE:
        return None
    return base64.urlsafe_b64encode(topic_id_read.bytes).decode().rstrip("=")


def has_topic(consumer: KafkaConsumer, topic: str) -> bool:
    """Returns whether the last metadata names a topic."""
    try:
        return consumer._cluster.partitions_for_topic(topic) is not None  # noqa: SLF001
    except AttributeError:
        return True


def finds_topic(producer: KafkaProducer, topic: str, within_ms: int) -> bool:
    """Asks brokers for a topic, for a while; returns whether they name it.

    Raises KafkaError where they refuse it. True with a client that cannot be asked.
    """
    try:
        producer._wait_on_metadata(topic, within_ms)  # noqa: SLF001
    except kafka_errors.KafkaTimeoutError:
        return False
    except AttributeError:
        return True
    return True


def refresh(consumer: KafkaConsumer, within_ms: int) -> None:
    """Asks a broker for metadata; any answer will do.

    Raises KafkaTimeoutError where none comes.
    """
    with suppress(kafka_errors.BrokerResponseError):
        answer = consumer._cluster.request_update()  # noqa: SLF001
        consumer._net.run(consumer._manager.wait_for, answer, within_ms)  # noqa: SLF001


def rejoin(consumer: KafkaConsumer) -> None:
    """Has the group share out anew, at the next poll.

    The client asks for it where a topic's partitions change, unless the topic comes back while the
    group is sharing out without it: then it takes the new partitions for shared out.
    """
    with suppress(AttributeError):
        consumer._coordinator.request_rejoin()  # noqa: SLF001


def let_leave(consumer: KafkaConsumer) -> None:
    """Has a static member say goodbye when it is closed, as administrators have it leave
    (KIP-345).

    By itself it says none, and its partitions stand still until the group misses it; so it is with
    a client that decides otherwise.
    """
    with suppress(AttributeError):
        consumer._coordinator.is_dynamic_member = lambda: True  # noqa: SLF001
