"""`oopswatch rejected`: records that were set aside because a stage raised on them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from detector.cli import terminal
from detector.cli.options import all_rows, limit_option, output_options, table_title
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.model import Rejected
from detector.render.csv_rows import write_csv
from detector.render.escape import inert
from detector.render.objects import Item, moment, rejected_item
from detector.store.query.results import RejectedRow

COLUMNS = ("id", "at", "source", "number", "stage", "reason", "size", "sample")


@click.group()
def rejected() -> None:
    """Records that were set aside because a stage raised on them."""


@rejected.command(
    "list",
    epilog="""\b
Examples:
  oopswatch rejected list
  oopswatch rejected list --limit 1000 --json | jq -r '[.source, .number] | @tsv'""",
)
@limit_option(100)
@output_options
@store_option
@config_option
def list_(
    limit: int,
    as_json: bool,
    as_csv: bool,
    store_path: Path | None,
    config_path: Path | None,
) -> None:
    """Lists rejected records, newest first: position, the stage that raised what, first bytes."""
    from detector.store import open_history

    settings, _ = settings_of(config_path, store__path=store_path)
    history = open_history(settings.store.path)
    rows = all_rows(lambda after, size: history.rejected(after=after, limit=size), limit)
    items = [row_item(row) for row in rows]
    if as_json:
        for item in items:
            click.echo(json.dumps(item))
    elif as_csv:
        write_csv(sys.stdout, COLUMNS, ({name: item[name] for name in COLUMNS} for item in items))
    elif items:
        terminal.say_table(
            terminal.console(),
            table_title(len(items), "record set aside", "records set aside", more=rows.more),
            ("when (UTC)", "where", "stage", "raised", "first bytes"),
            [_cells(item) for item in items],
        )
    else:
        click.echo("No record was set aside.")


def row_item(row: RejectedRow) -> Item:
    """A stored rejected record as JSON."""
    item = rejected_item(Rejected(row.source, row.number, row.stage, row.reason, row.sample))
    return item | {"id": row.id, "at": moment(row.at_us), "size": row.size}


def _cells(item: Item) -> tuple[str, ...]:
    place = f"{item['source']}:{item['number']}"
    texts = (item["at"][:19], place, item["stage"], item["reason"], item["sample"][:60])
    return tuple(inert(text) for text in texts)
