"""State for netconsole and /dev/kmsg records: fragments to join, record numbers to compare.

Comes in: Drafts with their stream (whose records they are). Goes out: joined Drafts, the number of
records that are missing. All memory is bounded, and what the bounds push out is returned, not lost.

Source: send_fragmented_body() in drivers/net/netconsole.c (v6.13): a piece's offset and the total
count the bytes of the whole body.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from detector.model import Record
from detector.parse import kmsg
from detector.parse.draft import Draft, cleaned

_PENDING_BOUND = 256
_HOLD_US = 10_000_000
_STREAM_BOUND = 10_000
_REORDER = 64
# The kernel numbers its records in a u64 (kernel/printk/printk_ringbuffer.h, v5.10); no run of
# numbers loses more than this between two records that came: a greater step is another run.
_SEQUENCE_BOUND = 1 << 64
_STEP_BOUND = 1 << 32

StreamId = tuple[str, bytes | None, str | None]
"""Source, key and host: records of one kernel carry one run of numbers."""
_StreamKey = tuple[StreamId, int | None, int | None]


@dataclass(slots=True)
class _Pieces:
    """One message's pieces by their offset, since when it waits, and the record and Draft that
    came first.
    """

    draft: Draft
    record: Record
    total: int
    since_us: int
    pieces: dict[int, str] = field(default_factory=dict)
    size: int = 0

    def add(self, offset: int, text: str) -> None:
        """Takes a piece; a later copy of the same one is as good."""
        piece = text[: self.total - offset]
        self.size += len(piece) - len(self.pieces.get(offset, ""))
        self.pieces[offset] = piece

    def joined(self) -> str:
        """The text as far as it is known without a hole."""
        text = ""
        for offset in sorted(self.pieces):
            if offset > len(text):
                break
            text = text[:offset] + self.pieces[offset]
        return text

    def is_whole(self) -> bool:
        """Returns whether nothing is missing. A file of lines has lost the last byte,
        the line end.
        """
        return self.size >= self.total - 1 and len(self.joined()) >= self.total - 1

    def copy(self) -> _Pieces:
        """The message as far as it has come, to go back to."""
        return replace(self, pieces=dict(self.pieces))

    def finished(self) -> Draft:
        """The joined message as a Draft."""
        self.draft.text = cleaned(kmsg.unescaped(kmsg.without_dictionary(self.joined())))
        self.draft.fragment = None
        return self.draft


class Fragments:
    """Messages that netconsole cut to fit its packets, until all pieces are here, in whatever
    order they come.
    """

    def __init__(self) -> None:
        self._pending: dict[_StreamKey, _Pieces] = {}
        self._done: dict[_StreamKey, None] = {}
        self.mark()

    def mark(self) -> None:
        """The state is good as it is now: `rewind` goes back to it."""
        self._marked = (
            {name: pending.copy() for name, pending in self._pending.items()},
            dict(self._done),
        )

    def rewind(self) -> None:
        """Goes back to the state at the last mark."""
        self._pending, self._done = self._marked
        self.mark()

    def add(
        self, stream: StreamId, draft: Draft, record: Record, now_us: int
    ) -> tuple[Record, Draft] | None:
        """Takes a piece. Returns the whole message once it is complete, and nothing for packets
        that come again after that.
        """
        offset, total = draft.fragment or (0, 0)
        name = (stream, draft.sequence, draft.kernel_time_us)
        if name in self._done:
            return None
        message = self._pending.setdefault(name, _Pieces(draft, record, total, now_us))
        message.add(offset, draft.text)
        if not message.is_whole():
            return None
        del self._pending[name]
        self._done[name] = None
        if len(self._done) > _PENDING_BOUND:
            del self._done[next(iter(self._done))]
        return message.record, message.finished()

    def overdue(self, now_us: int) -> list[tuple[Record, Draft]]:
        """Messages that waited too long or are one too many, with the text that came, oldest
        first.
        """
        late: list[tuple[Record, Draft]] = []
        for name, message in list(self._pending.items()):
            if len(self._pending) <= _PENDING_BOUND and now_us - message.since_us < _HOLD_US:
                break
            del self._pending[name]
            late.append((message.record, message.finished()))
        return late

    def waiting(self) -> Iterator[tuple[str, int]]:
        """Source and number of the record that brought the first piece of each message."""
        for message in self._pending.values():
            yield message.record.source, message.record.number

    def flush(self) -> list[tuple[Record, Draft]]:
        """All that is still incomplete, with the text that came."""
        held = [(message.record, message.finished()) for message in self._pending.values()]
        self._pending.clear()
        return held

    def __bool__(self) -> bool:
        return bool(self._pending)


class Sequences:
    """The highest number that the kernel gave in each stream, and the record (line, offset)
    that brought it.
    """

    def __init__(self) -> None:
        self._highest: dict[StreamId, tuple[int, int]] = {}
        self._before: dict[StreamId, tuple[int, int] | None] = {}

    def mark(self) -> None:
        """The state is good as it is now: `rewind` goes back to it."""
        self._before.clear()

    def rewind(self) -> None:
        """Goes back to the state at the last mark."""
        for stream, highest in self._before.items():
            self._highest.pop(stream, None)
            if highest is not None:
                self._highest[stream] = highest
        self._before.clear()

    def missing(self, stream: StreamId, sequence: int, number: int) -> int:
        """Returns how many numbers never came before this record: at least, for records between
        the two that were not looked at may have had them.

        `number` is the record's own, by which what lies between two of them is known. A fall is
        reordering when small, else a new boot.
        """
        if sequence >= _SEQUENCE_BOUND:
            return 0
        highest, before = self._highest.get(stream, (None, 0))
        if highest is None or not highest - _REORDER <= sequence <= highest:
            self._before.setdefault(stream, self._highest.get(stream))
            self._highest[stream] = sequence, number
            if len(self._highest) > _STREAM_BOUND:
                del self._highest[next(iter(self._highest))]
        if highest is None or not 0 < sequence - highest <= _STEP_BOUND:
            return 0
        return max(0, sequence - highest - max(1, number - before))
