"""Times, gaps and numbers in the words of a page. Pure: `now_us` is an argument.

In: integers of µs and counts. Out: short texts; a time is absolute (UTC) and relative at once. It
escapes nothing: templates do.
"""

from __future__ import annotations

from markupsafe import Markup

from detector.render.escape import inert
from detector.render.objects import moment
from detector.render.units import seconds

MINUTE = 60
HOUR = 3_600
DAY = 86_400


def stamp(wall_us: int | None) -> str:
    """A wall time to the second: "2026-03-01 12:00:00"; "-" for none."""
    return (moment(wall_us) or "-")[:19].replace("T", " ")


def ago(wall_us: int, now_us: int) -> str:
    """Returns how long before now, in one unit: "3 h ago", "in 2 d", "now"."""
    distance = (now_us - wall_us) // 1_000_000
    size = abs(distance)
    if size < 5:
        return "now"
    text = duration(size)
    return f"{text} ago" if distance > 0 else f"in {text}"


def duration(seconds_: int) -> str:
    """A length of time in its greatest unit: "42 s", "7 min", "3 h", "12 d", "2 y"."""
    for unit, length in (("y", 365 * DAY), ("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if seconds_ >= length * (2 if unit in {"y", "d", "h"} else 1):
            return f"{seconds_ // length:,} {unit}"
    return f"{seconds_} s" if seconds_ < MINUTE else f"{seconds_ // MINUTE} min"


def when(wall_us: int | None, now_us: int) -> Markup:
    """A wall time as markup: absolute in UTC, and how long ago."""
    exact = moment(wall_us)
    if wall_us is None or exact is None:
        return Markup('<span class="quiet">unknown</span>')
    absolute = Markup('<time datetime="{}" class="nowrap">{}</time>').format(
        exact, f"{stamp(wall_us)} UTC"
    )
    return absolute + Markup(' <span class="quiet nowrap">{}</span>').format(ago(wall_us, now_us))


def kernel_time(kernel_us: int | None) -> str:
    """Kernel time as printk prints it; "-" for none."""
    return "-" if kernel_us is None else seconds(kernel_us)


def number(value: int | None) -> str:
    """An integer with separators; "-" for none."""
    return "-" if value is None else f"{value:,}"


def shortened(text: object, limit: int = 200) -> str:
    """Log text for a row of a list: inert, and cut with a mark where it is long."""
    whole = str(text)
    return inert(whole) if len(whole) <= limit else f"{inert(whole[:limit])}…"


def pattern(host: str) -> str:
    """A host's name as a filter that means it alone: the signs of patterns are put in brackets."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in host)
