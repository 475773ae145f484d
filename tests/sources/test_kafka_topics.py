"""Topics are asked for again while brokers answer with errors that pass."""

from __future__ import annotations

import pytest
from kafka import errors as kafka_errors

from detector.sources.errors import SourceError
from detector.sources.kafka import connect


class Consumer:
    """A consumer that answers with errors first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def topics(self) -> set[str]:
        """The next error, or the topics."""
        if self.errors:
            raise self.errors.pop(0)
        return {"kernel-logs", "__consumer_offsets"}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asks again at once."""
    monkeypatch.setattr(connect, "_TOPIC_PAUSES_S", (0.0, 0.0))


def test_an_error_that_passes_is_waited_out():
    """A topic that is being made is there a moment later."""
    consumer = Consumer(*[kafka_errors.UnknownTopicOrPartitionError("kernel-logs")] * 2)
    connect.demand_topics(consumer, ["kernel-logs"])


def test_an_error_that_stays_is_one_line():
    """After the last try the setting is named, and what the broker says."""
    consumer = Consumer(*[kafka_errors.UnknownTopicOrPartitionError("kernel-logs")] * 3)
    with pytest.raises(SourceError, match=r"^kafka\.topics: .*kernel-logs"):
        connect.demand_topics(consumer, ["kernel-logs"])


def test_an_error_that_waiting_does_not_mend_is_said_at_once():
    """A refused log-in is not asked again."""
    consumer = Consumer(kafka_errors.TopicAuthorizationFailedError("kernel-logs"))
    with pytest.raises(SourceError, match=r"^kafka\.topics: "):
        connect.demand_topics(consumer, ["kernel-logs"])
    assert consumer.errors == []


def test_a_missing_topic_is_named_beside_those_that_are_there():
    """The line names what is missing and what there is, without Kafka's own."""
    with pytest.raises(SourceError, match=r"kmsg does not exist.*there are kernel-logs$"):
        connect.demand_topics(Consumer(), ["kmsg"])
