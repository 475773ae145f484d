"""The first page: what is open, what is new, what came back, where the fleet is hot, what
only makes noise, and whether oopswatch keeps up.

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
from detector.serve.deps import history, store_option
from detector.serve.pages import formatting, histograms
from detector.serve.pages.rendering import PageContent, now_us
from detector.store import History
from detector.store.query.results import HeatRow, Overview
from detector.unclaimed import unclaimed_summary

PLACE = "/"
SHOWN_PROBLEMS = 5
SHOWN_HOSTS = 15


def overview(request: Request) -> PageContent:
    """Returns what on-call looks at first."""
    now, reading = now_us(request), history(request)
    last_change = reading.last_change()
    overview_row = reading.overview(now)
    view = {
        "last_change": last_change,
        "tally": _tally(overview_row),
        "open": overview_row.newest,
        "grouped": overview_row.open_problems,
        "open_count": sum(overview_row.open.values()) + sum(overview_row.acknowledged.values()),
        "totals": overview_row.totals,
        "new_problems": overview_row.new_problems[:SHOWN_PROBLEMS],
        "regressions": overview_row.regressions[:SHOWN_PROBLEMS],
        "noise": overview_row.noise,
        "health": _health(overview_row, reading, now, store_option(request)),
    }
    return PageContent(
        "overview.html",
        "Overview",
        PLACE,
        view | _heat(overview_row),
        overview_row,
        overview_row.newest,
    )


def _tally(overview_row: Overview) -> list[dict[str, Any]]:
    opened, taken = sum(overview_row.open.values()), sum(overview_row.acknowledged.values())
    critical = overview_row.open.get("critical", 0)
    grouped = overview_row.open_problems_counted
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
            "value": formatting.number(overview_row.new_problems_week),
            "alarm": False,
        },
        {
            "label": "regressions this week",
            "value": formatting.number(len(overview_row.regressions)),
            "alarm": bool(overview_row.regressions),
        },
    ]


def _heat(overview_row: Overview) -> dict[str, Any]:
    """The heat strip; its shades are relative to the hottest hour of one host."""
    own = [row for row in overview_row.heat if row.host is not None]
    shown = own[:SHOWN_HOSTS]
    most = max((max(row.counts) for row in shown), default=0)
    hours = len(overview_row.heat[0].counts) if overview_row.heat else 0
    starts = [overview_row.heat_start_us + hour * HOUR_US for hour in range(hours)]
    others = sum(sum(row.counts) for row in overview_row.heat) - sum(
        sum(row.counts) for row in shown
    )
    return {
        "heat_rows": [_strip(row, starts, most) for row in shown],
        "heat_others": others,
        "heat_start": formatting.stamp(overview_row.heat_start_us)[:16],
        "heat_end": formatting.stamp(overview_row.heat_start_us + hours * HOUR_US)[:16],
    }


def _strip(row: HeatRow, starts: list[int], most: int) -> dict[str, Any]:
    hot = [(start, count) for start, count in zip(starts, row.counts, strict=True) if count]
    text = ", ".join(f"{formatting.stamp(start)[5:16]} {count:,}" for start, count in hot)
    return {
        "host": row.host,
        "svg": histograms.strip(
            row.counts, starts, most, f"{several(sum(row.counts), 'incident')}: {text}"
        ),
        "count": sum(row.counts),
        "words": text,
    }


def _health(
    overview_row: Overview, reading: History, now: int, store: str
) -> list[tuple[str, str | Markup]]:
    totals = overview_row.totals
    unread = sum(
        count for name, count in reading.counters().items() if name.startswith("unparsed:")
    )
    return [
        ("latest line kept", formatting.when(totals.last_us, now)),
        ("latest incident", formatting.when(overview_row.latest_us, now)),
        ("oldest open", formatting.when(overview_row.oldest_open_us, now)),
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
        ("not understood", _not_understood(overview_row)),
        ("set aside", _set_aside(overview_row, store)),
    ]


def _set_aside(overview_row: Overview, store: str) -> str | Markup:
    """Records that a stage raised on, and the command that lists them."""
    if not overview_row.rejected:
        return "nothing: no stage raised on a record"
    return Markup("{}: <code>oopswatch rejected list {}</code>").format(
        several(overview_row.rejected, "record"), store
    )


def _not_understood(overview_row: Overview) -> str:
    """Lines that hold the phrase of a kernel fault and that no signature claims, with a sample."""
    return inert(
        unclaimed_summary(overview_row.unclaimed) or "nothing: every phrase of a fault was claimed"
    )
