"""Decides to which of several open reports a line belongs.

In: the open reports of one host that the stamps allow, a line and its shape. Out: one of them, or
None for a line of nobody's. What decides, best first: printk's caller id; what a report of this
class and architecture can print at all; what it has printed already (a report prints its `CPU:`
once); how its frames are written; the report that got the line before.
"""

from __future__ import annotations

from collections.abc import Sequence

from detector.assemble import shape, turns
from detector.assemble.grammar import LineShape, is_bottom
from detector.assemble.grammar import shape as shape_of
from detector.assemble.opened import Opened
from detector.lazy_regex import lazy_regex
from detector.model import Line

_PAGE_TABLE = lazy_regex(r"\[([0-9a-f]{8,16})\] \*?pgd")
# So many lines without one of its own, and a report no longer asks for what others lack too.
_SILENT = 8
# Two CPUs that print at one time get their turns after so few lines; a later one, and the other was
# cut off.
_BESIDE = 2
# The last lines of two reports that take turns lie within so many.
_IN_TURNS = 12
# So many lines of each prove that they take turns.
_PROOF = 2


def by_caller(near: Sequence[Opened], line: Line, *, head: bool = False) -> Sequence[Opened]:
    """The reports of the line's own context, as far as ids of callers tell."""
    if line.caller is None:
        return near
    same = [opened for opened in near if opened.caller == line.caller]
    if not same and not head and line.caller.startswith("C"):
        same = [opened for opened in near if opened.nmi]
    return same or [opened for opened in near if opened.caller is None]


def owner(near: Sequence[Opened], line: Line, looks: LineShape, turn: int) -> Opened | None:
    """The report that takes the line, which is the `turn`-th of all."""
    near = by_caller(near, line)
    if len(near) == 1:
        return near[0] if near[0].fits(looks) else None
    shadow = next((opened for opened in near if opened.shadow), None)
    if shadow is not None and len(near) > 1 and shape.looks_user(line.text):
        return shadow
    able = [opened for opened in near if opened.fits(looks)]
    able = [opened for opened in able if opened.comes_like(line)] or able
    if (named := _of_address(able, line)) is not None:
        return named
    if (next_one := turns.by_turn(near, line, looks)) is not None:
        return next_one
    if len(able) <= 1:
        return able[0] if able else None
    if looks.kind == "frame":
        return _of_frame(able, line, looks, turn)
    name = "Call Trace" if looks.kind == "trace" else looks.name
    able = turns.followed(able, name)
    lacking = (
        [item for item in able if name not in item.labels and not item.lingering] if name else []
    )
    alike = [item for item in lacking or able if looks.arch and item.arch == looks.arch]
    if len(lacking) == 1 or len(alike) == 1:
        return (alike or lacking)[0]
    return _furthest(lacking, name, turn) or _other_of_two(able, turn) or _last(able)


def _of_address(able: Sequence[Opened], line: Line) -> Opened | None:
    """The report whose head names the address that a page table is printed for (show_pte)."""
    page = _PAGE_TABLE.match(line.text)
    named = [opened for opened in able if page and opened.head.text.endswith(page[1])]
    return named[0] if len(named) == 1 else None


def give_back(near: Sequence[Opened], taker: Opened, line: Line) -> None:
    """Gives a report the lines before its page table's that another report took.
    The same CPU printed them, and nothing told the two reports apart until then.
    """
    if _of_address([taker], line) is not taker:
        return
    taker.paged = True
    if turns.is_proved(near):
        return
    for other in near:
        given = other is not taker and not other.shadow and line.caller is None
        if given and other.give_back(taker):
            turns.stop(near)


def joined(near: Sequence[Opened], line: Line, head_class: str, turn: int) -> Opened | None:
    """The open report that a later head is one more line of, if there is one."""
    able = [
        opened
        for opened in by_caller(near, line, head=True)
        if opened.replays_head(line)
        or shape.joins(opened.latest, head_class, len(opened.lines), traced=opened.traced)
        or shape.expands(opened.lines[-1], line.text)
    ]
    looks = shape_of(line.text)
    able = [opened for opened in able if opened.suits(looks)]
    able = [opened for opened in able if opened.comes_like(line)] or able
    if (next_one := turns.due(near)) in able:
        return next_one
    if len(able) <= 1:
        return able[0] if able else None
    name = looks.name
    lacking = [opened for opened in able if name not in opened.labels] if name else []
    dying = [opened for opened in lacking if opened.paged]
    if len(dying) == 1 and dying[0].turn >= turn - 1:
        return dying[0]
    return _furthest(lacking, name, turn) or newest(able)


def newest(near: Sequence[Opened]) -> Opened | None:
    """The report that got the newest line; one that waits for a panic only where there is no
    other.
    """
    return max(near, key=lambda opened: (not opened.lingering, opened.turn), default=None)


def _last(able: Sequence[Opened]) -> Opened | None:
    real = [opened for opened in able if not opened.shadow]
    return newest(real or able)


def _of_frame(able: Sequence[Opened], line: Line, looks: LineShape, turn: int) -> Opened | None:
    """A frame belongs to a trace that has begun, and to one that is written as it is."""
    tracing = [opened for opened in able if opened.tracing] or able
    if not is_bottom(line.text):
        tracing = [opened for opened in tracing if not opened.bottom] or tracing
    alike = [opened for opened in tracing if opened.style in (None, looks.style)]
    tracing = alike or tracing
    return _other_of_two(tracing, turn) or newest(tracing)


def _other_of_two(pair: Sequence[Opened], turn: int) -> Opened | None:
    """Of two reports that took their last lines in turns, line by line, the one whose turn it
    is.
    """
    if len(pair) != 2:
        return None
    parities = []
    for opened in pair:
        turns = opened.turns
        if (
            len(turns) < _PROOF
            or turn - turns[0] > _IN_TURNS
            or len({each % 2 for each in turns}) > 1
        ):
            return None
        parities.append(turns[0] % 2)
    return pair[parities.index(turn % 2)] if parities[0] != parities[1] else None


def _furthest(lacking: Sequence[Opened], name: str | None, turn: int) -> Opened | None:
    """Of the reports that still lack a line of this name, the one that has come furthest, unless it
    has been silent while another one printed.
    """
    if len(lacking) <= 1:
        return lacking[0] if lacking else None
    if (other := _other_of_two(lacking, turn)) is not None:
        return other
    last = newest(lacking)
    assert last is not None
    before_trace = [opened for opened in lacking if not opened.traced]
    if len(before_trace) == 1 and not (last.traced and name and shape.follows_trace(name)):
        return before_trace[0]
    awake = [opened for opened in lacking if last.turn - opened.turn <= _SILENT]
    furthest = max(len(opened.labels) for opened in awake)
    ahead = [opened for opened in awake if len(opened.labels) == furthest]
    first = min(ahead, key=lambda opened: opened.turn)
    return first if last.turn - first.turn <= _BESIDE else newest(ahead)
