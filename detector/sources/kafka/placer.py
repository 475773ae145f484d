"""Finds for each new partition from where it is read, and has it flow from there.

It asks Kafka and the history, has `placement` decide, says what is out of the ordinary, and stores
the decision before the first record is read. It also sees when a topic is made anew under the
reader, or is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition

from detector.model import Position
from detector.sources.kafka.connect import SourceLog
from detector.sources.kafka.internals import has_topic, rejoin, topic_id
from detector.sources.kafka.membership import Membership
from detector.sources.kafka.placement import (
    Committed,
    HistoryReader,
    PartitionLog,
    Placement,
    PositionStore,
    place,
)

_SET_BACK = "its write-ahead log (-wal) was deleted, or an older copy was put in its place"

# What a reader without a history puts in the place of a commit, and where it hears what was placed.
Committing = Callable[[str, Committed], Committed]
OnPlaced = Callable[[Mapping[str, Position]], None]


class Placer:
    """The partitions of one consumer, and where each of them stands.

    `unplaced` are those that are held still until their position is found; `stored` is the position
    of all others, by name, which the source moves on. `lost` counts the records that retention
    deleted before they were read.
    """

    def __init__(
        self,
        consumer: KafkaConsumer,
        member: Membership,
        positions: PositionStore,
        tell: SourceLog,
        *,
        topics: Iterable[str],
        earliest: bool,
        committing: Committing | None = None,
        on_placed: OnPlaced | None = None,
    ) -> None:
        self._committing, self._on_placed = committing, on_placed
        self.unplaced: set[TopicPartition] = set()
        self.stored: dict[str, int] = {}
        self.lost = 0
        self._consumer, self._member, self._positions, self._tell = (
            consumer,
            member,
            positions,
            tell,
        )
        self._earliest = earliest
        self._begun = {topic: positions.reads(topic) for topic in topics}
        # Whether others were in the group when this member joined: asked of a history that is new.
        self._alone = False if all(self._begun.values()) else None
        self._joined = False
        self._topic_ids: dict[str, str] = {}
        self._gone: set[str] = set()

    @property
    def due(self) -> bool:
        """True where there is something to ask the brokers."""
        return bool(self._placeable()) or (self._joined and self._alone is None)

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """The group gave partitions to this member; they are paused."""
        self._joined = True
        self.unplaced |= set(partitions)

    def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """The group took partitions away."""
        self.unplaced -= set(partitions)
        for partition in partitions:
            self.stored.pop(name_of(partition), None)

    def hold(self, partitions: Collection[TopicPartition]) -> None:
        """Stops partitions until they are placed anew."""
        held = set(partitions) & self._consumer.assignment()
        self._consumer.pause(*held)
        self.unplaced |= held

    def watch_topics(self) -> None:
        """Holds the partitions of a topic that was made anew, or is gone; has one that is back
        shared out.
        """
        for topic in [topic for topic in self._gone if has_topic(self._consumer, topic)]:
            self._gone.discard(topic)
            rejoin(self._consumer)
        for topic, known in list(self._topic_ids.items()):
            now = topic_id(self._consumer, topic)
            if now == known:
                continue
            if now is None:
                self._tell("topic_gone", {"topic": topic})
                self._gone.add(topic)
            del self._topic_ids[topic]
            self.hold([item for item in self._consumer.assignment() if item.topic == topic])

    def place(self, within_ms: int) -> dict[TopicPartition, int]:
        """Seeks each new partition to its place, which it returns, and lets it flow. Raises
        KafkaError where the brokers do not tell.
        """
        if self._alone is None:
            self._alone = self._member.alone()
        partitions = self._placeable()
        beginnings = self._consumer.beginning_offsets(partitions, timeout_ms=within_ms)
        ends = self._consumer.end_offsets(partitions, timeout_ms=within_ms)
        placements = {
            partition: self._place(partition, beginnings[partition], ends[partition], within_ms)
            for partition in partitions
        }
        self._store(placements)
        if self._on_placed is not None:
            self._on_placed({name_of(item): placed.position for item, placed in placements.items()})
        for item, placement in placements.items():
            position = placement.position
            self._consumer.seek(item, position.offset)
            self._consumer.resume(item)
            self.stored[name_of(item)] = position.offset
            if position.topic_id:
                self._topic_ids[item.topic] = position.topic_id
            self._begun[item.topic] = True
        self.unplaced &= self._consumer.assignment() - set(partitions)
        return {item: placement.position.offset for item, placement in placements.items()}

    def _placeable(self) -> list[TopicPartition]:
        """Those of a topic that is there: of one that is gone, no broker answers anything."""
        unplaced = self.unplaced & self._consumer.assignment() if self.unplaced else ()
        return sorted(item for item in unplaced if has_topic(self._consumer, item.topic))

    def committing(self, topic_partition: TopicPartition, offset: int) -> OffsetAndMetadata:
        """The commit of a partition: the offset, and who stands behind it."""
        commit = self.about(topic_partition, Committed(offset))
        if self._committing is not None:
            commit = self._committing(name_of(topic_partition), commit)
        return OffsetAndMetadata(commit.offset, commit.metadata(), -1)

    def about(self, topic_partition: TopicPartition, commit: Committed) -> Committed:
        """A commit with the topic's id, and who stands behind it."""
        known = self._topic_ids.get(topic_partition.topic)
        history, member = self._positions.history, self._member.name
        return replace(commit, topic_id=known, history=history, member=member)

    def _place(
        self, topic_partition: TopicPartition, beginning: int, end: int, within_ms: int
    ) -> Placement:
        committed = self._consumer.committed(topic_partition, metadata=True, timeout_ms=within_ms)
        begun = self._begun.get(topic_partition.topic, False)
        commit = Committed.read(committed.offset, committed.metadata) if committed else None
        if commit and commit.history is None and begun:
            self._alone = self._member.alone()  # an older oopswatch committed: who may it have been
        reader = HistoryReader(
            self._positions.history,
            self._member.name,
            alone=bool(self._alone),
            begun=begun,
            earliest=self._earliest,
        )
        log = PartitionLog(beginning, end, topic_id(self._consumer, topic_partition.topic))
        return place(self._positions.get(name_of(topic_partition)), commit, log, reader)

    def _store(self, placements: dict[TopicPartition, Placement]) -> None:
        # What is counted ahead of a position is cut only once the position was placed.
        changed = {
            name_of(item): placement.position
            for item, placement in placements.items()
            if placement.position != self._positions.get(name_of(item))
            or placement.position.counted > placement.position.offset
        }
        copied_us = self._positions.copied_us
        if changed:
            self._positions.place(changed)
        for item, placement in placements.items():
            self._say(name_of(item), placement, copied_us)

    def _say(self, name: str, placement: Placement, copied_us: int | None) -> None:
        """Says what is out of the ordinary."""
        at = placement.position.offset
        if placement.reason is not None:
            fields = {"partition": name, "before": placement.before, "position": at}
            if placement.reason == "history_set_back":
                fields["cause"] = _cause(copied_us)
            self._tell(placement.reason, fields)
        if placement.lost:
            self.lost += placement.lost
            self._tell(
                "position_out_of_range",
                {"partition": name, "position": at - placement.lost, "beginning": at},
            )


def name_of(partition: TopicPartition) -> str:
    """The name of a partition as a source: "topic/partition"."""
    return f"{partition.topic}/{partition.partition}"


def partition_of(name: str) -> TopicPartition:
    """The partition that a source is."""
    topic, _, number = name.rpartition("/")
    return TopicPartition(topic, int(number))


def _cause(copied_us: int | None) -> str:
    """Why a history may be behind the group."""
    if copied_us is None:
        return _SET_BACK
    made = datetime.fromtimestamp(copied_us // 1_000_000, UTC)
    return f"a backup of {made:%Y-%m-%dT%H:%M:%SZ} was restored"
