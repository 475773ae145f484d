"""A report that is being collected: its head, its lines so far, and what tells where the next line belongs.

In: lines, or the Block that a store kept of it over a restart. Out: the Block.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from detector.assemble import shape
from detector.model import Block, Line, Match


@dataclass(slots=True, eq=False)
class Opened:
    """An open report. `latest` is the class of its newest head, `at_us` is the stamp of its newest line (kernel time, else wall time), `touched_us` when the newest came."""

    head: Match
    latest: str
    caller: str | None
    source: str
    opened_us: int
    touched_us: int
    lines: list[str] = field(default_factory=list)
    size: int = 0
    at_us: int | None = None
    stamped: str = "none"
    ended: bool = False
    lingering: bool = False
    strangers: int = 0
    traced: bool = False
    nmi: bool = False
    replaying: bool = False
    labels: set[str] = field(default_factory=set)
    stamps: set[tuple[int, str]] = field(default_factory=set)
    newest: tuple[str, int | None, int | None] | None = None

    def add(self, line: Line, now_us: int) -> None:
        """Appends the line; a continuation is joined to the line that it continues."""
        text = line.text
        self.touched_us = now_us
        self.size += len(text)
        if line.kernel_time_us is not None:
            self.stamps.add((line.kernel_time_us, text))
            self.at_us, self.stamped = max(self.at_us or 0, line.kernel_time_us), "kernel"
        elif line.wall_time_us is not None and self.stamped != "kernel":
            self.at_us, self.stamped = max(self.at_us or 0, line.wall_time_us), "wall"
        self.newest = (text, line.kernel_time_us, line.wall_time_us)
        if line.continuation and self.lines:
            self.lines[-1] += text
            return
        self.lines.append(text)
        if (name := shape.label(text)) is not None:
            self.labels.add(name)
        self.traced = self.traced or shape.starts_trace(text)
        self.nmi = self.nmi or shape.NMI_TRACE in text

    def holds(self, line: Line) -> bool:
        """Whether this is a copy of a line that is already in: printed by a second console, or shipped by a second transport.

        A trace may rightly repeat a frame, so a copy from the same source counts only directly after its original.
        """
        if self.newest == (line.text, line.kernel_time_us, line.wall_time_us):
            return True
        if line.kernel_time_us is None:
            return False
        if self.newest is not None and self.newest[:2] == (line.text, line.kernel_time_us):
            return True
        return line.source != self.source and (line.kernel_time_us, line.text) in self.stamps

    def silent_us(self, line: Line) -> int:
        """How long after the newest line of the report this line was printed; 0 where the stamps do not say, or say "before"."""
        stamp = line.kernel_time_us if self.stamped == "kernel" else line.wall_time_us
        return max(0, stamp - self.at_us) if stamp is not None and self.at_us is not None else 0

    def block(self, *, cut: bool) -> Block:
        """The report as a Block; `cut` says that it was closed from outside before it showed an end."""
        finished = self.ended or (not cut and self.traced and shape.is_endless(self.head.cls))
        return Block(self.head, tuple(self.lines), finished)

    @classmethod
    def resume(cls, block: Block, now_us: int) -> Opened:
        """The report that a store kept while it was open. Of the stamps only the head's are known, so no copy of a later line is folded."""
        head = block.head
        opened = cls(head, head.cls, head.caller, head.source, now_us, now_us)
        for text in block.lines:
            opened.add(
                Line(text, head.source, head.number, head.host, "store", head.kernel_time_us, head.wall_time_us, caller=head.caller), now_us
            )
        opened.stamps.clear()
        return opened
