"""A Kafka consumer group as a source: positions of the store first, manual commit after it.

In: topics, and where the store stands. Out: batches with a chunk for each record batch that Kafka
keeps (one for each partition where the settings or the client want it record by record); `commit`
tells the group what is stored. What happens on the way (brokers away, rebalances, positions that
the log no longer holds) is told to `on_event`; what cannot be mended by waiting is a SourceError.
Nothing else in oopswatch reads from Kafka.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Event
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka import __version__ as CLIENT_VERSION  # it is one  # noqa: N812
from kafka import errors as kafka_errors

from detector.scan import Chunk
from detector.settings.declared import Kafka
from detector.sources.errors import SourceError
from detector.sources.kafka.chunks import chunks_of
from detector.sources.kafka.connect import RETRY_S, connect, demand_topics, explained
from detector.sources.kafka.reach import why_unreachable
from detector.sources.kafka.security import client_settings

# How long one question to a broker may take while records wait: shorter than what a SIGTERM is
# given.
ASK_MS = 3_000
# So often an idle source asks whether the brokers are still there.
PROBE_S = 5.0
# … and one that knows them to be away.
RETRY_PROBE_S = 1.0

SourceLog = Callable[[str, Mapping[str, Any]], None]


class KafkaSource:
    """Reads topics as a member of a consumer group.

    `start_at(source)` is the store's position in "topic/partition" or None; where it is further
    than the group's committed offset it wins. `lost` counts the records that the log no longer held
    when they were to be read. `client` overrides options of the client.
    """

    def __init__(
        self,
        kafka: Kafka,
        *,
        start_at: Callable[[str], int | None],
        on_event: SourceLog,
        client: Mapping[str, Any] | None = None,
    ) -> None:
        self.lost = 0
        self._start_at = start_at
        self._tell = on_event
        self._earliest = kafka.auto_offset_reset == "earliest"
        self._servers = ", ".join(kafka.bootstrap_servers)
        self._poll_ms = kafka.poll_ms
        self._stopped = Event()
        self._stored: dict[str, int] = {}
        self._uncommitted: dict[TopicPartition, int] = {}
        self._committing = 0
        self._unplaced: set[TopicPartition] = set()
        self._moves: deque[tuple[str, list[TopicPartition]]] = deque()
        self._away_since: float | None = None
        self._heard = self._asked = time.monotonic()
        self._options = client_settings(kafka) | dict(client or {})
        self._consumer = connect(kafka, self._options)
        if kafka.batches:
            self._read_batches()
        try:
            # In this order: a list of topics that changes after the first join makes the group
            # share out anew at once.
            self._consumer.subscribe(
                list(kafka.topics), listener=_Listener(self._consumer, self._moves)
            )
            demand_topics(self._consumer, kafka.topics)
        except BaseException:
            self._consumer.close(autocommit=False, timeout_ms=0)
            raise

    def batches(self) -> Iterator[Sequence[Chunk]]:
        """Until `stop`: the next records of each partition, or an empty batch where none came
        within `poll_ms`.
        """
        while not self._stopped.is_set():
            yield self._poll()

    def commit(self, positions: Mapping[str, int]) -> None:
        """Tells the group what is stored. Where that fails, the next commit says it again; the
        store's positions hold meanwhile.
        """
        self._stored.update(positions)
        for source, position in positions.items():
            self._uncommitted[_partition(source)] = position
        if self._away_since is None and self._uncommitted and (positions or not self._committing):
            self._commit_soon()

    def stop(self) -> None:
        """Ends `batches` after the poll or the batch at hand."""
        self._stopped.set()

    def close(self) -> None:
        """Commits what is stored and leaves the group, so that others take over at once."""
        self.stop()
        if self._uncommitted and self._away_since is None:
            self._commit()
        self._consumer.close(autocommit=False, timeout_ms=ASK_MS)

    def lag(self) -> dict[str, int]:
        """Records between the position and the end of each partition, as the last fetch saw
        them.
        """
        ends = {
            one: self._consumer.highwater(one)
            for one in self._consumer.assignment() - self._unplaced
        }
        return {
            _name(one): max(0, end - self._stored.get(_name(one), end))
            for one, end in ends.items()
            if end is not None
        }

    def _read_batches(self) -> None:
        """Has the client hand out whole batches, where it is the client that this was written
        for.
        """
        try:
            from detector.sources.kafka import whole_batches

            changed = whole_batches.changed()
        except (ImportError, AttributeError) as error:
            changed = [str(error)]
        if changed:
            self._tell("kafka_client_changed", {"version": CLIENT_VERSION, "changed": changed})
        else:
            whole_batches.hand_out_batches(self._consumer)

    def _poll(self) -> list[Chunk]:
        try:
            polled = self._consumer.poll(timeout_ms=self._poll_ms)
        except (kafka_errors.OffsetOutOfRangeError, kafka_errors.LogTruncationError) as error:
            self._unplaced |= _partitions_of(error)
            polled = {}
        except kafka_errors.KafkaError as error:
            self._survive(error)
            polled = {}
        self._tell_moves()
        if self._unplaced and self._away_since is None:
            self._ask(self._place)
        if polled:
            self._hear()
        elif time.monotonic() - max(self._heard, self._asked) > (
            PROBE_S if self._away_since is None else RETRY_PROBE_S
        ):
            self._ask(self._probe)
        return [
            chunk for one, records in polled.items() for chunk in chunks_of(_name(one), records)
        ]

    def _tell_moves(self) -> None:
        """What the group decided during the last poll."""
        while self._moves:
            what, partitions = self._moves.popleft()
            if what == "assigned":
                self._unplaced |= set(partitions)
            else:
                self._unplaced -= set(partitions)
            self._uncommitted = {
                one: end for one, end in self._uncommitted.items() if one not in partitions
            }
            names = sorted(map(_name, partitions))
            if names:
                self._tell("rebalance", {"revoked": [], "assigned": [], what: names})

    def _place(self) -> None:
        """Seeks each new partition to where the store or the group stands, and lets it flow."""
        partitions = sorted(self._unplaced & self._consumer.assignment())
        beginnings = self._consumer.beginning_offsets(partitions, timeout_ms=ASK_MS)
        ends = self._consumer.end_offsets(partitions, timeout_ms=ASK_MS)
        for one in partitions:
            committed = self._consumer.committed(one, timeout_ms=ASK_MS)
            position = self._start(one, committed, beginnings[one], ends[one])
            self._consumer.seek(one, position)
            self._consumer.resume(one)
            self._unplaced.discard(one)
            self._stored[_name(one)] = position
            if position != committed:
                self._uncommitted[one] = position
        self._unplaced &= self._consumer.assignment()

    def _start(self, one: TopicPartition, committed: int | None, beginning: int, end: int) -> int:
        """The furthest of what is known to be done. What lies outside the log is told.

        Before its beginning: retention was faster. After its end: the topic was made anew, and all
        of it is unread.
        """
        name = _name(one)
        known = [
            known
            for known in (self._stored.get(name, self._start_at(name)), committed)
            if known is not None
        ]
        if not known:
            return beginning if self._earliest else end
        position = max(known)
        if beginning <= position <= end:
            return position
        self.lost += max(0, beginning - position)
        self._tell(
            "position_out_of_range",
            {"partition": name, "position": position, "beginning": beginning},
        )
        return beginning

    def _probe(self) -> None:
        """Asks something that only a broker can answer."""
        self._consumer.end_offsets(
            sorted(self._consumer.assignment()) or self._any_partition(), timeout_ms=ASK_MS
        )

    def _any_partition(self) -> list[TopicPartition]:
        return [TopicPartition(topic, 0) for topic in sorted(self._consumer.subscription())]

    def _ask(self, question: Callable[[], None]) -> None:
        self._asked = time.monotonic()
        try:
            question()
        except kafka_errors.KafkaError as error:
            self._survive(error)
        else:
            self._hear()

    def _commit_soon(self) -> None:
        """Sends the commit on its way: before the next poll, so that who gets a partition in the
        next rebalance begins behind it.
        """
        offsets = self._offsets()
        if not offsets:
            return
        try:
            self._consumer.commit_async(offsets, self._answered)
        except kafka_errors.KafkaError as error:
            self._survive(error)
        else:
            self._committing += 1

    def _answered(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata], answer: object
    ) -> None:
        """The brokers' answer to a commit; the client tells it in its next poll."""
        self._committing -= 1
        if isinstance(answer, kafka_errors.KafkaError) and not isinstance(answer, _SHARED_OUT):
            self._survive(answer)
            return
        for one, offset in offsets.items():
            if self._uncommitted.get(one) == offset.offset:
                del self._uncommitted[one]

    def _commit(self) -> None:
        """Commits and waits for it."""
        try:
            if offsets := self._offsets():
                self._consumer.commit(offsets, timeout_ms=ASK_MS)
        except _SHARED_OUT:
            pass
        except kafka_errors.KafkaError as error:
            self._survive(error)
            return
        self._uncommitted.clear()

    def _offsets(self) -> dict[TopicPartition, OffsetAndMetadata]:
        assigned = self._consumer.assignment()
        return {
            one: OffsetAndMetadata(end, "", -1)
            for one, end in self._uncommitted.items()
            if one in assigned
        }

    def _survive(self, error: Exception) -> None:
        """What waiting mends is waited for, and told once; the rest is a SourceError."""
        if not (
            getattr(error, "retriable", False) or isinstance(error, kafka_errors.NodeNotReadyError)
        ):
            raise SourceError(f"kafka: {explained(error)}") from error
        self._asked = time.monotonic()
        if self._away_since is None and isinstance(error, _AWAY):
            self._away_since = self._heard
            self._tell(
                "broker_away",
                {
                    "servers": self._servers,
                    "error": why_unreachable(self._options) or explained(error),
                    "retry_s": RETRY_S,
                },
            )

    def _hear(self) -> None:
        self._heard = time.monotonic()
        if self._away_since is not None:
            away_s = round(self._heard - self._away_since, 1)
            self._away_since = None
            self._tell("broker_back", {"servers": self._servers, "away_s": away_s})


# The group is being shared out anew; who gets a partition begins at what its store or the group
# knows.
_SHARED_OUT = (kafka_errors.RebalanceInProgressError, kafka_errors.CommitFailedError)
_AWAY = (
    kafka_errors.KafkaTimeoutError,
    kafka_errors.KafkaConnectionError,
    kafka_errors.NodeNotReadyError,
)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python ships no types
    """Notes what the group decides. It runs in the client's own thread and may ask the broker
    nothing, so a new partition is held still

    until the source has found its position.
    """

    def __init__(
        self, consumer: KafkaConsumer, moves: deque[tuple[str, list[TopicPartition]]]
    ) -> None:
        self._consumer = consumer
        self._moves = moves

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        self._moves.append(("revoked", list(revoked)))

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        for one in assigned:
            self._consumer.pause(one)
            self._consumer.seek(one, 0)
        self._moves.append(("assigned", list(assigned)))


def _partitions_of(error: Exception) -> set[TopicPartition]:
    """The partitions whose positions the log does not hold: both errors carry a mapping by
    partition.
    """
    for argument in (*error.args, *vars(error).values()):
        if isinstance(argument, Mapping):
            return set(argument)
    return set()


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}/{partition.partition}"


def _partition(name: str) -> TopicPartition:
    topic, _, number = name.rpartition("/")
    return TopicPartition(topic, int(number))
