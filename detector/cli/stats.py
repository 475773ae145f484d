"""`oopswatch stats`: the history in figures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from detector import clock
from detector.cli import terminal
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.render.escape import inert
from detector.render.units import several, sparkline
from detector.store.query.filters import Filter
from detector.store.query.results import Overview
from detector.unclaimed import unclaimed_summary


@click.command(epilog="\b\nExamples:\n  oopswatch stats\n  oopswatch stats --json | jq .totals")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@store_option
@config_option
def stats(as_json: bool, store_path: Path | None, config_path: Path | None) -> None:
    """The history in figures: how much there is, what is open, what is new, which programs
    crash most.
    """
    from detector.store import open_history

    settings, _ = settings_of(config_path, store__path=store_path)
    history, now = open_history(settings.store.path), clock.now_us()
    seen = history.overview(now)
    size = settings.store.path.stat().st_size
    if as_json:
        click.echo(json.dumps({"type": "stats", "bytes": size, **asdict(seen)}))
        return
    _say(seen, size)
    buckets = history.survey(Filter(), now_us=now).histogram
    if buckets:
        click.echo(
            f"  {'over time':<16}{terminal.when(buckets[0].start_us)} "
            f"{sparkline([bucket.count for bucket in buckets])} {terminal.when(now)}\n"
        )
    cells = [(inert(str(row.process)), str(row.signature), f"{row.count:,}") for row in seen.noise]
    terminal.say_table(
        terminal.console(), "Noise of 24 hours", ("process", "signature", "count"), cells
    )


def _say(seen: Overview, size: int) -> None:
    held = seen.totals
    facts = (
        (
            "file",
            (
                f"{size:,} bytes, from {terminal.when(held.first_us)} to "
                f"{terminal.when(held.last_us)} (UTC)"
            ),
        ),
        ("hosts", f"{held.hosts:,}, {several(held.boots, 'boot')}"),
        ("matches", f"{held.matches:,}, {several(held.reports, 'report')}"),
        ("incidents", f"{held.incidents:,}, and {held.joined:,} that were joined into others"),
        (
            "open",
            ", ".join(f"{count:,} {severity}" for severity, count in sorted(seen.open.items()))
            or "none",
        ),
        (
            "acknowledged",
            ", ".join(
                f"{count:,} {severity}" for severity, count in sorted(seen.acknowledged.items())
            )
            or "none",
        ),
        (
            "new problems",
            (
                f"{seen.new_problems_day:,} in 24 hours, {seen.new_problems_week:,} in 7 days, "
                f"{len(seen.regressions)} came back"
            ),
        ),
        ("noise", several(held.noise, "crash", "crashes") + " of user space"),
        ("not understood", inert(unclaimed_summary(seen.unclaimed) or "none")),
        (
            "set aside",
            f"{several(seen.rejected, 'record')}; see `oopswatch rejected list`"
            if seen.rejected
            else "none",
        ),
    )
    for label, value in facts:
        click.echo(f"  {label:<16}{value}")
