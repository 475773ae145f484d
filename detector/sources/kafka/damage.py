"""Handles batches that cannot be read: each is fetched once more, then skipped, or its
partition stands still; all others go on.

In: what a poll brought. Out: the same without what is damaged. A partition that stands still is
tried again each minute: somebody may have deleted the records, or mended the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kafka import KafkaConsumer, TopicPartition

from detector.sources.kafka.chunks import Damaged
from detector.sources.kafka.connect import SourceLog
from detector.sources.kafka.placer import name_of

# The bytes may have been damaged on their way.
TRIES = 2
# So often a partition that stands still is tried again.
RETRY_S = 60.0


@dataclass(slots=True)
class _Stand:
    """A partition at damage: how often it was fetched there, and whether it stands still since."""

    offset: int
    tries: int = 0
    stopped: bool = False
    retry_s: float = 0.0


class DamagedPartitions:
    """The partitions of one consumer that are at damage. `skipped` counts the offsets that were
    passed over; `stopped` the partitions that stand still.
    """

    def __init__(
        self,
        consumer: KafkaConsumer,
        tell: SourceLog,
        on_corrupt: Literal["stop", "skip"],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.skipped = 0
        self._consumer = consumer
        self._tell = tell
        self._skips = on_corrupt == "skip"
        self._clock = clock
        self._stands: dict[TopicPartition, _Stand] = {}

    @property
    def stopped(self) -> int:
        """Returns how many partitions stand still."""
        return sum(stand.stopped for stand in self._stands.values())

    def take(
        self, polled: Mapping[TopicPartition, Sequence[Any]]
    ) -> dict[TopicPartition, Sequence[Any]]:
        """Deals with what is damaged; returns the rest."""
        whole: dict[TopicPartition, Sequence[Any]] = {}
        for partition, records in polled.items():
            damaged = records[-1].value if isinstance(records[-1].value, Damaged) else None
            if kept := records[:-1] if damaged else records:
                whole[partition] = kept
            if damaged is not None:
                self._meet(partition, damaged)
            elif partition in self._stands:
                self._pass(partition)
        return whole

    def retry(self) -> None:
        """Tries those again that have stood still for a while."""
        now = self._clock()
        for partition, stand in self._stands.items():
            if stand.stopped and now >= stand.retry_s:
                stand.retry_s = now + RETRY_S
                self._consumer.resume(partition)

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """They are another member's now."""
        for partition in partitions:
            self._stands.pop(partition, None)

    def _meet(self, topic_partition: TopicPartition, damaged: Damaged) -> None:
        stand = self._stands.get(topic_partition)
        if stand is None or stand.offset != damaged.offset:
            self._stands[topic_partition] = stand = _Stand(damaged.offset)
        stand.tries += 1
        if stand.tries < TRIES:
            return
        target = self._behind(topic_partition, damaged) if self._skips else None
        if target is not None:
            self.skipped += target - damaged.offset
            self._consumer.seek(topic_partition, target)
            del self._stands[topic_partition]
            self._say("batch_skipped", topic_partition, damaged, following=target)
            return
        self._consumer.pause(topic_partition)
        if not stand.stopped:
            stand.stopped, stand.retry_s = True, self._clock() + RETRY_S
            self._say("partition_stopped", topic_partition, damaged)

    def _behind(self, topic_partition: TopicPartition, damaged: Damaged) -> int | None:
        """Returns where what can be read begins again: the next batch of the same answer, else
        where the damaged one says that it ends, if Kafka has come so far.
        """
        if damaged.following is not None and damaged.following > damaged.offset:
            return damaged.following
        highwater = self._consumer.highwater(topic_partition)
        claimed = damaged.claimed
        if claimed is not None and highwater is not None and damaged.offset < claimed <= highwater:
            return claimed
        return None

    def _pass(self, topic_partition: TopicPartition) -> None:
        """What was damaged can be read, or is gone."""
        if self._stands.pop(topic_partition).stopped:
            self._tell("partition_resumed", {"partition": name_of(topic_partition)})

    def _say(
        self, event: str, topic_partition: TopicPartition, damaged: Damaged, **more: int
    ) -> None:
        fields = {
            "partition": name_of(topic_partition),
            "offset": damaged.offset,
            "error": damaged.reason,
        }
        self._tell(event, fields | more)
