"""Charts as SVG: bars over time, a heat strip, the time line of an incident.

Pure: numbers and texts in, markup out.

Positions are percentages of the width, so that a chart is as wide as its place and its letters stay
letters on a telephone. Colours and sizes of text come from the style sheet by class: there is no
inline style. Every text is escaped, and every chart says in words what it shows, for those who hear
it. It fetches nothing and knows no address: links are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from detector.render.escape import inert
from detector.render.units import seconds

LEVELS = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: how high, what it says, and where it leads (None: nowhere)."""

    value: int
    label: str
    href: str | None = None
    marked: bool = False


@dataclass(frozen=True, slots=True)
class TimelineMark:
    """One thing on a time line: kernel time in µs, what it is in a word, whether the incident
    is anchored at it, and what it is in full.
    """

    at_us: int
    label: str
    anchor: bool = False
    text: str = ""


def bars(values: Sequence[Bar], label: str, *, height: int = 64) -> Markup:
    """Bars side by side over the whole width, scaled to the highest; a bar that is not empty
    may be a link.
    """
    most = max((value.value for value in values), default=0)
    step = 100 / max(1, len(values))
    drawn = [
        _bar(bar, index * step, step, most, height) for index, bar in enumerate(values) if bar.value
    ]
    linked = any(value.href for value in values if value.value)
    opening = Markup(
        '<svg class="bars" width="100%" height="{}" role="{}" aria-label="{}">'
    ).format(height, "group" if linked else "img", inert(label))
    ground = Markup('<rect class="ground" x="0" y="{}" width="100%" height="1"/>').format(
        height - 1
    )
    return opening + ground + Markup("").join(drawn) + Markup("</svg>")


def _bar(item: Bar, left: float, step: float, most: int, height: int) -> Markup:
    tall = max(2.0, item.value / most * (height - 2))
    classes = "bar marked" if item.marked else "bar"
    shape = Markup(
        '<rect class="{}" x="{}%" y="{}" width="{}%" height="{}"><title>{}</title></rect>'
    ).format(
        classes,
        _short(left + step * 0.08),
        _short(height - 1 - tall),
        _short(step * 0.84),
        _short(tall),
        inert(item.label),
    )
    if item.href is None:
        return shape
    # The whole column is the target, also above a low bar.
    target = Markup('<rect class="target" x="{}%" y="0" width="{}%" height="{}"/>').format(
        _short(left), _short(step), height
    )
    return Markup('<a href="{}" aria-label="{}">{}{}</a>').format(
        inert(item.href), inert(item.label), target, shape
    )


def heat(counts: Sequence[int], most: int, label: str, labels: Sequence[str]) -> Markup:
    """A strip of cells, one for each count, in shades up to `most`; `labels` say what each
    cell is. Cells of zero stay empty.
    """
    step = 100 / max(1, len(counts))
    cells = [
        Markup('<rect class="h{}" x="{}%" width="{}%" height="14"><title>{}</title></rect>').format(
            level(count, most), _short(index * step), _short(step * 0.9), inert(labels[index])
        )
        for index, count in enumerate(counts)
        if count
    ]
    opening = Markup(
        '<svg class="heat" width="100%" height="14" role="img" aria-label="{}">'
    ).format(inert(label))
    return (
        opening
        + Markup('<rect class="h0" width="100%" height="14"/>')
        + Markup("").join(cells)
        + Markup("</svg>")
    )


def level(count: int, most: int) -> int:
    """The shade of a count, 1 … 5 (0 for none): the greatest gets the darkest."""
    if count <= 0:
        return 0
    return max(1, min(LEVELS, -(-count * LEVELS // max(1, most))))


def timeline(moments: Sequence[TimelineMark], window_us: int, gap_us: int, label: str) -> Markup:
    """Kernel time from left to right: the rule's window around the anchor, each half with its
    words, and the gap between them.

    Without an anchor among the moments there is nothing to draw, and the markup is empty.
    """
    anchor = next((moment for moment in moments if moment.anchor), None)
    if anchor is None:
        return Markup("")
    others = sorted(
        (moment for moment in moments if moment is not anchor),
        key=lambda item: (abs(item.at_us - anchor.at_us), item.at_us),
    )
    first = min(moment.at_us for moment in moments)
    last = max(moment.at_us for moment in moments)
    margin = max((last - first) // 6, gap_us // 6, 1)
    scale = _Scale(first - margin, max(1, last - first + 2 * margin))
    parts = [
        _window(scale, anchor.at_us, window_us),
        Markup('<rect class="axis" x="0" y="72" width="100%" height="1"/>'),
    ]
    if others:
        parts.append(_gap(scale, anchor.at_us, others[0].at_us, gap_us))
    parts += [_point(scale, other, "half") for other in others[1:]]
    if others:
        parts += [_point(scale, others[0], "half"), _words(scale, others[0], 30)]
    parts += [_point(scale, anchor, "anchor"), _words(scale, anchor, 112)]
    opening = Markup(
        '<svg class="timeline" width="100%" height="128" role="img" aria-label="{}">'
    ).format(inert(label))
    return opening + Markup("").join(parts) + Markup("</svg>")


@dataclass(frozen=True, slots=True)
class _Scale:
    """Kernel times to percentages of the width."""

    start_us: int
    span_us: int

    def percent(self, at_us: int) -> float:
        return (at_us - self.start_us) / self.span_us * 100


def _window(scale: _Scale, anchor_us: int, window_us: int) -> Markup:
    left = max(0.0, scale.percent(anchor_us - window_us))
    right = min(100.0, scale.percent(anchor_us + window_us))
    return Markup('<rect class="window" x="{}%" y="44" width="{}%" height="56"/>').format(
        _short(left), _short(right - left)
    )


def _gap(scale: _Scale, anchor_us: int, other_us: int, gap_us: int) -> Markup:
    left, right = sorted((scale.percent(anchor_us), scale.percent(other_us)))
    bar = Markup('<rect class="gap" x="{}%" y="71" width="{}%" height="3"/>').format(
        _short(left), _short(right - left)
    )
    words = Markup('<text x="{}%" y="62" text-anchor="middle">{}</text>').format(
        _short((left + right) / 2), f"{seconds(gap_us)} s"
    )
    return bar + words


def _point(scale: _Scale, timeline_mark: TimelineMark, kind: str) -> Markup:
    return Markup('<circle class="{}" cx="{}%" cy="72" r="6"><title>{}</title></circle>').format(
        kind,
        _short(scale.percent(timeline_mark.at_us)),
        inert(f"[{seconds(timeline_mark.at_us)}] {timeline_mark.text or timeline_mark.label}"),
    )


def _words(scale: _Scale, timeline_mark: TimelineMark, y: int) -> Markup:
    """The stamp and the words of a point, on the side where there is room."""
    x = scale.percent(timeline_mark.at_us)
    side = "start" if x < 50 else "end"
    stamp = Markup('<text class="stamp" x="{}%" y="{}" text-anchor="{}">{}</text>').format(
        _short(x), y - 14, side, seconds(timeline_mark.at_us)
    )
    return stamp + Markup('<text x="{}%" y="{}" text-anchor="{}">{}</text>').format(
        _short(x), y, side, inert(timeline_mark.label)
    )


def _short(number: float) -> str:
    """Two places are a tenth of a pixel; fewer bytes a page."""
    return f"{number:.2f}".rstrip("0").rstrip(".")
