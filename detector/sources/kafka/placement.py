"""Decides from where a partition is read, by what the history, the group and Kafka know.

Pure. A position belongs to a topic's id, and a committed offset says which history stands behind
it. So these are told apart: a topic that was made anew, a history that was set back (its
write-ahead log deleted, a backup restored), a fresh file, a partition that another member read with
a history of its own, records that retention deleted. What this history misses is read again, as far
as Kafka still holds it: identity makes that safe, and noise below `Position.counted` is not counted
again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from detector.model import Position

# How a partition came to its place. Nothing is said where it simply goes on.
PlacementReason = Literal[
    "topic_recreated",
    "history_set_back",
    "history_fresh",
    "history_elsewhere",
    "position_set",
    "log_truncated",
    "begins_late",
]


class PositionStore(Protocol):
    """The positions of a history, for a source: see `detector.store.positions.Positions`."""

    @property
    def history(self) -> str:
        """The identity of the history, which its backups share."""
        ...

    @property
    def copied_us(self) -> int | None:
        """The time of the backup that this history is (µs since 1970); None where it is none."""
        ...

    def get(self, source: str) -> Position | None:
        """The position of one source; None where nothing of it was read."""
        ...

    def reads(self, topic: str) -> bool:
        """True where any partition of a topic has a position."""
        ...

    def place(self, positions: Mapping[str, Position]) -> None:
        """Stores from where sources are read from now on, all together."""
        ...


@dataclass(frozen=True, slots=True)
class PartitionLog:
    """The log of a partition in Kafka: the offsets from `beginning` up to `end`.

    `topic_id` names its topic; None where brokers tell none.
    """

    beginning: int
    end: int
    topic_id: str | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """The commit of a partition: an offset, and metadata that say who committed it.

    The metadata name the topic, the history and the member; all three are None where somebody else
    committed. A reader without a history says also up to where its findings are sent, and its noise
    is counted.
    """

    offset: int
    topic_id: str | None = None
    history: str | None = None
    member: str | None = None
    sent: int | None = None
    counted: int | None = None

    def metadata(self) -> str:
        """The metadata of the commit: JSON, so that more may be added."""
        names = {"topic": self.topic_id, "history": self.history, "member": self.member}
        bounds = {"sent": self.sent, "counted": self.counted}
        fields = {name: value for name, value in names.items() if value}
        return json.dumps(fields | {name: at for name, at in bounds.items() if at is not None})

    @classmethod
    def read(cls, offset: int, metadata: str | None) -> Committed:
        """Parses a commit; of one that is not ours, nothing but its offset is known."""
        try:
            names = json.loads(metadata or "")
        except ValueError:
            return cls(offset)
        if not isinstance(names, dict):
            return cls(offset)

        def text(name: str) -> str | None:
            value = names.get(name)
            return value if isinstance(value, str) else None

        def number(name: str) -> int | None:
            value = names.get(name)
            return value if isinstance(value, int) and value >= 0 else None

        identity = text("topic"), text("history"), text("member")
        return cls(offset, *identity, sent=number("sent"), counted=number("counted"))


@dataclass(frozen=True, slots=True)
class HistoryReader:
    """A reader: the identity of its history, and its name in the group.

    `alone` says that the group had no other member when it joined; `begun` that its history has a
    position in another partition of the topic. `earliest` is the setting for what nobody has read.
    """

    history: str
    member: str | None
    alone: bool
    begun: bool
    earliest: bool = True

    def behind(self, committed: Committed) -> bool:
        """True for a commit of what this history, or one in its place, had read."""
        if committed.history is None:
            return self.alone
        if committed.history == self.history:
            return True
        return self.member is not None and committed.member == self.member


@dataclass(frozen=True, slots=True)
class Placement:
    """From where a partition is read, why where it is not simply the next record, and how many
    records retention deleted before they were read. `before` is where it stood until now.
    """

    position: Position
    reason: PlacementReason | None = None
    before: int | None = None
    lost: int = 0


def place(
    stored: Position | None, committed: Committed | None, log: PartitionLog, reader: HistoryReader
) -> Placement:
    """The place of a partition."""
    known = stored.offset if stored else committed.offset if committed else None
    anew = False
    if stored and _differ(stored.topic_id, log.topic_id):
        stored, anew = None, True
    if committed and (
        _differ(committed.topic_id, log.topic_id) or (anew and not committed.topic_id)
    ):
        committed, anew = None, True
    if stored is None and committed is None:
        at = log.beginning if anew or reader.earliest or reader.begun else log.end
        position = Position(at, log.topic_id, at)
        late = at == log.beginning > 0
        reason: PlacementReason | None = (
            "topic_recreated" if anew else "begins_late" if late else None
        )
        return Placement(position, reason, known)
    if stored is None:
        assert committed is not None
        placement = _without_history(committed, log, reader)
    else:
        placement = _with_history(stored, committed, log, reader)
    placement = _within(placement, log)
    return placement if not anew else _renamed(placement, known)


def _without_history(committed: Committed, log: PartitionLog, reader: HistoryReader) -> Placement:
    """The group has a position, and this history has none."""
    ours = reader.member is not None and committed.member == reader.member
    if reader.earliest and not reader.begun and (ours or reader.alone):
        at = log.beginning
        return Placement(Position(at, log.topic_id, at), "history_fresh", committed.offset)
    at = committed.offset
    return Placement(Position(at, log.topic_id, at), "history_elsewhere")


def _with_history(
    stored: Position, committed: Committed | None, log: PartitionLog, reader: HistoryReader
) -> Placement:
    """This history goes on where it stands, unless another one has read further."""
    topic_id = log.topic_id or stored.topic_id
    here = Position(stored.offset, topic_id, max(stored.counted, 0), stored.set_us)
    if stored.set_us is not None:
        return Placement(here, "position_set", committed.offset if committed else None)
    # A position waits for a message that is torn over two batches; what the group knows does not.
    ours = committed is not None and committed.history == reader.history
    reached = max(stored.offset, stored.counted) if ours else stored.offset
    if committed is None or committed.offset <= reached:
        return Placement(here)
    if reader.behind(committed):
        return Placement(here, "history_set_back", committed.offset)
    at = committed.offset
    return Placement(
        Position(at, topic_id, max(at, stored.counted)), "history_elsewhere", stored.offset
    )


def _within(placement: Placement, log: PartitionLog) -> Placement:
    """What lies outside the log is brought into it: retention was faster, or Kafka lost its end."""
    position = placement.position
    at = position.offset
    if at > log.end and placement.reason == "position_set":
        end = Position(log.end, position.topic_id, min(position.counted, log.end))
        return Placement(end, "position_set", placement.before)
    if at > log.end and log.topic_id:
        again = Position(log.beginning, position.topic_id, log.end)
        return Placement(again, "log_truncated", at)
    if at > log.end:  # brokers without topic ids: only a topic made anew is shorter
        again = Position(log.beginning, position.topic_id, log.beginning)
        return Placement(again, "topic_recreated", at)
    if at < log.beginning:
        kept = Position(log.beginning, position.topic_id, position.counted, position.set_us)
        lost = 0 if placement.reason == "position_set" else log.beginning - at
        return Placement(kept, placement.reason, placement.before, lost)
    return placement


def _renamed(placement: Placement, before: int | None) -> Placement:
    return Placement(placement.position, "topic_recreated", before, placement.lost)


def _differ(item: str | None, other: str | None) -> bool:
    return item is not None and other is not None and item != other
