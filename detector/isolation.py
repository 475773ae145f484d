"""Steps of a batch that may fail alone: what raises is undone and set aside, the rest goes
on.

A batch is tried as a whole first: nothing is guarded, and a raise ends it. Then it is taken again
with care: each step runs under a savepoint of its own, and the state of the parts that it changes
is marked before it, so that what raises leaves nothing behind but a `Rejected`. What is to be said
of a batch is said once it is stored. Faults of the store itself are not caught: they are nobody's
record, and end the process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from detector.keeper import Steps
from detector.model import Line, Match, Record, Rejected
from detector.store.errors import is_fault


class Rewindable(Protocol):
    """A part of the pipeline that holds state."""

    def mark(self) -> None:
        """The state is good as it is now."""
        ...

    def rewind(self) -> None:
        """Goes back to the state at the last mark."""
        ...


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """The source and the bytes of the record that a step works on."""

    source: str
    number: int
    value: bytes
    key: bytes | None = None


# What no record is the cause of, such as the tick of a clock.
NOWHERE = RecordPlace("", 0, b"")


def place_of(line: Line | Match, record: Record | None = None) -> RecordPlace | Record:
    """The record of a line; where that is gone, the line's place with its text."""
    if record is not None and (record.source, record.number) == (line.source, line.number):
        return record
    return RecordPlace(line.source, line.number, line.text.encode(errors="backslashreplace"))


def is_fatal(error: BaseException) -> bool:
    """Returns whether an error ends the batch, and is no fault of a record: the store's, or a
    signal's.
    """
    return is_fault(error) or not isinstance(error, Exception)


class Isolation:
    """The steps of one batch at a time.

    `careful` says that what raises is set aside; `stage` names the stage that is at work, for
    whoever reads what was set aside.
    """

    def __init__(self, journal: Steps) -> None:
        self.careful = False
        self.stage = "scan"
        self._journal = journal
        self._rejected: dict[tuple[str, int, str], Rejected] = {}
        self._news: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def begin(self, *, careful: bool) -> None:
        """A batch begins, for the first time or once more with care."""
        self.careful, self.stage = careful, "scan"
        self._rejected.clear()
        self._news.clear()

    def say(self, hook: Callable[..., None], *about: Any) -> None:
        """Something to be said once the batch is stored."""
        self._news.append((hook, about))

    def tell(self) -> None:
        """The batch is stored: says what there is to say."""
        news, self._news = self._news, []
        for hook, about in news:
            hook(*about)

    def step(
        self,
        place: RecordPlace | Record,
        work: Callable[[], None],
        parts: Collection[Rewindable] = (),
    ) -> bool:
        """Does some work; False where it raised and was set aside. `parts` are those that it
        changes. What waits in the journal until now belongs to the step around this one.
        """
        if not self.careful:
            work()
            return True
        stage, self.stage = self.stage, "store"
        self._journal.flush()
        self.stage = stage
        text = len(self._news)
        for part in parts:
            part.mark()
        try:
            with self._journal.savepoint():
                work()
                self.stage = "store"
                self._journal.flush()
        except BaseException as error:
            if is_fatal(error):
                raise
            for part in parts:
                part.rewind()
            del self._news[text:]
            self.reject(place, reason_of(error))
            return False
        return True

    def reject(self, place: RecordPlace | Record, reason: str) -> None:
        """Sets aside what is at a place: once for each stage."""
        row = Rejected(place.source, place.number, self.stage, reason, place.value, place.key)
        self._rejected.setdefault((row.source, row.number, row.stage), row)

    @property
    def rejected(self) -> list[Rejected]:
        """Returns what was set aside in this batch."""
        return list(self._rejected.values())


def reason_of(error: BaseException) -> str:
    """An error in one line, and where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code if trace is not None else None
    place = f" in {code.co_name}" if code is not None else ""
    return f"{type(error).__name__}: {error}{place}"
