"""`oopswatch incidents`: the history's incidents, from the SQLite file alone."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import click

from detector.cli import Mendable, parts, text
from detector.cli.times import Moment
from detector.inert import inert
from detector.items import Item, incident_item, moment
from detector.model import Diagnosis
from detector.store import History, IncidentDetail, IncidentRow, open_history


@click.group()
def incidents() -> None:
    """What happened: incidents of the history."""


@incidents.command(
    "list",
    epilog="""\b
Examples:
  oopswatch incidents list --since 7d
  oopswatch incidents list --host 'db-*' --since 2026-11-01 --json
  oopswatch incidents list --severity critical --csv > incidents.csv""",
)
@click.option("--host", help="Host, or a pattern such as 'db-*'.")
@click.option("--since", type=Moment(), help="From this time on: 24h, 7d, 2026-11-01.")
@click.option("--until", type=Moment(), help="Before this time.")
@click.option("--rule", help="Rule id.")
@click.option("--severity", type=click.Choice(["critical", "error", "warning", "info"]))
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most incidents, newest first.")
@click.option("--json", "as_json", is_flag=True, help="NDJSON: whole incidents, as scan --json prints them, with their state.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV, one row each.")
@parts.store_option
@parts.config_option
def list_(
    host: str | None,
    since: int | None,
    until: int | None,
    rule: str | None,
    severity: str | None,
    limit: int,
    as_json: bool,
    as_csv: bool,
    store_path: Path | None,
    config_path: Path | None,
) -> None:
    """Incidents, newest first."""
    settings, _ = parts.settings_of(config_path, store__path=store_path)
    history = open_history(settings.store.path)
    rows = history.incidents(host=host, since_us=since, until_us=until, rule=rule, severity=severity, limit=limit)
    if as_json:
        for row in rows:
            click.echo(json.dumps(item_of(history, row.id)))
    elif as_csv:
        _say_csv(rows)
    else:
        cells = [
            (
                row.id,
                text.when(row.started_us),
                inert(row.host),
                row.severity,
                inert(row.title),
                text.gap(row.gap_us),
                row.known_issue or "",
                row.state,
            )
            for row in rows
        ]
        columns = ("id", "started (UTC)", "host", "severity", "what", "gap", "known issue", "state")
        text.say_table(text.console(), f"{len(rows)} incidents", columns, cells)
        if not rows:
            click.echo("No incident matches.")


@incidents.command(
    "show",
    epilog="""\b
Examples:
  oopswatch incidents show 3f2a9c
  oopswatch incidents show 3f2a9c --json | jq .diagnosis""",
)
@click.argument("identity", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@parts.store_option
@parts.config_option
def show(identity: str, as_json: bool, store_path: Path | None, config_path: Path | None) -> None:
    """One incident with its evidence, its report verbatim, and what it means. ID may be a beginning that no other has."""
    settings, _ = parts.settings_of(config_path, store__path=store_path)
    history = open_history(settings.store.path)
    detail = history.incident(identity)
    if detail is None:
        raise Mendable(f"{settings.store.path}: no incident {identity}; `oopswatch incidents list` names them")
    item = _item(detail)
    if as_json:
        click.echo(json.dumps(item))
        return
    out = text.console()
    text.say_incident(out, item)
    if detail.block is not None:
        click.echo(f"  report, verbatim{'' if detail.block.complete else ' (cut: its end was not seen)'}:")
        for line in detail.block.lines:
            click.echo(f"    {inert(line)}")


def item_of(history: History, identity: str) -> Item:
    """A stored incident as JSON, by its whole id."""
    detail = history.incident(identity)
    assert detail is not None
    return _item(detail)


def _item(detail: IncidentDetail) -> Item:
    """The same object as `scan --json` prints, with state, the time it was found at, and the report's lines."""
    item = incident_item(detail.incident, detail.row.fingerprint, None, detail.diagnosis or Diagnosis())
    item |= {"report": detail.report, "state": detail.row.state, "found": moment(detail.row.found_us)}
    if detail.row.joined_into:
        item["joined_into"] = detail.row.joined_into
    if detail.block:
        item["report_lines"] = list(detail.block.lines)
    return item


def _say_csv(rows: list[IncidentRow]) -> None:
    text.say_csv([field.name for field in fields(IncidentRow)], map(asdict, rows))
