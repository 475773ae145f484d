"""A member of a consumer group: what the group decides, whether it still counts us in,
goodbye.

A process that was stopped for longer than the session goes on as if nothing had happened, while
others own its partitions. So a member holds a lease: from the moment at which it asked something
that only a member is answered. Where the lease is old, the group is asked again before anything is
stored.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from threading import Event
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import KafkaAdminClient

from detector.sources.errors import LostPartitionsError, SourceError
from detector.sources.kafka.internals import let_leave

# The group is being shared out anew, or has gone on without us; who gets a partition begins at what
# its history or the group knows.
SHARED_OUT = (
    kafka_errors.RebalanceInProgressError,
    kafka_errors.CommitFailedError,
    kafka_errors.UnknownMemberIdError,
    kafka_errors.IllegalGenerationError,
)
# An administrator's question waits no longer than others.
_BOUNDED = {"bootstrap_timeout_ms": 3_000, "request_timeout_ms": 3_000}
# A lease is good for a third of the session: what is stored within it is stored by an owner, and
# two thirds are left for the transaction itself.
LEASE_PART = 3
# The moment that a commit's answer is waited for; a broker nearby needs a hundredth of it.
ANSWER_S = 0.1


def elapsed_s() -> float:
    """A clock that also runs while the machine is suspended, where the system has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """Lease of a member: how long ago the group confirmed it. Pure: time is an argument."""

    def __init__(self, session_s: float) -> None:
        self._good_s = session_s / LEASE_PART
        self._asked_s: float | None = None

    def renew(self, asked_s: float) -> None:
        """A question asked at this time was answered as a member is."""
        self._asked_s = max(asked_s, self._asked_s or asked_s)

    def end(self) -> None:
        """Membership is no longer known."""
        self._asked_s = None

    def holds(self, now_s: float) -> bool:
        """Returns whether what is owned needs no confirmation yet."""
        return self._asked_s is not None and 0 <= now_s - self._asked_s < self._good_s


class Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python ships no types
    """Notes what the group decides. It runs in the client's own thread and may ask the broker
    nothing, so a new partition is held still until the source has found its position.
    """

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self.moves: deque[tuple[str, list[TopicPartition]]] = deque()

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:  # noqa: D102
        self.moves.append(("revoked", list(revoked)))

    def on_partitions_lost(self, lost: Sequence[TopicPartition]) -> None:  # noqa: D102
        self.moves.append(("revoked", list(lost)))

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:  # noqa: D102
        for topic_partition in assigned:
            self._consumer.pause(topic_partition)
            self._consumer.seek(topic_partition, 0)
        self.moves.append(("assigned", list(assigned)))


class Membership:
    """One consumer as a member of its group."""

    def __init__(
        self,
        consumer: KafkaConsumer,
        group: str,
        admin: Mapping[str, Any],
        clock: Callable[[], float] = elapsed_s,
        *,
        sole: bool = False,
    ) -> None:
        self._consumer = consumer
        self._sole = sole
        self._group = group
        self._admin = {k: v for k, v in admin.items() if k in KafkaAdminClient.DEFAULT_CONFIG}
        self._clock = clock
        self._lease = Lease(consumer.config["session_timeout_ms"] / 1_000)
        self.name: str | None = consumer.config["group_instance_id"]

    def commit_soon(
        self,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        answered: Callable[[Mapping[TopicPartition, OffsetAndMetadata], object], None],
    ) -> None:
        """Sends a commit on its way, and waits a moment for its answer: a member that is stopped
        before the group knows leaves the batch to another one. `answered` gets what came of it, in
        one of the next polls.
        """
        asked_s = self._clock()

        def note(sent: Mapping[TopicPartition, OffsetAndMetadata], answer: object) -> None:
            if not isinstance(answer, Exception):
                self._lease.renew(asked_s)
            elif isinstance(answer, SHARED_OUT):
                self._lease.end()
            answered(sent, answer)

        known = Event()
        self._consumer.commit_async(dict(offsets), note).add_both(lambda _: known.set())
        known.wait(ANSWER_S)

    def confirm(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], within_ms: int) -> None:
        """Makes sure that the group counts us in, by a commit where that was not seen lately.

        Raises LostPartitionsError where it does not, or where no broker can tell.
        """
        asked_s = self._clock()
        if self._lease.holds(asked_s):
            return
        try:
            self._consumer.commit(dict(offsets), timeout_ms=within_ms)
        except kafka_errors.KafkaError as error:
            self._lease.end()
            if isinstance(error, kafka_errors.FencedInstanceIdError):
                raise fenced(self.name) from error
            raise LostPartitionsError(f"{type(error).__name__}: {error}") from error
        self._lease.renew(asked_s)

    def alone(self) -> bool:
        """Returns whether the group has no other member now.

        Raises KafkaError where brokers are away.
        """
        if self._sole:
            return True
        try:
            with closing(KafkaAdminClient(**self._admin, **_BOUNDED)) as admin:
                group = admin.describe_groups([self._group])[self._group]
        except (kafka_errors.UnsupportedVersionError, kafka_errors.IncompatibleBrokerVersion):
            return True
        ours = self._consumer.group_metadata()
        return all(member["member_id"] == ours.member_id for member in group["members"])

    def leave(self, within_ms: int) -> None:
        """Says goodbye and closes the consumer, so that others take over at once."""
        let_leave(self._consumer)
        self._consumer.close(autocommit=False, timeout_ms=within_ms)


def fenced(name: str | None) -> SourceError:
    """Another process has the same name in the group."""
    return SourceError(
        f"kafka.group: another process with this store's path on this host reads as {name}: two "
        "processes may not share one history; stop one of them"
    )
