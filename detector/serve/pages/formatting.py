"""Words of a page: times, gaps, numbers, rules and known issues. Pure.

In: integers of µs and counts. Out: short texts; a time is absolute (UTC) and relative at once. It
escapes nothing: templates do.

Pure.
"""

from __future__ import annotations

from markupsafe import Markup

from detector.catalogue import Catalogue, Rule
from detector.catalogue.known_issues import KnownIssue
from detector.clock import HOUR_US
from detector.render.escape import inert
from detector.render.objects import moment
from detector.render.units import seconds
from detector.store.query.filters import Filter
from detector.store.query.problem_names import NamingProgress

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


def multiline(text: str) -> Markup:
    """The text of a person with its own line ends, each line inert."""
    return Markup("\n").join(inert(line) for line in text.splitlines())


def pattern(host: str) -> str:
    """A host's name as a filter that means it alone: the signs of patterns are put in brackets."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in host)


# What a rule counts hosts of.
_COUNTED = {
    "fingerprint": "fingerprint",
    "process": "process in the noise",
    "kernel-error": "kernel error that is news",
}


def rule_of(known: Catalogue, identity: str) -> Rule | None:
    """The rule with this id, None where the pattern files no longer have it."""
    return next((rule for rule in known.rules if rule.id == identity), None)


def issue_of(known: Catalogue, identity: str | None) -> KnownIssue | None:
    """The known issue with this id."""
    return (
        next((issue for issue in known.known_issues if issue.id == identity), None)
        if identity
        else None
    )


def naming_words(criteria: Filter, progress: NamingProgress | None) -> str:
    """The notice over a list by known bugs while problems are still being named; else empty."""
    if progress is None or progress.is_whole or not (criteria.known or criteria.fixable):
        return ""
    return (
        f"Still naming older reports by known bugs: {progress.percent} % of "
        f"{progress.of:,} problems are done. Load the page again for the rest."
    )


def rule_words(rule: Rule) -> str:
    """A rule as a sentence: what must meet, in what order, where and within what time."""
    names = list(rule.classes or rule.signatures)
    if rule.counts_hosts:
        hours = rule.timespan_us // HOUR_US
        what = _COUNTED[rule.group_by[0]]
        within = "an hour" if hours == 1 else f"{hours} hours"
        spread = f"One {what} on {rule.gte} hosts or more within {within} of wall time"
        if rule.times_usual:
            spread += f", and on {rule.times_usual} times as many as usual"
        return f"{spread}."
    if rule.type == "event_count":
        listed = f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
        what = "One" if rule.is_lone else f"{rule.gte} or more within {_span(rule)}"
        return f"{what} of {listed}, on one {' and '.join(rule.group_by)}."
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    order = "in this order" if rule.type == "temporal_ordered" else "in any order"
    return (
        f"{listed}, {order}, on one {' and '.join(rule.group_by)} within "
        f"{_span(rule)} of kernel time."
    )


def _span(rule: Rule) -> str:
    return f"{rule.timespan_us / 1_000_000:g} s"
