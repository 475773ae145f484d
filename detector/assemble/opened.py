"""A report that is being collected: its head, its lines so far, and where the next belongs.

In: lines, or the Block that a store kept of it over a restart. Out: the Block.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Literal

from detector.assemble import shape
from detector.assemble.grammar import LineShape, is_bottom
from detector.assemble.grammar import shape as shape_of
from detector.model import Block, Line, Match

# include/asm-generic/bug.h, lib/bug.c (3.x to 6.x): what a WARN() or BUG() prints first.
_BEGINS = "------------[ cut here ]"
# The lines of one fault are stamped within milliseconds of each other; syslog has whole seconds.
_AT_ONCE_US = 2_000_000

_WITH_MESSAGE = frozenset({"warning", "kernel-bug"})
_LONGEST_MESSAGE = 3  # lines

BlockRole = Literal["report", "shadow", "orphan"]
"""A shadow is a user fault, or a message with a trace that reports no fault. An orphan is a
register dump or a trace without a head: what is left of a report, or a message's; only its end can
tell."""

# Prose that the grammar does not know stands within microseconds of the lines before and after it;
# what another context printed there is longer, or has its subsystem's name in front.
_WITHIN_US = 2_000
_UNKNOWN_LINES = 3
# A serial console takes 9 ms for a line of 100 characters, and is waited for.
_MESSAGE_US = 100_000


@dataclass(slots=True, eq=False)
class Opened:
    """An open report.

    `latest` is the class of its newest head. `at_us` is the stamp of its newest line, kernel time
    where `stamped` says so, else wall time; `touched_us` when that line came, `turn` its place
    among all lines. `lingering`: the end mark has come, a panic may still follow. `strangers` are
    the lines in a row that did not belong to it, `away` those that came a gap later. `bottom`: the
    last frame of its trace has come. `paged`: the page table of its address was printed, after
    which show_pte's caller dies (arch/arm64/mm/fault.c). `superseded`: another report of its
    context has printed its trace since. `in_turns`: it prints line by line in turns with another
    one, and has so many lines since (see `turns`), or 0. `stamps` says which source a line came
    from, `repeated` that a source has begun to ship the report once more. `since` is, by source,
    the first record of all reports that its host has had open without a pause: read from there, it
    comes out the same.
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
    away: int = 0
    superseded: bool = False
    in_turns: int = 0
    traced: bool = False
    bottom: bool = False
    paged: bool = False
    nmi: bool = False
    replaying: bool = False
    arch: str | None = None
    style: tuple[int, str, bool] | None = None
    labels: set[str] = field(default_factory=set)
    stamps: dict[tuple[int, str], tuple[str, str | None]] = field(default_factory=dict)
    repeated: bool = False
    newest: tuple[str, int | None, int | None] | None = None
    newest_caller: str | None = None
    turns: deque[int] = field(default_factory=lambda: deque(maxlen=3))
    role: BlockRole = "report"
    shipped: tuple[str, bool, bool] | None = None
    unknown: list[str] = field(default_factory=list)
    unknown_us: int | None = None
    since: dict[str, int] = field(default_factory=dict)

    @classmethod
    def at(cls, head: Match, line: Line, now_us: int, role: BlockRole = "report") -> Opened:
        """The report, or what is none, that this head opens."""
        whole = shape.is_one_line(head.cls)
        bare = shape.has_bare_trace(head.cls)
        return cls(
            head,
            head.cls,
            line.caller,
            now_us,
            now_us,
            ended=whole,
            lingering=whole,
            traced=bare,
            role=role,
        )

    @classmethod
    def resume(cls, block: Block, now_us: int) -> Opened:
        """The report that a store kept while it was open. Of the stamps only the head's are known,
        so no copy of a later line is folded.
        """
        head = block.head
        opened = cls(head, head.cls, head.caller, now_us, now_us)
        opened.traced = shape.has_bare_trace(head.cls)
        for text in block.lines:
            opened.take(text, shape_of(text))
        for stamp, basis in ((head.kernel_time_us, "kernel"), (head.wall_time_us, "wall")):
            if stamp is not None:
                opened.at_us, opened.stamped = stamp, basis
                break
        return opened

    def copy(self) -> Opened:
        """The report as it is now, to go back to."""
        copied = Opened.__new__(Opened)
        for name in _PLAIN:  # `copy` takes three times as long
            setattr(copied, name, getattr(self, name))
        for name in _COLLECTIONS:
            setattr(copied, name, getattr(self, name).copy())
        return copied

    @property
    def shadow(self) -> bool:
        """Returns whether this is no report: only a place for lines that are not another report's.
        It keeps them out of the report beside it, or waits for a line that makes it one.
        """
        return self.role != "report"

    def adopt(self, orphan: Opened) -> None:
        """Takes in what came before the head, of a report whose first lines were lost."""
        self.lines[:0] = orphan.lines
        self.size += orphan.size
        self.labels |= orphan.labels
        self.arch, self.style = orphan.arch, orphan.style

    @property
    def _at_message(self) -> bool:
        """Whether a WARN()'s or BUG()'s first line has come, and nothing after it: its message may
        be of any sort.
        """
        return len(self.lines) == 1 and self.lines[0].startswith(_BEGINS)

    def message(self) -> list[str]:
        """The lines between a WARN()'s or BUG()'s first line and its head, of which nothing else is
        known.
        """
        whole = [*self.lines, *self.unknown]
        begins = bool(whole) and whole[0].startswith(_BEGINS)
        # A symbol with an offset would be read as a frame.
        plain = not any("+0x" in text for text in whole)
        return whole[1:] if begins and plain and len(whole) <= _LONGEST_MESSAGE + 1 else []

    def begin_with(self, orphan: Opened, *, lost: bool) -> None:
        """Takes in what was printed before the head: all of it where the report's first lines were
        lost, else the message of a WARN() or BUG().
        """
        if lost:
            self.adopt(orphan)
        elif self.head.cls in _WITH_MESSAGE:
            message = orphan.message()
            self.lines[:0] = message
            self.size += sum(map(len, message))

    @property
    def prose(self) -> tuple[str, ...]:
        """The kinds of prose that it may print: those of its head and of what followed from it."""
        own = shape.prose(self.head.cls)
        return own if self.latest == self.head.cls else (*own, *shape.prose(self.latest))

    @property
    def tracing(self) -> bool:
        """Returns whether frames may follow."""
        return self.traced and not self.lingering

    def fits(self, line: LineShape) -> bool:
        """Returns whether a line of this shape can be one of this report."""
        if line.kind == "foreign" or not self.suits(line):
            return False
        if line.arch and not self.traced and not shape.has_registers(self.latest):
            return False
        if line.prose:
            return not line.prose.isdisjoint(self.prose)
        return self.nmi or not (line.name and shape.never_prints(self.latest, line.name))

    def suits(self, line: LineShape) -> bool:
        """Returns whether a line's architecture can be this report's."""
        return line.arch is None or self.arch is None or line.arch == self.arch

    def comes_like(self, line: Line) -> bool:
        """Returns whether the line was shipped as this report's lines are.
        That is by the same transport, with the same sorts of stamps.
        """
        return self.shipped == _shipping(line)

    def add(self, line: Line, looks: LineShape, now_us: int, turn: int) -> None:
        """Takes the line; a continuation is joined to the line that it continues, a replay takes
        the place of what was cut.
        """
        self.touched_us, self.turn = now_us, turn
        self.turns.append(turn)
        self.strangers = self.away = 0
        self.superseded = False
        self._take_unknown(line)
        if line.kernel_time_us is not None:
            printed = (line.source, line.caller)
            self.stamps.setdefault((line.kernel_time_us, line.text), printed)
            self.at_us, self.stamped = max(self.at_us or 0, line.kernel_time_us), "kernel"
        elif line.wall_time_us is not None and self.stamped != "kernel":
            self.at_us, self.stamped = max(self.at_us or 0, line.wall_time_us), "wall"
        self.shipped = _shipping(line)
        self.newest = (line.text, line.kernel_time_us, line.wall_time_us)
        self.newest_caller = line.caller
        if line.continuation and self.lines:
            self.lines[-1] += line.text
            self.size += len(line.text)
        else:
            self.take(line.text, looks)

    def take(self, text: str, looks: LineShape) -> None:
        """Appends a text, and notes what it says of the report's progress."""
        if self.replaying and self.lines and text.startswith(self.lines[-1]):
            self.lines.pop()
        self.replaying = shape.REPLAY in text
        if self.replaying:
            return
        self.lines.append(text)
        self.size += len(text)
        if looks.name is not None:
            self.labels.add(looks.name)
        self.arch = self.arch or looks.arch
        self.style = looks.style or self.style
        self.traced = self.traced or looks.kind in ("trace", "frame")
        if looks.kind in ("trace", "frame"):
            self.bottom = looks.kind == "frame" and is_bottom(text)
        elif looks.prose or looks.name == "CPU":
            self.bottom = False  # another trace may follow: "Freed by task", "-> #1"
        self.nmi = self.nmi or shape.NMI_TRACE in text or text.startswith("NMI backtrace for ")
        if len(self.lines) > 1 and shape.is_end(text, self.head.cls):
            self.ended = self.lingering = True

    def give_back(self, other: Opened) -> bool:
        """Hands over the lines that came after the newest one of another report, which they turn
        out to be of, if it has come to them.
        """
        count = min(sum(turn > other.turn for turn in self.turns), len(self.lines) - 1)
        looks = [shape_of(text) for text in self.lines[-count:]] if count else []
        names = {look.name for look in looks if look.name is not None}
        # Other lines than those before a page table, or lines that it has: both reports go on.
        if not count or names & other.labels or names - shape.BEFORE_PAGE_TABLE:
            return False
        moved, self.lines = self.lines[-count:], self.lines[:-count]
        for _ in moved:
            self.turns.pop()
        characters = sum(map(len, moved))
        self.size -= characters
        other.size += characters
        other.lines += moved
        kept = {label for text in self.lines if (label := shape_of(text).name)}
        self.labels -= names - kept
        other.labels |= names
        return True

    def pass_by(self, line: Line, *, unknown: bool) -> None:
        """A line that does not look like one of a report: kept aside where the next line may prove
        that it is one, else foreign.
        """
        self.strangers += 1
        unknown = unknown or self._at_message
        if unknown and self.strangers <= _UNKNOWN_LINES and self._close_by(line, self.at_us):
            self.unknown.append(line.text)
            self.unknown_us = line.kernel_time_us
        else:
            self.unknown.clear()

    def _take_unknown(self, line: Line) -> None:
        """Takes in what was kept aside, if this line follows it closely."""
        if self.unknown and self._close_by(line, self.unknown_us):
            for text in self.unknown:
                self.lines.append(text)
                self.size += len(text)
        self.unknown.clear()

    def _close_by(self, line: Line, stamp_us: int | None) -> bool:
        if line.kernel_time_us is None or stamp_us is None:
            return line.wall_time_us is None and self.stamped == "none"
        within = _MESSAGE_US if self._at_message else _WITHIN_US
        return abs(line.kernel_time_us - stamp_us) <= within

    def holds(self, line: Line) -> bool:
        """Returns whether the line is a copy of one that is already in the report.
        A second console printed it, or a second transport shipped it.

        A trace may rightly repeat a frame, so a copy from the same source counts only directly
        after its original, or once the source has begun to repeat the report from its head. What
        another caller printed is no copy: two CPUs in the same code print the same lines.
        """
        if self.newest is not None and _may_be_one(self.newest_caller, line.caller):
            if self.newest == (line.text, line.kernel_time_us, line.wall_time_us):
                return True
            stamped = line.kernel_time_us is not None
            if stamped and self.newest[:2] == (line.text, line.kernel_time_us):
                return True
        if line.kernel_time_us is None:
            return False
        source, caller = self.stamps.get((line.kernel_time_us, line.text), (None, None))
        again = source is not None and (self.repeated or source != line.source)
        return again and _may_be_one(caller, line.caller)

    def repeats(self, line: Line) -> bool:
        """Returns whether the line is the report's head once more."""
        return (
            line.kernel_time_us is not None
            and (line.kernel_time_us, line.text) == (self.head.kernel_time_us, self.head.text)
            and _may_be_one(self.head.caller, line.caller)
        )

    def replays_head(self, line: Line) -> bool:
        """Returns whether the line is the whole of the report's head, which the console had cut."""
        return self.replaying and len(self.lines) == 1 and line.text.startswith(self.lines[0])

    def after_us(self, line: Line) -> int:
        """Returns how many µs after the newest line of the report this line was printed.
        Negative for before; 0 where the stamps do not say.
        """
        stamp = line.kernel_time_us if self.stamped == "kernel" else line.wall_time_us
        return stamp - self.at_us if stamp is not None and self.at_us is not None else 0

    def is_over(self, line: Line, linger_us: int) -> bool:
        """Returns whether a line comes too late for the report: for one that has ended; or a line
        that begins another one, which is printed at once where it is of the same fault.
        """
        if not self.lingering and not line.text.startswith(_BEGINS):
            return False
        return self.after_us(line) > (linger_us if self.lingering else _AT_ONCE_US)

    def before_head(self, line: Line) -> int:
        """Returns how many µs before the report's head this line was printed.
        0 where the stamps do not say, or say "after".
        """
        if line.kernel_time_us is None or self.head.kernel_time_us is None:
            return 0
        return max(0, self.head.kernel_time_us - line.kernel_time_us)

    def block(self, *, cut: bool) -> Block:
        """The report as a Block; `cut` says that it was closed from outside before it showed an
        end.
        """
        over = not cut or self.superseded or bool(self.away)
        traced = self.traced and (self.style is not None or "Call Trace" in self.labels)
        whole = self.ended or (over and shape.is_whole(self.head.cls, traced=traced))
        return Block(self.head, tuple(self.lines), whole)


_COLLECTIONS = tuple(item.name for item in fields(Opened) if item.default_factory is not MISSING)
_PLAIN = tuple(item.name for item in fields(Opened) if item.default_factory is MISSING)


def prose_of(near: Sequence[Opened]) -> Sequence[str]:
    """The kinds of prose that some reports may print, each once."""
    if len(near) == 1:
        return near[0].prose
    return tuple(dict.fromkeys(kind for opened in near for kind in opened.prose))


def _may_be_one(first: str | None, second: str | None) -> bool:
    """Whether ids of callers allow one printing: a transport may leave the id out."""
    return first is None or second is None or first == second


def _shipping(line: Line) -> tuple[str, bool, bool]:
    return line.transport, line.kernel_time_us is not None, line.wall_time_us is not None
