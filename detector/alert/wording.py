"""Numbers and times as a message says them: gaps, durations, moments, ordinals; and a line
of a log made inert and short.

In: µs, counts, texts. Out: words. Pure.
"""

from __future__ import annotations

import re

from detector.lazy_regex import lazy_regex
from detector.render.escape import inert
from detector.render.objects import moment

# A kernel's line has some 1,000 bytes; what is longer is no line of a kernel.
LINE_LIMIT = 1_000
# What chat programs wake everybody up for: `@channel` in many, `<!channel>`, `<@U1>`, `<#C1>` in
# Slack's own spelling.
_MENTION = lazy_regex(r"@(?=channel|here|everyone|all\b|room\b)|<(?=[!@#])", re.IGNORECASE)
_LOOKALIKES = {"@": "\uff20", "<": "\uff1c"}


def inert_line(text: str) -> str:
    """One printable line of at most `LINE_LIMIT` characters; what was cut says how much."""
    spelled = inert(text[: LINE_LIMIT + 1])
    if len(text) <= LINE_LIMIT and len(spelled) <= LINE_LIMIT:
        return spelled
    note = f"… (cut: {len(text):,} characters)"
    return spelled[: LINE_LIMIT - len(note)] + note


def harmless(text: str) -> str:
    """The same for a text that people read: nothing in it calls anybody, wherever a receiver
    passes it on to.
    """
    return _MENTION.sub(lambda matched: _LOOKALIKES[matched[0]], inert_line(text))


def gap(gap_us: int) -> str:
    """Returns how far apart two lines are: "0.49 s", "12 s", "3.5 ms", "2 min 5 s"."""
    if gap_us < 10_000:
        return f"{gap_us / 1_000:g} ms"
    if gap_us < 10_000_000:
        return f"{gap_us / 1_000_000:.2f}".rstrip("0").rstrip(".") + " s"
    return duration(gap_us)


def duration(span_us: int) -> str:
    """A span in its two greatest units: "715 d 11 h", "2 h 5 min", "45 s"."""
    seconds = max(span_us, 0) // 1_000_000
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        return f"{days:,} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def clock(wall_us: int) -> str:
    """A moment in UTC to the second: "2026-03-01 12:00:00 UTC"."""
    text = moment(wall_us)
    return f"{text[:10]} {text[11:19]} UTC" if text else "at a time that no calendar holds"


def ordinal(number: int) -> str:
    """A place in a row: "1st", "2nd", "14th", "1,021st"."""
    ending = (
        "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number:,}{ending}"
