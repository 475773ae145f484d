"""`oopswatch fleet`: how often the fleet crashes, by kernel release and by hardware model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from detector import clock
from detector.cli import terminal
from detector.cli.listing import output_options
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.render.escape import inert
from detector.render.objects import as_object
from detector.store.query import filters
from detector.store.query.fleet import FEW_CRASHES, FEW_HOST_WEEKS, CrashRate

COLUMNS = ("crashes", "hosts now", "host-weeks", "per 1,000 hosts and week", "first seen (UTC)")


@click.command(
    epilog="""\b
Examples:
  oopswatch fleet
  oopswatch fleet --by hardware --since 90d
  oopswatch fleet --since 2026-10-01 --until 2026-11-01 --json""",
)
@click.option(
    "--by", type=click.Choice(["kernel", "hardware"]), default="kernel", show_default=True,
    help="Kernel release, or hardware model.",
)  # fmt: skip
@click.option("--since", help="From this time on, as in lists; 28 days where it is not given.")
@click.option("--until", help="Before this time.")
@output_options
@store_option
@config_option
def fleet(
    by: Any,
    since: str | None,
    until: str | None,
    as_json: bool,
    as_csv: bool,
    store_path: Path | None,
    config_path: Path | None,
) -> None:
    """Ranks kernel releases, or hardware models, by crash reports per 1,000 hosts and week.
    The highest comes first.
    """
    from detector.store import open_history

    given = {name: [text] for name, text in (("since", since), ("until", until)) if text}
    now = clock.now_us()
    criteria = filters.parse(given, now)
    settings, _ = settings_of(config_path, store__path=store_path)
    history = open_history(settings.store.path)
    terminal.say_entered(settings.store.path, history.percent_entered())
    rates = history.crash_rates(by, criteria.since_us, criteria.until_us, now_us=now)
    if as_json:
        for row in rates.rows:
            click.echo(json.dumps({"type": "crash_rate", "by": by, **as_object(row)}))
        return
    if as_csv:
        terminal.say_csv(CrashRate, rates.rows)
        return
    span = f"{terminal.when(rates.since_us)} to {terminal.when(rates.until_us)} (UTC)"
    if not rates.rows:
        click.echo(f"No host and no crash of a known {by} from {span}.")
        return
    terminal.say_table(
        terminal.console(),
        f"Crashes by {by}, {span}",
        (by, *COLUMNS),
        [_cells(row) for row in rates.rows],
    )
    if any(row.few for row in rates.rows):
        click.echo(
            f"few: fewer than {FEW_CRASHES} crashes or {FEW_HOST_WEEKS:g} host-weeks; chance alone "
            "may explain the rate"
        )


def _cells(row: CrashRate) -> tuple[str, ...]:
    rate = "unknown" if row.rate is None else f"{row.rate:,.1f}"
    return (
        inert(row.name),
        f"{row.crashes:,}",
        f"{row.hosts:,}",
        f"{row.host_weeks:,.1f}",
        f"{rate}{' (few)' if row.few else ''}",
        terminal.when(row.first_us)[:10],
    )
