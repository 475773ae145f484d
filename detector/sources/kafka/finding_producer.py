"""Produces findings and commits their offsets in one Kafka transaction: both, or neither.

In: records for topics, commits, the member that read. Out: nothing, or a refusal: the group has
gone on without this member (LostPartitionsError), or another process has its name (SourceError).
The transactional id is the member's, so that a process that is started again ends what the one
before left open; the brokers end it by themselves after `fleet.transaction_s`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from threading import Thread
from typing import Any

from kafka import KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors

from detector.settings.kafka import Kafka
from detector.sources.errors import LostPartitionsError, SourceError
from detector.sources.kafka.connect import explained
from detector.sources.kafka.reach import client_settings

# How long a topic's metadata may take.
_WAIT_MS = 30_000
# How long a broker is sought for a new client: a SIGTERM that comes meanwhile waits so long.
_BOOTSTRAP_MS = 3_000
_LINGER_MS = 5
Produced = tuple[str, bytes | None, bytes]

# Another producer began under the same name, or the brokers gave up a transaction.
_SUCCEEDED = (kafka_errors.ProducerFencedError, kafka_errors.InvalidProducerEpochError)
# So often in a row a member begins anew behind that: whom the group knows goes on.
_MOST_SUCCEEDED = 3


class FindingProducer:
    """A transactional producer of one member of a group."""

    def __init__(self, kafka: Kafka, member: str, transaction_s: int) -> None:
        self._kafka = kafka
        self._member = member
        self._transaction_s = transaction_s
        self._producer: KafkaProducer | None = None
        self._begun_once = False
        self._succeeded = 0

    def commit(
        self,
        records: Iterable[Produced],
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        group: Any,
    ) -> None:
        """One transaction: records (topic, key, value) and offsets. Raises LostPartitionsError
        where it was refused, or not answered (then all of it is there, or nothing), SourceError
        where this member may not go on.

        Of two processes with one name the group fences the one that joined first. So a producer is
        begun at its first transaction only, behind the join, and one that another producer
        succeeded is begun again by whom the group still knows: one of the two goes on.
        """
        try:
            self._begin()
            assert self._producer is not None
            self._producer.begin_transaction()
            self._send(records)
            self._send_offsets(offsets, group)
            self._within(self._producer.commit_transaction)
            self._succeeded = 0
        except kafka_errors.FencedInstanceIdError as error:
            self._abort()
            raise self._fenced() from error
        except _SUCCEEDED as error:
            self._drop()
            self._succeeded += 1
            if self._succeeded >= _MOST_SUCCEEDED:
                raise self._fenced() from error
            raise LostPartitionsError(f"{type(error).__name__}: {explained(error)}") from error
        except kafka_errors.KafkaTimeoutError as error:
            self._drop()
            raise LostPartitionsError(f"{type(error).__name__}: {explained(error)}") from error
        except kafka_errors.KafkaError as error:
            self._abort()
            raise LostPartitionsError(f"{type(error).__name__}: {explained(error)}") from error

    def close(self) -> None:
        """Ends; no transaction is open."""
        self._drop(3)

    def _send(self, records: Iterable[Produced]) -> None:
        assert self._producer is not None
        for topic, key, value in records:
            self._producer.send(topic, value=value, key=key)
        # The brokers give the transaction up after so long: longer waits serve nobody. A client
        # that lost its broker may wait without end.
        self._producer.flush(timeout=self._transaction_s)

    def _send_offsets(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: Any
    ) -> None:
        assert self._producer is not None
        self._within(self._producer.send_offsets_to_transaction, dict(offsets), group)

    def _abort(self) -> None:
        """Ends the transaction without its records. A client that cannot go on behind it is
        dropped, and the next transaction begins with a new one.
        """
        try:
            if self._producer is not None:
                self._within(self._producer.abort_transaction)
        except (kafka_errors.KafkaError, RuntimeError):
            self._drop()

    def _within(self, call: Callable[..., None], *arguments: Any) -> None:
        """Calls what the client waits for without end where it lost its coordinator: after what
        the brokers give a transaction, it has failed. Raises what the call does, and
        KafkaTimeoutError.
        """
        failed: list[BaseException] = []

        def work() -> None:
            try:
                call(*arguments)
            except BaseException as error:  # noqa: BLE001  # it is raised again below
                failed.append(error)

        thread = Thread(target=work, name=call.__name__, daemon=True)
        thread.start()
        thread.join(self._transaction_s)
        if thread.is_alive():
            raise kafka_errors.KafkaTimeoutError(f"no answer to {call.__name__}")
        if failed:
            raise failed[0]

    def _drop(self, within_s: float = 0) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(kafka_errors.KafkaError):
                producer.close(timeout=within_s)

    def _begin(self) -> None:
        """A producer, once the brokers have ended what the one before left open. Raises
        LostPartitionsError where waiting may help.
        """
        if self._producer is not None:
            return
        producer: KafkaProducer | None = None
        try:
            producer = KafkaProducer(
                **client_settings(self._kafka),
                transactional_id=f"{self._kafka.group}-{self._member}",
                transaction_timeout_ms=self._transaction_s * 1_000,
                compression_type="lz4",
                linger_ms=_LINGER_MS,
                max_block_ms=_WAIT_MS,
                bootstrap_timeout_ms=_BOOTSTRAP_MS,
            )
            self._within(producer.init_transactions)
        except kafka_errors.KafkaError as error:
            if producer is not None:
                with suppress(kafka_errors.KafkaError):
                    producer.close(timeout=0)
            if isinstance(error, _SUCCEEDED):  # `commit` decides on a name that is taken
                raise
            # Brokers that are away come back, those that refuse at the start will not.
            if self._begun_once or error.retriable:
                raise LostPartitionsError(f"no transactions yet: {explained(error)}") from error
            raise SourceError(f"kafka: no transactions: {explained(error)}") from error
        self._producer, self._begun_once = producer, True

    def _fenced(self) -> SourceError:
        return SourceError(
            f"fleet.member: another process writes as {self._member} in group "
            f"{self._kafka.group}: nothing of what was in hand is lost, it goes on there; give "
            "each process on one machine a name of its own"
        )
