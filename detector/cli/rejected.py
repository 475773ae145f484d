"""`oopswatch rejected`: records that were set aside because a stage raised on them."""

from __future__ import annotations

import click

from detector.cli.listing import ListForm, ListRequest, list_options
from detector.model import Rejected
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
@list_options(100, fields=())
def list_(request: ListRequest) -> None:
    """Lists rejected records, newest first: position, the stage that raised what, first bytes."""
    from detector.store import open_history

    history = open_history(request.settings.store.path)
    form = ListForm(
        RejectedRow,
        row_item,
        "record set aside",
        ("when (UTC)", "where", "stage", "raised", "first bytes"),
        lambda row: _cells(row_item(row)),
        empty="No record was set aside.",
        many="records set aside",
        csv_columns=COLUMNS,
    )
    request.say(request.rows(lambda after, size: history.rejected(after=after, limit=size)), form)


def row_item(row: RejectedRow) -> Item:
    """A stored rejected record as JSON."""
    item = rejected_item(Rejected(row.source, row.number, row.stage, row.reason, row.sample))
    return item | {"id": row.id, "at": moment(row.at_us), "size": row.size}


def _cells(item: Item) -> tuple[str, ...]:
    place = f"{item['source']}:{item['number']}"
    texts = (item["at"][:19], place, item["stage"], item["reason"], item["sample"][:60])
    return tuple(inert(text) for text in texts)
