"""Two reports that print line by line in turns, where no caller id tells them apart.

In: the open reports of one host, a line and its shape. Out: the report whose turn it is, as long as
nothing that the lines say speaks against it. A processor that prints alone for a while, and a
report that is over, end the turns: the `owner` decides then, line by line.
"""

from __future__ import annotations

from collections.abc import Sequence

from detector.assemble import shape
from detector.assemble.grammar import LineShape, is_bottom
from detector.assemble.grammar import shape as shape_of
from detector.assemble.opened import Opened
from detector.model import Line

# Lines that follow each other in a dump, by the names that they begin with; some kernels leave
# some out (arch/*/kernel/{traps,process,dumpstack}.c, arch/*/mm/fault.c, lib/dump_stack.c).
_RUNS = (
    ("Mem abort info", "ESR", "Exception class", "EC", "SET", "EA", "FSC", "Data abort info", "ISV",
     "CM", "GCS", "user pgtable", "swapper pgtable", "pgd", "Internal error"),
    ("pstate", "pc", "lr", "sp", "pmr_save", *(f"x{n}" for n in range(29, -1, -1))),
    ("PC is at", "LR is at", "pc", "sp", *(f"r{n}" for n in range(10, -1, -1))),
    ("PGD", "Oops"),
    ("RIP", "Code", "RSP", "RAX", "RDX", "RBP", "R10", "R13", "FS", "CS", "CR2", "DR0", "DR3",
     "PKRU"),
    ("EIP", "EAX", "ESI", "DS", "CR0"),
    ("NIP", "REGS", "MSR", "CFAR", "GPR00", "GPR04", "GPR08", "GPR12", "GPR16", "GPR20", "GPR24",
     "GPR28"),
    ("CPU", "Hardware name", "Workqueue"),
)  # fmt: skip
_NEAR = 3
_BEFORE_TRACE = frozenset(
    {"FS", "CS", "DR0", "DR3", "PKRU", "Hardware name", "Workqueue", "pstate", *_RUNS[0]}
)
_PLACES = {(run, name): at for run, names in enumerate(_RUNS) for at, name in enumerate(names)}
# So many lines of each that came in turns prove that they do.
_PROOF = 3


def begin(near: Sequence[Opened], opened: Opened) -> None:
    """Notes that a report opens beside another one of no known caller.
    They may take turns from here on; of three, whose line it is cannot be decided. One that has
    printed its trace to the bottom, and is whole with it, has no line left.
    """
    others = [item for item in near if not item.shadow and not item.lingering]
    alone = len(others) == 1 and others[0].caller is None and opened.caller is None
    alone = alone and not (others[0].bottom and shape.is_whole(others[0].head.cls, traced=True))
    for item in others:
        item.in_turns = int(alone and not opened.lingering)
    opened.in_turns = int(alone and not opened.lingering)


def resume(near: Sequence[Opened], line: Line) -> None:
    """Two reports that have got their last lines in turns go on so."""
    pair = [opened for opened in near if not opened.shadow and not opened.lingering]
    if len(pair) != 2 or line.caller is not None or any(opened.in_turns for opened in pair):
        return
    first, second = sorted((tuple(opened.turns) for opened in pair), key=lambda turns: turns[-1:])
    last = [place for both in zip(first, second, strict=False) for place in both]
    if len(last) == _PROOF * 2 and last == list(range(last[0], last[0] + len(last))):
        for opened in pair:
            opened.in_turns = _PROOF


def due(near: Sequence[Opened]) -> Opened | None:
    """Of two reports that take turns, the one whose line comes next."""
    pair = [opened for opened in near if opened.in_turns]
    return min(pair, key=lambda opened: opened.turn) if len(pair) == 2 else None


def blank(near: Sequence[Opened]) -> Opened | None:
    """Returns the report that a blank line belongs to.
    It is the one whose turn it is, if it did not miss its last one.
    """
    taker = due(near)
    others = [opened for opened in near if opened.in_turns and opened is not taker]
    return None if any(_has_missed(taker, other) for other in others if taker) else taker


def _has_missed(taker: Opened, other: Opened) -> bool:
    """Whether the other report has had more than one line since."""
    return sum(turn > taker.turn for turn in other.turns) > 1


def by_turn(near: Sequence[Opened], line: Line, looks: LineShape) -> Opened | None:
    """Returns the report whose turn it is, if the line can be its next one.
    One that misses a turn may have lost a line; at the second in a row it is over, and what comes
    is the other one's.
    """
    taker = due(near)
    if taker is None:
        return None
    other = next(opened for opened in near if opened.in_turns and opened is not taker)
    proved = is_proved(near)
    if _can_take(taker, other, line, looks) and (proved or _may_take(taker, other, line, looks)):
        taker.in_turns += 1
        return taker
    if not _can_take(other, taker, line, looks):
        return None
    if proved and not _has_missed(taker, other):
        return other
    taker.lingering = taker.lingering or proved
    stop(near)
    return None


def is_proved(near: Sequence[Opened]) -> bool:
    """Returns whether so many lines came in turns that it is no chance."""
    turns = [opened.in_turns for opened in near if opened.in_turns]
    return len(turns) == 2 and min(turns) > _PROOF


def stop(near: Sequence[Opened]) -> None:
    """The reports take turns no longer."""
    for opened in near:
        opened.in_turns = 0


def _can_take(taker: Opened, other: Opened, line: Line, looks: LineShape) -> bool:
    """Whether the line can be the next one of `taker`, by what it has printed so far."""
    if not taker.fits(looks) or not taker.comes_like(line):
        return False
    name = _name(looks)
    if taker.lingering:
        again = name is None or name in other.labels
        return again and shape.continues_after_end(line.text)
    if looks.kind == "frame":
        begun = taker.traced or not other.tracing
        return begun and (not taker.bottom or is_bottom(line.text))
    if (taker.bottom and name in _BEFORE_TRACE) or _is_past(taker, other, name):
        return False
    if shape.is_of_others(line.text, taker.latest) and not shape.is_of_others(
        line.text, other.latest
    ):
        return False
    return name is None or not _skips(taker, other, name)


def _may_take(taker: Opened, other: Opened, line: Line, looks: LineShape) -> bool:
    """Whether nothing else speaks against it: what reports print as a rule once, or elsewhere."""
    name = _name(looks)
    if looks.kind == "frame":
        return taker.tracing and (looks.style is None or taker.style in (None, looks.style))
    if name is None:
        return not shape.is_end(line.text, taker.head.cls) or taker.traced or not other.traced
    return name not in taker.labels or name in other.labels


def _name(looks: LineShape) -> str | None:
    return "Call Trace" if looks.kind == "trace" else looks.name


def _is_past(taker: Opened, other: Opened, name: str | None) -> bool:
    """Whether a line from before a page table comes too late for `taker`, but not for the other."""
    early = name in shape.BEFORE_PAGE_TABLE or (name == "Call Trace" and taker.bottom)
    return early and taker.traced and not other.traced


def followed(able: Sequence[Opened], name: str | None) -> list[Opened]:
    """The reports in whose dump a line of this name comes next; once a trace was printed, what
    stands before page tables comes no more.
    """
    if name in shape.BEFORE_PAGE_TABLE:
        able = [opened for opened in able if not opened.traced] or able
    next_to = [opened for opened in able if name and _follows(_last_name(opened), name)]
    return next_to or list(able)


def _skips(taker: Opened, other: Opened, name: str) -> bool:
    """Whether the line follows in a dump what the other report has just printed, and not what
    `taker` has.
    """
    last, mine = _last_name(other), _last_name(taker)
    return _follows(last, name) and not _follows(mine, name)


def _last_name(opened: Opened) -> str | None:
    """The name of the newest line below a report's head."""
    looks = shape_of(opened.newest[0]) if opened.newest and len(opened.lines) > 1 else None
    return looks.name if looks is not None and looks.kind == "label" else None


def _follows(last: str | None, name: str) -> bool:
    """Whether the second line follows the first in a dump, none or few between them."""
    return any(
        0 < _PLACES[run, name] - _PLACES[run, last] <= _NEAR
        for run in range(len(_RUNS))
        if (run, name) in _PLACES and last is not None and (run, last) in _PLACES
    )
