"""A report that is being collected: its head, its lines so far, and what tells where the next line
belongs.

In: lines, or the Block that a store kept of it over a restart. Out: the Block.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from detector.assemble import shape
from detector.model import Block, Line, Match


@dataclass(slots=True, eq=False)
class Opened:
    """An open report.

    `latest` is the class of its newest head. `at_us` is the stamp of its newest line, kernel time
    where `stamped` says so, else wall time; `touched_us` when that line came, `turn` its place
    among all lines. `lingering`: the end mark has come, a panic may still follow. `stamps` says
    which source a line came from, `repeated` that a source has begun to ship the report once more.
    """

    head: Match
    latest: str
    caller: str | None
    opened_us: int
    touched_us: int
    turn: int = 0
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
    stamps: dict[tuple[int, str], str] = field(default_factory=dict)
    repeated: bool = False
    newest: tuple[str, int | None, int | None] | None = None

    @classmethod
    def at(cls, head: Match, line: Line, now_us: int) -> Opened:
        """The report that this head opens."""
        whole = shape.is_one_line(head.cls)
        return cls(head, head.cls, line.caller, now_us, now_us, ended=whole, lingering=whole)

    @classmethod
    def resume(cls, block: Block, now_us: int) -> Opened:
        """The report that a store kept while it was open. Of the stamps only the head's are known,
        so no copy of a later line is folded.
        """
        head = block.head
        opened = cls(head, head.cls, head.caller, now_us, now_us)
        for text in block.lines:
            opened.take(text)
        for stamp, basis in ((head.kernel_time_us, "kernel"), (head.wall_time_us, "wall")):
            if stamp is not None:
                opened.at_us, opened.stamped = stamp, basis
                break
        return opened

    @property
    def shadow(self) -> bool:
        """Whether this is a user fault beside a kernel report: it keeps its lines out of that, and
        is no report.
        """
        return self.head.origin == "user"

    def add(self, line: Line, now_us: int, turn: int) -> None:
        """Takes the line; a continuation is joined to the line that it continues, a replay takes
        the place of what was cut.
        """
        self.touched_us, self.turn = now_us, turn
        if line.kernel_time_us is not None:
            self.stamps.setdefault((line.kernel_time_us, line.text), line.source)
            self.at_us, self.stamped = max(self.at_us or 0, line.kernel_time_us), "kernel"
        elif line.wall_time_us is not None and self.stamped != "kernel":
            self.at_us, self.stamped = max(self.at_us or 0, line.wall_time_us), "wall"
        self.newest = (line.text, line.kernel_time_us, line.wall_time_us)
        if line.continuation and self.lines:
            self.lines[-1] += line.text
            self.size += len(line.text)
        else:
            self.take(line.text)

    def take(self, text: str) -> None:
        """Appends a text, and notes what it says of the report's progress."""
        if self.replaying and self.lines and text.startswith(self.lines[-1]):
            self.lines.pop()
        self.replaying = shape.REPLAY in text
        if self.replaying:
            return
        self.lines.append(text)
        self.size += len(text)
        if (name := shape.label(text)) is not None:
            self.labels.add(name)
        self.traced = self.traced or shape.starts_trace(text)
        self.nmi = self.nmi or shape.NMI_TRACE in text
        if len(self.lines) > 1 and shape.is_end(text, self.head.cls):
            self.ended = self.lingering = True

    def holds(self, line: Line) -> bool:
        """Whether this is a copy of a line that is already in: printed by a second console, or
        shipped by a second transport.

        A trace may rightly repeat a frame, so a copy from the same source counts only directly
        after its original, or once the source has begun to repeat the report from its head.
        """
        if self.newest == (line.text, line.kernel_time_us, line.wall_time_us):
            return True
        if line.kernel_time_us is None:
            return False
        if self.newest is not None and self.newest[:2] == (line.text, line.kernel_time_us):
            return True
        source = self.stamps.get((line.kernel_time_us, line.text))
        return source is not None and (self.repeated or source != line.source)

    def repeats(self, line: Line) -> bool:
        """Whether this is the report's head once more."""
        return line.kernel_time_us is not None and (line.kernel_time_us, line.text) == (
            self.head.kernel_time_us,
            self.head.text,
        )

    def after_us(self, line: Line) -> int:
        """How long after the newest line of the report this line was printed, negative for before;
        0 where the stamps do not say.
        """
        stamp = line.kernel_time_us if self.stamped == "kernel" else line.wall_time_us
        return stamp - self.at_us if stamp is not None and self.at_us is not None else 0

    def before_head(self, line: Line) -> int:
        """How long before the report's head this line was printed; 0 where the stamps do not say,
        or say "after".
        """
        if line.kernel_time_us is None or self.head.kernel_time_us is None:
            return 0
        return max(0, self.head.kernel_time_us - line.kernel_time_us)

    def block(self, *, cut: bool) -> Block:
        """The report as a Block; `cut` says that it was closed from outside before it showed an
        end.
        """
        whole = self.ended or (not cut and shape.is_whole(self.head.cls, traced=self.traced))
        return Block(self.head, tuple(self.lines), whole)
