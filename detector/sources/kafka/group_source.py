"""Reads topics as a member of a group that keeps the positions itself.

It is for a reader without a history, whose offsets are committed in the transaction of what it
produces (KIP-447).

In: topics. Out: batches of chunks; for each partition that the group gave, up to where its findings
were `sent` and its noise was `counted`, which the metadata of the commits say. What was read and
not committed is read again, by whoever owns the partition then: `lost_partitions` says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition

from detector.model import Position
from detector.sources.errors import LostPartitionsError
from detector.sources.kafka.consumer import ASK_MS, KafkaSource
from detector.sources.kafka.placement import Committed
from detector.sources.kafka.placer import name_of, partition_of

# What stands in the metadata of a commit where a history has its identity.
_HISTORY = "detect"


class GroupPositions:
    """The positions that the group keeps, as a history would: `last` is the commit of each
    partition that this member owns.
    """

    history = _HISTORY
    copied_us: int | None = None

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self.last: dict[str, Committed] = {}
        self.placed: dict[str, Committed] = {}

    def get(self, source: str) -> Position | None:
        """The position of the group in a partition; None where nobody committed."""
        commit = self._consumer.committed(partition_of(source), metadata=True, timeout_ms=ASK_MS)
        if commit is None:
            self.last.pop(source, None)
            return None
        known = Committed.read(commit.offset, commit.metadata)
        if known.sent is None or known.counted is None:  # another reader's
            known = replace(known, sent=known.offset, counted=known.offset)
        self.last[source] = known
        return Position(known.offset, known.topic_id, known.counted or 0)

    def reads(self, topic: str) -> bool:
        """Nothing is known without asking: the commits tell."""
        del topic
        return False

    def place(self, positions: Mapping[str, Position]) -> None:
        """Stores nothing: the group keeps the positions; see `set_placed`."""

    def set_placed(self, positions: Mapping[str, Position]) -> None:
        """Notes from where partitions are read now.

        Where that is not where the commit stands, nothing of what lies behind it is known to be
        sent.
        """
        for source, position in positions.items():
            known = self.last.get(source)
            if known is None or known.offset != position.offset:
                known = Committed(position.offset, position.topic_id, _HISTORY)
                known = replace(known, counted=position.counted, sent=position.counted)
            self.last[source] = self.placed[source] = known

    def committing(self, source: str, commit: Committed) -> Committed:
        """The commit outside of a transaction: that of the last transaction once more."""
        return replace(self.last.get(source, commit), member=commit.member)


class GroupSource(KafkaSource):
    """A member of a group without a history.

    `lost_partitions` says that partitions went to others, or have to be read again: whoever reads
    starts anew (`again`).
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lost_partitions = False
        self.positions = GroupPositions(self._consumer)
        self._own: set[str] = set()
        self.resume(self.positions, self.positions.committing, self._take_positions)

    def group(self) -> Any:
        """The member as the group knows it now: to be asked before a batch is taken in, so that a
        transaction of it is refused once the group has gone on.
        """
        return self._consumer.group_metadata()

    def again(self) -> None:
        """Has all partitions placed anew, at what is committed."""
        self.lost_partitions = False
        self._own.clear()
        self.positions.placed.clear()
        self._placed.hold(self._consumer.assignment())

    def take_placed(self) -> Mapping[str, Committed]:
        """The partitions that were placed since the last call, with what is known of them."""
        placed, self.positions.placed = self.positions.placed, {}
        return placed

    def offsets(self, points: Mapping[str, Committed]) -> dict[TopicPartition, OffsetAndMetadata]:
        """Commits for a transaction: of the partitions that are this member's."""
        owned = self._consumer.assignment() - self._placed.unplaced
        commits = {}
        for name, point in points.items():
            partition = partition_of(name)
            if partition in owned:
                commit = self._placed.about(partition, point)
                commits[partition] = OffsetAndMetadata(commit.offset, commit.metadata(), -1)
        return commits

    def committed(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """A transaction with these commits is through."""
        for partition, commit in offsets.items():
            name = name_of(partition)
            self.positions.last[name] = Committed.read(commit.offset, commit.metadata)
            self._uncommitted.pop(partition, None)

    def read_to(self, positions: Mapping[str, int]) -> None:
        """Notes how far partitions are read, for `lag`."""
        self._placed.stored.update(positions)

    def drop(self, reason: LostPartitionsError) -> None:
        """The group may have gone on without this member."""
        super().drop(reason)
        self.lost_partitions = True

    def _take_moves(self) -> None:
        if any(what == "revoked" and gone for what, gone in self._listener.moves):
            self.lost_partitions = True
        super()._take_moves()

    def _take_positions(self, positions: Mapping[str, Position]) -> None:
        names: Collection[str] = positions.keys()
        if self._own & set(names):  # held meanwhile: a topic was made anew, a batch was damaged
            self.lost_partitions = True
        self._own |= set(names)
        self.positions.set_placed(positions)
