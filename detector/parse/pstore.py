"""Crash dumps from pstore: their headers, and the order of their parts.

Comes in: lines in the order of the files. Goes out: the same lines, oldest first. Firmware stores a
dump in parts that are numbered from the newest text backwards, so Part1 is the end of the story
(pstore_dump() in fs/pstore/platform.c), and none can go on while a higher one may still follow.
"""

from __future__ import annotations

import re

from detector.lazy_regex import lazy_regex
from detector.model import Line
from detector.parse.draft import Draft

_HEADER = lazy_regex(
    r"(Panic|Oops|Emergency|Restart|Halt|Poweroff|Shutdown|Unknown)#(\d{1,9}) Part(\d{1,9})\s*$",
    re.ASCII,
)
_RAMOOPS = lazy_regex(r"====\d{1,12}\.\d{1,9}(?:-[CD])?$", re.ASCII)
_HELD_BOUND = 20_000
_HOLD_US = 10_000_000
_AGE_US = 60_000_000

Dump = tuple[str, int]


def header(text: str) -> Draft | None:
    """`Panic#2 Part1` → a Draft that says which part begins; ramoops' `====…` begins a dump of
    one part. None for other lines.
    """
    if matched := _HEADER.match(text):
        draft = Draft(text, "pstore")
        draft.part = (matched[1], int(matched[2]), int(matched[3]))
        return draft
    if text.startswith("====") and _RAMOOPS.match(text):
        draft = Draft(text, "pstore")
        draft.part = ("ramoops", 0, 0)
        return draft
    return None


class Parts:
    """The parts of one stream's dump, held until all can be here: a later dump, the bound, ten
    seconds after the last header, a minute after the first, or the end of the input. `first` is the
    number of the first record that is held.
    """

    def __init__(self, now_us: int) -> None:
        self.first: int | None = None
        self._begun_us = self._since_us = now_us
        self._dump: Dump | None = None
        self._parts: dict[int, list[Line]] = {}
        self._current: list[Line] = []
        self._held = 0

    def copy(self) -> Parts:
        """The dump as far as it has come, to go back to."""
        copied = Parts(self._since_us)
        copied.first, copied._begun_us = self.first, self._begun_us
        copied._dump, copied._held = self._dump, self._held
        copied._parts = {part: list(lines) for part, lines in self._parts.items()}
        current = (part for part, lines in self._parts.items() if lines is self._current)
        copied._current = next((copied._parts[part] for part in current), [])
        return copied

    def begin(self, kind: str, number: int, part: int, now_us: int, record: int) -> list[Line]:
        """A header was read, in the record of this number. Returns the dump before it, when this
        is another one's.
        """
        ready = self.release() if self._dump != (kind, number) else []
        if self.first is None:
            self.first = record
        self._dump, self._since_us = (kind, number), now_us
        self._current = self._parts.setdefault(part, [])
        return ready

    def add(self, line: Line) -> list[Line]:
        """A line of the part that was begun last. Returns all that waits once the bound is
        reached.
        """
        self._current.append(line)
        self._held += 1
        return self.release() if self._held >= _HELD_BOUND else []

    def is_due(self, now_us: int) -> bool:
        """Returns whether the dump waited long enough: what follows in the stream is not
        its own.
        """
        return now_us - self._since_us > _HOLD_US or now_us - self._begun_us > _AGE_US

    def release(self) -> list[Line]:
        """Returns everything held, oldest first."""
        ready = [line for part in sorted(self._parts, reverse=True) for line in self._parts[part]]
        self._parts, self._held, self.first = {}, 0, None
        self._current = self._parts.setdefault(0, [])
        return ready
