"""`oopswatch noise`: which user-space programs crash, where and how often."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import click

from detector.cli import terminal
from detector.cli.options import ROWS, TimeParam
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.render.escape import inert
from detector.render.objects import moment
from detector.store import NoiseColumn, NoiseRow

COLUMNS = ("process", "signature", "host", "hour")


@click.command(
    epilog="""\b
Examples:
  oopswatch noise --since 24h
  oopswatch noise top --by process --top 5
  oopswatch noise --host db-17 --by process,hour --json"""
)
@click.argument("what", type=click.Choice(["top"]), required=False, metavar="[top]")
@click.option(
    "--by",
    default="process,signature,host",
    show_default=True,
    help="What to count by: process, signature, host, hour.",
)
@click.option("--host", help="Host, or a pattern such as 'db-*'.")
@click.option("--process", help="Whole name of one program.")
@click.option("--since", type=TimeParam(), help="From this time on: 24h, 7d, 2026-11-01.")
@click.option("--until", type=TimeParam(), help="Before this time.")
@click.option("--top", type=ROWS, default=20, show_default=True, help="Most rows.")
@click.option("--json", "as_json", is_flag=True, help="NDJSON.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV.")
@store_option
@config_option
def noise(
    what: str | None,
    by: str,
    host: str | None,
    process: str | None,
    since: int | None,
    until: int | None,
    top: int,
    as_json: bool,
    as_csv: bool,
    store_path: Path | None,
    config_path: Path | None,
) -> None:
    """User-space crashes, counted, most frequent first. `noise top` says the same."""
    from detector.store import open_history

    del what
    columns = list(dict.fromkeys(column.strip() for column in by.split(",") if column.strip()))
    if not columns:
        raise click.UsageError(f"--by is empty: there are {', '.join(COLUMNS)}")
    if unknown := [column for column in columns if column not in COLUMNS]:
        raise click.UsageError(f"--by {unknown[0]}: there are {', '.join(COLUMNS)}")
    settings, _ = settings_of(config_path, store__path=store_path)
    history = open_history(settings.store.path)
    rows = history.noise(
        by=cast(list[NoiseColumn], columns),
        host=host or None,
        process=process or None,
        since_us=since,
        until_us=until,
        top=top,
    ).rows
    if as_json:
        for row in rows:
            click.echo(json.dumps(_item(row, columns)))
    elif as_csv:
        terminal.say_csv(NoiseRow, rows)
    else:
        cells = [
            (
                *(inert(str(value)) for value in _values(row, columns)),
                terminal.when(row.last_us),
                f"{row.count:,}",
            )
            for row in rows
        ]
        terminal.say_table(
            terminal.console(),
            "Noise: faults of programs and of mounted images",
            (*columns, "last (UTC)", "count"),
            cells,
        )
        if not rows:
            click.echo("No user-space crash matches.")


def _values(row: NoiseRow, columns: list[str]) -> list[object]:
    return [
        terminal.when(row.hour_us) if column == "hour" else getattr(row, column)
        for column in columns
    ]


def _item(row: NoiseRow, columns: list[str]) -> dict[str, object]:
    named = {
        column: moment(row.hour_us) if column == "hour" else getattr(row, column)
        for column in columns
    }
    return {
        "type": "noise",
        **named,
        "count": row.count,
        "first": moment(row.first_us),
        "last": moment(row.last_us),
    }
