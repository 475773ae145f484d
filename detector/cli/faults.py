"""`oopswatch faults`: every kernel fault of the history, in an incident or not."""

from __future__ import annotations

import json
from pathlib import Path

import click

from detector.app import build
from detector.app.known import history_of, known_bugs
from detector.cli import terminal
from detector.cli.listing import ListForm, ListRequest, list_options
from detector.cli.options import RowNumberParam
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.errors import UserError
from detector.render.escape import inert
from detector.render.objects import Item, as_object
from detector.store.query.faults import FIELDS, FaultRow

COLUMNS = ("id", "time (UTC)", "host", "severity", "what", "kernel", "known", "incident")


@click.group()
def faults() -> None:
    """Every kernel fault of the history, in an incident or not."""


@faults.command(
    "list",
    epilog="""\b
Examples:
  oopswatch faults list --host edge-32 --since 30d
  oopswatch faults list --class memory-fault --kernel 5.4..5.15 --json""",
)
@list_options(100, fields=FIELDS)
def list_(request: ListRequest) -> None:
    """Kernel faults, newest first."""
    settings = request.settings
    heads = build.catalogue_of(settings).opening
    history = history_of(settings, terminal.say_fault)
    rows = request.rows(
        lambda after, size: history.faults(request.criteria, heads, after=after, limit=size)
    )
    terminal.say_entered(settings.store.path, history.percent_entered())
    request.say(
        rows, ListForm(FaultRow, _item, "fault", COLUMNS, _cells, empty="No fault matches.")
    )


def _item(row: FaultRow) -> Item:
    return {"type": "fault", **as_object(row)}


def _cells(row: FaultRow) -> tuple[str, ...]:
    return (
        str(row.id),
        terminal.when(row.wall_time_us),
        inert(row.host),
        row.severity,
        terminal.repeated(inert(row.title)[:100], row.times),
        inert(row.kernel or ""),
        " or ".join(bug.id for bug in row.known_bugs),
        row.incident or "",
    )


@faults.command(
    "show",
    epilog="\b\nExamples:\n  oopswatch faults show 4711\n  oopswatch faults show 4711 --json",
)
@click.argument("identity", metavar="ID", type=RowNumberParam("oopswatch faults list"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@store_option
@config_option
def show(identity: int, as_json: bool, store_path: Path | None, config_path: Path | None) -> None:
    """One fault: its line, its report verbatim, what it means."""
    from detector.app.standing import fault_item

    settings, _ = settings_of(config_path, store__path=store_path)
    detail = history_of(settings, terminal.say_fault).fault(identity)
    if detail is None:
        raise UserError(
            f"{settings.store.path}: no fault {identity}; `oopswatch faults list` names them"
        )
    catalogue = build.catalogue_of(settings)
    bugs = known_bugs(settings, lambda: catalogue, terminal.say_fault)
    item = fault_item(detail, catalogue, bugs)
    if as_json:
        click.echo(json.dumps(item))
        return
    row = detail.row
    title = terminal.repeated(inert(row.title), row.times)
    click.echo(f"[{row.severity}] {inert(row.host)}: {title}")
    click.echo(f"  time        {terminal.when(row.wall_time_us)} (UTC)")
    click.echo(f"  kernel      {inert(row.kernel or 'unknown')}")
    click.echo(f"  hardware    {inert(row.hardware or 'unknown')}")
    click.echo(f"  signature   {row.signature}")
    click.echo(f"  incident    {row.incident or 'none'}")
    click.echo(
        f"  line        {inert(detail.match.text)}   "
        f"{inert(detail.match.source)}:{detail.match.number}"
    )
    for sentence in item["explanation"]["diagnosis"]:
        click.echo(terminal.wrapped(sentence["confidence"], sentence["text"]))
    for bug in item["explanation"]["known_bugs"]:
        click.echo(terminal.wrapped("known bug", terminal.known_bug(bug)))
    for step in item["explanation"]["next_steps"]:
        click.echo(terminal.wrapped("next", step))
    for line in item["report_lines"]:
        click.echo(f"    {inert(line)}")
