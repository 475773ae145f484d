"""A transaction that is refused, or never answered, is given up; who may go on begins anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest
from kafka import errors as kafka_errors

from detector.settings.kafka import Kafka
from detector.sources import LostPartitionsError, SourceError
from detector.sources.kafka import finding_producer
from detector.sources.kafka.finding_producer import FindingProducer

Fault = Callable[[], None]


def nothing() -> None:
    """All is well."""


class Client:
    """A producer of kafka-python; `faults` are what its commits of offsets do, in turn."""

    made = 0

    def __init__(self, faults: Iterator[Fault], init: Iterator[Fault]) -> None:
        Client.made += 1
        self._faults, self._init = faults, init
        self.closed = Event()

    def init_transactions(self) -> None:
        """The brokers know it, unless something is due here."""
        next(self._init, nothing)()

    def begin_transaction(self) -> None:
        """One is open."""

    def send(self, topic: str, *, value: bytes, key: bytes | None) -> None:
        """A record."""

    def flush(self, timeout: float) -> None:
        """All is sent."""

    def send_offsets_to_transaction(self, offsets: object, group: object) -> None:
        """Does what is due."""
        next(self._faults)()

    def commit_transaction(self) -> None:
        """It is through."""

    def abort_transaction(self) -> None:
        """It is not."""

    def close(self, timeout: float) -> None:
        """No more."""
        self.closed.set()


@pytest.fixture
def committing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], None]]:
    """A transaction after the other, of a member whose commits of offsets have faults."""

    def make(*faults: Fault, init: tuple[Fault, ...] = ()) -> Callable[[], None]:
        Client.made, left, begins = 0, iter(faults), iter(init)
        monkeypatch.setattr(finding_producer, "KafkaProducer", lambda **_: Client(left, begins))
        producer = FindingProducer(Kafka(), "a", 1)
        return lambda: producer.commit([("t", b"k", b"v")], {}, None)

    return make


def raising(error: Exception) -> Fault:
    """A fault that raises."""

    def fault() -> None:
        raise error

    return fault


def test_an_answer_that_never_comes_ends_the_transaction(committing: Any) -> None:
    """After as long as the brokers give it; the next one has a new client."""
    never = Event()
    commit = committing(never.wait, nothing)
    with pytest.raises(LostPartitionsError, match="no answer to send_offsets_to_transaction"):
        commit()
    commit()
    never.set()
    assert Client.made == 2


def test_a_member_that_the_group_does_not_know_any_more_ends(committing: Any) -> None:
    """Another process has its name: the line says so."""
    commit = committing(raising(kafka_errors.FencedInstanceIdError()))
    with pytest.raises(SourceError, match=r"fleet\.member: another process"):
        commit()


def test_a_member_behind_whom_another_producer_began_goes_on(committing: Any) -> None:
    """The group decides who ends; where it never does, three times are enough."""
    fenced = raising(kafka_errors.ProducerFencedError())
    commit = committing(fenced, fenced, nothing, fenced, fenced, fenced)
    for _ in range(2):
        with pytest.raises(LostPartitionsError):
            commit()
    commit()
    for _ in range(2):
        with pytest.raises(LostPartitionsError):
            commit()
    with pytest.raises(SourceError, match="another process"):
        commit()
    assert Client.made == 5


def test_an_error_of_the_brokers_is_no_end(committing: Any) -> None:
    """The transaction is aborted, the client stays."""
    commit = committing(raising(kafka_errors.UnknownMemberIdError()), nothing)
    with pytest.raises(LostPartitionsError):
        commit()
    commit()
    assert Client.made == 1


def test_brokers_that_do_not_answer_at_the_start_are_waited_for(committing: Any) -> None:
    """Nor is an answer waited for without end: the next transaction begins with a new client."""
    never = Event()
    init = (raising(kafka_errors.KafkaTimeoutError()), never.wait, nothing)
    commit = committing(nothing, init=init)
    for _ in range(2):
        with pytest.raises(LostPartitionsError, match="no transactions yet"):
            commit()
    commit()
    never.set()
    assert Client.made == 3


def test_brokers_that_refuse_transactions_at_the_start_end_it(committing: Any) -> None:
    """Waiting does not mend a permission."""
    refused = raising(kafka_errors.TransactionalIdAuthorizationFailedError())
    with pytest.raises(SourceError, match="kafka: no transactions: "):
        committing(init=(refused,))()
