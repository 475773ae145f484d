"""Crash dumps from pstore: their headers, and the order of their parts.

Comes in: lines in the order of the files. Goes out: the same lines, oldest first. Firmware stores a dump in parts that are numbered from
the newest text backwards, so Part1 is the end of the story (pstore_dump() in fs/pstore/platform.c): a part can go on only when no higher
one can follow.
"""

from __future__ import annotations

import re

from detector.model import Line
from detector.parse.draft import Draft

_HEADER = re.compile(r"(Panic|Oops|Emergency|Restart|Halt|Poweroff|Shutdown|Unknown)#(\d{1,9}) Part(\d{1,9})\s*$", re.ASCII)
_RAMOOPS = re.compile(r"====\d{1,12}\.\d{1,9}(?:-[CD])?$", re.ASCII)
_HELD_BOUND = 20_000

Dump = tuple[str, int]


def header(text: str) -> Draft | None:
    """`Panic#2 Part1` → a Draft that says which part begins; ramoops' `====…` begins a dump of one part. None for other lines."""
    if found := _HEADER.match(text):
        draft = Draft(text, "pstore")
        draft.part = (found[1], int(found[2]), int(found[3]))
        return draft
    if text.startswith("====") and _RAMOOPS.match(text):
        draft = Draft(text, "pstore")
        draft.part = ("ramoops", 0, 0)
        return draft
    return None


class Parts:
    """The parts of one source's dumps, held until their order is known: a later dump, a falling run down to Part1, the bound or the end."""

    def __init__(self) -> None:
        self._dump: Dump | None = None
        self._parts: dict[int, list[Line]] = {}
        self._current: list[Line] = []
        self._passing = False
        self._held = 0

    def begin(self, kind: str, number: int, part: int) -> list[Line]:
        """A header was read. Returns what can go on now."""
        ready: list[Line] = []
        if self._dump != (kind, number) or part == 0:
            ready = self.release()
            self._dump = (kind, number)
        falling = not self._parts or (part + 1 in self._parts and part + 1 == min(self._parts))
        if part == 0 or (part == 1 and falling and self._parts):
            ready += self._drain()
            self._passing = True
        else:
            self._passing = False
            self._current = self._parts.setdefault(part, [])
        return ready

    def add(self, line: Line) -> list[Line]:
        """A line of the part that was begun last. Returns it if it need not wait, or all that waits once the bound is reached."""
        if self._passing:
            return [line]
        self._current.append(line)
        self._held += 1
        return self.release() if self._held >= _HELD_BOUND else []

    def release(self) -> list[Line]:
        """Everything held, oldest first; what follows passes until the next header."""
        ready = self._drain()
        self._dump, self._passing = None, True
        return ready

    def _drain(self) -> list[Line]:
        ready = [line for part in sorted(self._parts, reverse=True) for line in self._parts[part]]
        self._parts, self._held = {}, 0
        return ready
