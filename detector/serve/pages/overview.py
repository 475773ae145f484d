"""The first page: what is open, what is new, what came back, where the fleet is hot, what only
makes noise, and whether oopswatch keeps up.

In: the history as of now. Out: a page of less than 50 KB, however large the history is: every list
is bounded.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request
from markupsafe import Markup

from detector.clock import HOUR_US
from detector.render.escape import inert
from detector.render.units import several
from detector.serve.deps import history
from detector.serve.pages import formatting, histograms
from detector.serve.pages.rendering import PageContent, now_us
from detector.store import History
from detector.store.query.results import HeatRow, Overview
from detector.unclaimed import unclaimed_summary

PLACE = "/"
SHOWN_PROBLEMS = 5
SHOWN_HOSTS = 15


def overview(request: Request) -> PageContent:
    """What on-call looks at first."""
    now, reading = now_us(request), history(request)
    last_change = reading.last_change()
    found = reading.overview(now)
    view = {
        "last_change": last_change,
        "tally": _tally(found),
        "open": found.newest,
        "grouped": found.open_problems,
        "open_count": sum(found.open.values()) + sum(found.acknowledged.values()),
        "totals": found.totals,
        "new_problems": found.new_problems[:SHOWN_PROBLEMS],
        "regressions": found.regressions[:SHOWN_PROBLEMS],
        "noise": found.noise,
        "health": _health(found, reading, now),
    }
    return PageContent("overview.html", "Overview", PLACE, view | _heat(found), found, found.newest)


def _tally(found: Overview) -> list[dict[str, Any]]:
    opened, taken = sum(found.open.values()), sum(found.acknowledged.values())
    critical = found.open.get("critical", 0)
    grouped = found.open_problems_counted
    return [
        {
            "label": "open problems",
            "value": f"{formatting.number(grouped.count)}{'+' if grouped.more else ''}",
            "alarm": grouped.count > 0,
        },
        {"label": "open incidents", "value": formatting.number(opened), "alarm": opened > 0},
        {"label": "of these critical", "value": formatting.number(critical), "alarm": critical > 0},
        {"label": "acknowledged", "value": formatting.number(taken), "alarm": False},
        {
            "label": "new problems this week",
            "value": formatting.number(found.new_problems_week),
            "alarm": False,
        },
        {
            "label": "regressions this week",
            "value": formatting.number(len(found.regressions)),
            "alarm": bool(found.regressions),
        },
    ]


def _heat(found: Overview) -> dict[str, Any]:
    """The heat strip; its shades are relative to the hottest hour of one host."""
    own = [row for row in found.heat if row.host is not None]
    shown = own[:SHOWN_HOSTS]
    most = max((max(row.counts) for row in shown), default=0)
    hours = len(found.heat[0].counts) if found.heat else 0
    starts = [found.heat_start_us + hour * HOUR_US for hour in range(hours)]
    others = sum(sum(row.counts) for row in found.heat) - sum(sum(row.counts) for row in shown)
    return {
        "heat_rows": [_strip(row, starts, most) for row in shown],
        "heat_others": others,
        "heat_start": formatting.stamp(found.heat_start_us)[:16],
        "heat_end": formatting.stamp(found.heat_start_us + hours * HOUR_US)[:16],
    }


def _strip(row: HeatRow, starts: list[int], most: int) -> dict[str, Any]:
    hot = [(start, count) for start, count in zip(starts, row.counts, strict=True) if count]
    said = ", ".join(f"{formatting.stamp(start)[5:16]} {count:,}" for start, count in hot)
    return {
        "host": row.host,
        "svg": histograms.strip(
            row.counts, starts, most, f"{several(sum(row.counts), 'incident')}: {said}"
        ),
        "count": sum(row.counts),
        "words": said,
    }


def _health(found: Overview, reading: History, now: int) -> list[tuple[str, str | Markup]]:
    totals = found.totals
    unread = sum(
        count for name, count in reading.counters().items() if name.startswith("unparsed:")
    )
    return [
        ("latest line kept", formatting.when(totals.last_us, now)),
        ("latest incident", formatting.when(found.latest_us, now)),
        ("oldest open", formatting.when(found.oldest_open_us, now)),
        ("reports still open", formatting.number(totals.open_reports)),
        (
            "kept",
            (
                f"{several(totals.matches, 'kernel line')}, "
                f"{several(totals.noise, 'crash', 'crashes')} of noise"
            ),
        ),
        (
            "not read",
            several(unread, "record") if unread else "nothing: every record had a known format",
        ),
        ("not understood", _not_understood(found)),
        ("set aside", _set_aside(found)),
    ]


def _set_aside(found: Overview) -> str | Markup:
    """Records that a stage raised on, and the command that lists them."""
    if not found.rejected:
        return "nothing: no stage raised on a record"
    return Markup("{}: <code>oopswatch rejected list</code>").format(
        several(found.rejected, "record")
    )


def _not_understood(found: Overview) -> str:
    """Lines that hold the phrase of a kernel fault and that no signature claims, with a sample."""
    return inert(
        unclaimed_summary(found.unclaimed) or "nothing: every phrase of a fault was claimed"
    )
