"""`oopswatch hosts`: which hosts the history knows, and what happened on one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from detector.app.known import history_of
from detector.cli import terminal
from detector.cli.listing import ListForm, ListRequest, list_options
from detector.cli.options import NameParam
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.errors import UserError
from detector.render.escape import inert
from detector.render.objects import Item, moment
from detector.render.units import several, uptime
from detector.store.query.results import HostDetail, HostRow

COLUMNS = ("host", "kernel", "last line (UTC)", "last incident (UTC)", "count")


@click.group()
def hosts() -> None:
    """Hosts, their boots and what happened on them."""


@hosts.command(
    "list",
    epilog="""\b
Examples:
  oopswatch hosts list --host 'db-*'
  oopswatch hosts list --known-issue tcp-listener-race --csv
  oopswatch hosts list --since 1h --json""",
)
@list_options(100)
def list_(request: ListRequest) -> None:
    """Hosts by name: of which lines are stored, or that have incidents of a filter."""
    history = history_of(request.settings, terminal.say_fault)
    rows = request.rows(
        lambda after, size: history.hosts(request.criteria, after=after, limit=size)
    )
    form = ListForm(
        HostRow, host_item, "host", COLUMNS, _cells, empty="No host matches.", which="first"
    )
    request.say(rows, form)


def _cells(row: HostRow) -> tuple[str, ...]:
    return (
        inert(row.name),
        inert(row.kernel or ""),
        terminal.when(row.last_seen_us),
        terminal.when(row.last_incident_us),
        f"{row.incidents:,}",
    )


@hosts.command(
    "show",
    epilog=(
        "\b\nExamples:\n  oopswatch hosts show db-17\n  oopswatch hosts show db-17 --json | jq "
        ".boots"
    ),
)
@click.argument("name", type=NameParam())
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@store_option
@config_option
def show(name: str, as_json: bool, store_path: Path | None, config_path: Path | None) -> None:
    """One host: its latest boots, its newest incidents, the programs that crash most on it."""
    settings, _ = settings_of(config_path, store__path=store_path)
    detail = history_of(settings, terminal.say_fault).host(name)
    if detail is None:
        raise UserError(f"{settings.store.path}: no host {name}; `oopswatch hosts list` names them")
    if as_json:
        latest = {
            "latest": [row.id for row in detail.incidents],
            "noise": [asdict(row) for row in detail.noise],
        }
        click.echo(
            json.dumps(
                host_item(detail.row) | {"boots": [asdict(boot) for boot in detail.boots]} | latest
            )
        )
        return
    _say(detail)


def host_item(row: HostRow) -> Item:
    """A host as JSON."""
    times = {
        "first_seen": moment(row.first_seen_us),
        "last_seen": moment(row.last_seen_us),
        "last_incident": moment(row.last_incident_us),
    }
    return {"type": "host", **asdict(row), **times}


def _say(detail: HostDetail) -> None:
    row, out = detail.row, terminal.console()
    click.echo(
        f"{inert(row.name)}: {several(row.incidents, 'incident')}, "
        f"kernel {inert(row.kernel or 'unknown')}"
    )
    click.echo(
        f"  lines stored from {terminal.when(row.first_seen_us)} to "
        f"{terminal.when(row.last_seen_us)} (UTC)\n"
    )
    boots = [
        (
            terminal.when(boot.epoch_us),
            inert(boot.boot_id or ""),
            inert(boot.kernel or ""),
            uptime(boot.last_kernel_us),
        )
        for boot in detail.boots
    ]
    terminal.say_table(out, "Boots", ("began (UTC)", "boot id", "kernel", "seen up to"), boots)
    cells = [
        (
            incident.id,
            terminal.when(incident.started_us),
            incident.severity,
            inert(incident.title),
            incident.state,
        )
        for incident in detail.incidents
    ]
    terminal.say_table(
        out, "Newest incidents", ("id", "started (UTC)", "severity", "what", "state"), cells
    )
    noise = [
        (
            inert(item.process or ""),
            item.signature or "",
            terminal.when(item.last_us),
            f"{item.count:,}",
        )
        for item in detail.noise
    ]
    terminal.say_table(
        out,
        "Noise: faults of programs and of mounted images",
        ("process", "signature", "last (UTC)", "count"),
        noise,
    )
