"""A Kafka consumer group as a source: the history's positions first, commits after it.

In: topics, and where the history stands. Out: batches with a chunk for each record batch that Kafka
keeps (one for each partition where the settings or the client want it record by record); `commit`
tells the group what is stored. What happens on the way (brokers away, rebalances, positions that
the log no longer holds) is told to `on_event`; what cannot be mended by waiting is a SourceError.
Nothing else in oopswatch reads from Kafka.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from threading import Event
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka import __version__ as CLIENT_VERSION  # it is one  # noqa: N812
from kafka import errors as kafka_errors

from detector.scan import Chunk
from detector.settings.kafka import Kafka
from detector.sources.errors import LostPartitionsError
from detector.sources.kafka.chunks import chunks_of
from detector.sources.kafka.connect import (
    BrokerHealth,
    SourceLog,
    demand_topics,
    frames_changed,
    wait_for_brokers,
)
from detector.sources.kafka.damage import DamagedPartitions
from detector.sources.kafka.internals import refresh
from detector.sources.kafka.membership import SHARED_OUT, Listener, Membership, fenced
from detector.sources.kafka.pace import Pace
from detector.sources.kafka.placement import PositionStore
from detector.sources.kafka.placer import Committing, OnPlaced, Placer, name_of, partition_of
from detector.sources.kafka.reach import client_settings

# How long one question to a broker may take while records wait: shorter than what a SIGTERM is
# given.
ASK_MS = 3_000
# A topic that is made anew while nobody looks answers under its old name: what was polled is of the
# topic that it is taken for only where that was seen so lately.
TOPICS_S = 1.0
# How long the last commit, and then the goodbye, may take.
LAST_MS = 1_500


class KafkaSource:
    """Reads topics as a member of a consumer group.

    It waits for the brokers, and reads once it knows a history to go on from (`resume`). Events are
    told to `on_event`. `client` overrides options of the client; `sole` says that
    the group has no other member, which an embedded broker cannot tell; `setting` is the one that
    names the topics.
    """

    def __init__(
        self,
        kafka: Kafka,
        *,
        on_event: SourceLog,
        client: Mapping[str, Any] | None = None,
        sole: bool = False,
        setting: str = "kafka.topics",
    ) -> None:
        self._tell = on_event
        self._kafka = kafka
        self._pace = Pace(kafka.max_records)
        self._stopped = Event()
        self._closed = False
        self._uncommitted: dict[TopicPartition, int] = {}
        self._committing = 0
        self._looked = 0.0
        self._placer: Placer | None = None
        options = client_settings(kafka) | dict(client or {})
        self._consumer = wait_for_brokers(kafka, options, on_event)
        self._brokers = BrokerHealth(kafka, options, on_event)
        self._member = Membership(self._consumer, kafka.group, options, sole=sole)
        self._listener = Listener(self._consumer)
        self._damage = DamagedPartitions(self._consumer, on_event, kafka.on_corrupt)
        self._adapt_client(kafka)
        try:
            # In this order: a list of topics that changes after the first join makes the group
            # share out anew at once.
            self._consumer.subscribe(list(kafka.topics), listener=self._listener)
            self.demand(kafka.topics, setting)
        except BaseException:
            self._consumer.close(autocommit=False, timeout_ms=0)
            raise

    def demand(self, topics: Sequence[str], setting: str) -> None:
        """Raises SourceError where topics that a setting names are not there."""
        demand_topics(self._consumer, topics, setting)

    def resume(
        self,
        positions: PositionStore,
        committing: Committing | None = None,
        on_placed: OnPlaced | None = None,
    ) -> None:
        """Names the history whose positions are gone on from, before the first batch. `committing`
        may put another commit in the place of its own, `on_placed` gets where partitions are
        placed.
        """
        self._placer = Placer(
            self._consumer,
            self._member,
            positions,
            self._tell,
            topics=self._kafka.topics,
            earliest=self._kafka.auto_offset_reset == "earliest",
            committing=committing,
            on_placed=on_placed,
        )

    @property
    def lost(self) -> int:
        """The number of records that retention deleted before they were read."""
        return self._placer.lost if self._placer else 0

    @property
    def skipped(self) -> int:
        """The number of offsets that were passed over, in batches that cannot be read."""
        return self._damage.skipped

    @property
    def stopped_partitions(self) -> int:
        """The number of partitions that stand still at a batch that cannot be read."""
        return self._damage.stopped

    @property
    def _placed(self) -> Placer:
        assert self._placer is not None, "resume comes first"
        return self._placer

    def batches(self) -> Iterator[Sequence[Chunk]]:
        """Until `stop`: the next records of each partition, or an empty batch where none came
        within `poll_ms`.
        """
        while not self._stopped.is_set():
            chunks = self._poll()
            begun = time.thread_time()
            yield chunks
            if chunks:
                self._pace.note(time.thread_time() - begun)

    def confirm(self) -> None:
        """Makes sure that what was read last is still this member's to store.

        Raises LostPartitionsError where the group may have given it to another one.
        """
        stored = self._placed.stored.items()
        self._member.confirm(self._offsets({partition_of(n): at for n, at in stored}), ASK_MS)

    def drop(self, reason: LostPartitionsError) -> None:
        """Forgets what was read and not stored: it is read again, by whoever owns it."""
        self._tell("ownership_lost", {"error": str(reason)})
        self._placed.hold(self._consumer.assignment())

    def commit(self, positions: Mapping[str, int]) -> None:
        """Tells the group what is stored. Where that fails, the next commit says it again; the
        store's positions hold meanwhile.
        """
        self._placed.stored.update(positions)
        for source, position in positions.items():
            self._uncommitted[partition_of(source)] = position
        if not self._brokers.away and self._uncommitted and (positions or not self._committing):
            self._commit_soon()

    def stop(self) -> None:
        """Ends `batches` after the poll or the batch at hand."""
        self._stopped.set()

    def close(self) -> None:
        """Commits what is stored and leaves the group, so that others take over at once."""
        self.stop()
        if self._closed:
            return
        self._closed = True
        try:
            if self._uncommitted and not self._brokers.away:
                self._commit()
        finally:
            self._member.leave(LAST_MS)

    def lag(self) -> dict[str, int]:
        """Records between the position and the end of each partition, as the last fetch saw
        them.
        """
        placed = self._placed
        ends = {
            name_of(item): self._consumer.highwater(item)
            for item in self._consumer.assignment() - placed.unplaced
        }
        return {
            name: max(0, end - placed.stored.get(name, end))
            for name, end in ends.items()
            if end is not None
        }

    def _adapt_client(self, kafka: Kafka) -> None:
        """Has the client hand out whole batches, and what cannot be read as such, where it is the
        client that this was written for.
        """
        try:
            from detector.sources.kafka import whole_batches

            changed = whole_batches.changed()
        except (ImportError, AttributeError) as error:
            changed = [str(error)]
        if changed or frames_changed():
            fields = {"version": CLIENT_VERSION, "changed": [*changed, *frames_changed()]}
            self._tell("kafka_client_changed", fields)
        if changed:
            return
        if kafka.batches:
            whole_batches.hand_out_batches(self._consumer)
        else:
            whole_batches.hand_out_records(self._consumer)

    def _poll(self) -> list[Chunk]:
        placer, brokers = self._placed, self._brokers
        polled: Mapping[TopicPartition, Any] = {}
        try:
            polled = self._consumer.poll(self._kafka.poll_ms, self._pace.records)
        except (kafka_errors.OffsetOutOfRangeError, kafka_errors.LogTruncationError) as error:
            placer.hold(_partitions_of(error))
        except kafka_errors.KafkaError as error:
            self._survive(error)
        self._take_moves()
        if polled:
            brokers.hear()
            self._look_at_topics()
            polled = self._damage.take(polled)
        self._damage.retry()
        placer.watch_topics()
        chunks = [
            chunk
            for partition, records in polled.items()
            if partition not in placer.unplaced
            for chunk in chunks_of(name_of(partition), records)
        ]
        if placer.due and not brokers.away:
            brokers.ask(self._place)
        if brokers.silent():
            brokers.ask(lambda: refresh(self._consumer, ASK_MS))
        return chunks if chunks and self._owned() else []

    def _owned(self) -> bool:
        """Whether what was polled is this member's: a process that was stopped may have lost it."""
        try:
            self.confirm()
        except LostPartitionsError as lost:
            self.drop(lost)
            return False
        return True

    def _look_at_topics(self) -> None:
        """Asks for the topics' ids anew, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._looked > TOPICS_S:
            self._looked = now
            self._brokers.ask(lambda: refresh(self._consumer, ASK_MS))

    def _place(self) -> None:
        for partition, position in self._placed.place(ASK_MS).items():
            self._uncommitted[partition] = position

    def _take_moves(self) -> None:
        """What the group decided during the last poll."""
        moves = self._listener.moves
        while moves:
            what, partitions = moves.popleft()
            if what == "assigned":
                self._placed.assigned(partitions)
            else:
                self._placed.revoked(partitions)
                self._damage.forget(partitions)
            self._uncommitted = {
                partition: end
                for partition, end in self._uncommitted.items()
                if partition not in partitions
            }
            names = sorted(map(name_of, partitions))
            if names:
                self._tell("rebalance", {"revoked": [], "assigned": [], what: names})

    def _commit_soon(self) -> None:
        """Sends the commit on its way: before the next poll, so that who gets a partition in the
        next rebalance begins behind it.
        """
        offsets = self._offsets(self._uncommitted)
        if not offsets:
            return
        try:
            self._member.commit_soon(offsets, self._answered)
        except kafka_errors.KafkaError as error:
            self._survive(error)
        else:
            self._committing += 1

    def _answered(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata], answer: object
    ) -> None:
        """The brokers' answer to a commit; the client tells it in its next poll."""
        self._committing -= 1
        if isinstance(answer, kafka_errors.KafkaError) and not isinstance(answer, SHARED_OUT):
            self._survive(answer)
            return
        for partition, offset in offsets.items():
            if self._uncommitted.get(partition) == offset.offset:
                del self._uncommitted[partition]

    def _commit(self) -> None:
        """Commits for the last time, and waits for it: what fails here, the history still knows."""
        with suppress(kafka_errors.KafkaError):
            if offsets := self._offsets(self._uncommitted):
                self._consumer.commit(offsets, timeout_ms=LAST_MS)

    def _offsets(
        self, positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        assigned = self._consumer.assignment()
        return {
            partition: self._placed.committing(partition, end)
            for partition, end in positions.items()
            if partition in assigned
        }

    def _survive(self, error: Exception) -> None:
        if isinstance(error, kafka_errors.FencedInstanceIdError):
            raise fenced(self._member.name) from error
        self._brokers.survive(error)


def _partitions_of(error: Exception) -> set[TopicPartition]:
    """The partitions whose positions the log does not hold: both errors carry a mapping by
    partition.
    """
    for argument in (*error.args, *vars(error).values()):
        if isinstance(argument, Mapping):
            return set(argument)
    return set()
