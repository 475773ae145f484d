"""Which of several open reports a line belongs to.

In: the open reports of one host that the stamps allow, a line and its shape. Out: one of them, or
None for a line of nobody's. What decides, best first: printk's caller id; what a report of this
class and architecture can print at all; what it has printed already (a report prints its `CPU:`
once); how its frames are written; the report that got the line before.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from detector.assemble import shape
from detector.assemble.grammar import Shape, label
from detector.assemble.opened import Opened
from detector.model import Line

# So many lines without one of its own, and a report no longer asks for what others lack too.
_SILENT = 8
# Two CPUs that print at one time get their turns after so few lines; a later one, and the other was
# cut off.
_BESIDE = 2


def by_caller(near: Sequence[Opened], line: Line, *, head: bool = False) -> Sequence[Opened]:
    """The reports of the line's own context, as far as ids of callers tell."""
    if line.caller is None:
        return near
    same = [opened for opened in near if opened.caller == line.caller]
    if not same and not head and line.caller.startswith("C"):
        same = [opened for opened in near if opened.nmi]
    return same or [opened for opened in near if opened.caller is None]


def owner(near: Sequence[Opened], line: Line, looks: Shape) -> Opened | None:
    """The report that takes the line."""
    near = by_caller(near, line)
    shadow = next((opened for opened in near if opened.shadow), None)
    if shadow is not None and len(near) > 1 and shape.looks_user(line.text):
        return shadow
    able = [opened for opened in near if opened.fits(looks)]
    if len(able) <= 1:
        return able[0] if able else None
    if looks.kind == "frame":
        return _of_frame(able, looks)
    if looks.kind == "trace":
        return _lacking(able, "Call Trace") or _last(able)
    if looks.kind == "label" and looks.name is not None:
        return _lacking(able, looks.name) or _last(able)
    return _last(able)


def joined(near: Sequence[Opened], line: Line, head_class: str) -> Opened | None:
    """The open report that a later head is one more line of, if there is one."""
    able = [
        opened
        for opened in by_caller(near, line, head=True)
        if opened.replays_head(line)
        or shape.joins(opened.latest, head_class, len(opened.lines), traced=opened.traced)
        or shape.expands(opened.lines[-1], line.text)
    ]
    if len(able) <= 1:
        return able[0] if able else None
    name = label(line.text)
    return (_lacking(able, name) if name is not None else None) or newest(able)


def newest(near: Sequence[Opened]) -> Opened | None:
    """The report that got the newest line; one that waits for a panic only where there is no
    other.
    """
    return max(near, key=lambda opened: (not opened.lingering, opened.turn), default=None)


def _last(able: Sequence[Opened]) -> Opened | None:
    real = [opened for opened in able if not opened.shadow]
    return newest(real or able)


def _of_frame(able: Sequence[Opened], looks: Shape) -> Opened | None:
    """A frame belongs to a trace that has begun, and to one that is written as it is."""
    tracing = [opened for opened in able if opened.tracing] or able
    alike = [opened for opened in tracing if opened.style in (None, looks.style)]
    tracing = alike or tracing
    return _other_of_two(tracing) or newest(tracing)


def _other_of_two(pair: Sequence[Opened]) -> Opened | None:
    """Of two reports that took their last lines in strict turns, the one whose turn it is."""
    if len(pair) != 2:
        return None
    first, second = sorted(pair, key=lambda opened: opened.turn)
    turns = [turn for both in zip(first.turns, second.turns, strict=False) for turn in both]
    strict = len(turns) >= 4 and all(one < other for one, other in pairwise(turns))
    return first if strict else None


def _lacking(able: Sequence[Opened], name: str) -> Opened | None:
    """The report that still lacks a line of this name: of several the one that has come furthest,
    unless it has been silent while another one printed.
    """
    lacking = [opened for opened in able if name not in opened.labels and not opened.lingering]
    if len(lacking) <= 1:
        return lacking[0] if lacking else None
    last = newest(lacking)
    assert last is not None
    before_trace = [opened for opened in lacking if not opened.traced]
    if len(before_trace) == 1 and not (last.traced and shape.follows_trace(name)):
        return before_trace[0]
    awake = [opened for opened in lacking if last.turn - opened.turn <= _SILENT]
    furthest = max(len(opened.labels) for opened in awake)
    ahead = [opened for opened in awake if len(opened.labels) == furthest]
    if len(ahead) == 1:
        return ahead[0]
    first = min(ahead, key=lambda opened: opened.turn)
    beside = last.turn - first.turn <= _BESIDE
    return _other_of_two(ahead) or (first if beside else newest(ahead))
