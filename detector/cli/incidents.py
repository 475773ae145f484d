"""`oopswatch incidents`: incidents of a history, and what people do with them.
It needs the SQLite file alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector.app.known import history_of
from detector.cli import actions, terminal
from detector.cli.listing import ListedRows, ListForm, ListRequest, list_options
from detector.cli.options import NameParam
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.errors import UserError
from detector.render.escape import inert
from detector.render.objects import Item
from detector.render.units import exact_seconds, several, sparkline
from detector.store import IncidentRow
from detector.store.lifecycle.states import Act
from detector.store.query.detail_item import detail_item
from detector.store.query.filters import Filter

if TYPE_CHECKING:
    from detector.settings import Settings
    from detector.store import History

COLUMNS = ("id", "started (UTC)", "host", "severity", "what", "gap", "known issue", "state")


@click.group()
def incidents() -> None:
    """Incidents of the history: what happened."""


@incidents.command(
    "list",
    epilog="""\b
Examples:
  oopswatch incidents list --since 7d
  oopswatch incidents list --host 'db-*' --since 2026-11-01 --json
  oopswatch incidents list --text '__inet_lookup*' --kernel 4.14..4.19
  oopswatch incidents list --state open --state acknowledged
  oopswatch incidents list --severity critical --csv > incidents.csv""",
)
@list_options(
    100, json_help="NDJSON: whole incidents, as scan --json prints them, with their state."
)
def list_(request: ListRequest) -> None:
    """Incidents, newest first."""
    history = history_of(request.settings, terminal.say_fault)
    rows = request.rows(
        lambda after, size: history.search(request.criteria, after=after, limit=size)
    )
    form = ListForm(
        IncidentRow,
        lambda row: item_of(history, row.id),
        "incident",
        COLUMNS,
        _cells,
        empty="No incident matches.",
    )
    if not request.say_data(rows, form):
        _say_list(history, request.criteria, rows, request.settings)


def _demand_rules(criteria: Filter, settings: Settings) -> None:
    """Raises FilterError where a filter names a rule that there is not. The catalogue is read only
    where one is named.
    """
    if criteria.rule:
        from detector.app import build
        from detector.app.rule_names import demand_rule

        catalogue = build.catalogue_of(settings)
        for rule in criteria.rule:
            demand_rule(rule, catalogue)


def _say_list(
    history: History, criteria: Filter, rows: ListedRows[IncidentRow], settings: Settings
) -> None:
    cells = [_cells(row) for row in rows]
    if not cells:
        click.echo("No incident matches.")
        _demand_rules(criteria, settings)
        return
    survey = history.survey(criteria)
    counted, buckets = survey.counted, survey.histogram
    shown = f", the newest {len(cells)} shown; more with --limit" if rows.more else ""
    found_words = (
        f"{counted.count:,}+ incidents" if counted.more else several(counted.count, "incident")
    )
    terminal.say_table(
        terminal.console(),
        f"{found_words}{shown}",
        COLUMNS,
        cells,
    )
    line = sparkline([bucket.count for bucket in buckets])
    click.echo(f"{terminal.when(buckets[0].start_us)} {line} {terminal.when(buckets[-1].end_us)}")


def _cells(row: IncidentRow) -> tuple[str, ...]:
    started, gap = terminal.when(row.started_us), exact_seconds(row.gap_us) if row.gap_us else ""
    return (
        row.id,
        started,
        inert(row.host),
        row.severity,
        inert(row.title),
        gap,
        inert(row.known_issue or ""),
        row.state,
    )


@incidents.command(
    "show",
    epilog="""\b
Examples:
  oopswatch incidents show 3f2a9c
  oopswatch incidents show 3f2a9c --json | jq .diagnosis""",
)
@click.argument("identity", metavar="ID", type=NameParam())
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@store_option
@config_option
def show(identity: str, as_json: bool, store_path: Path | None, config_path: Path | None) -> None:
    """Shows an incident: evidence, report verbatim, what it means, what became of it.
    That includes who was notified. ID may be a beginning that no other has.
    """
    settings, _ = settings_of(config_path, store__path=store_path)
    history = history_of(settings, terminal.say_fault)
    detail = history.incident(identity)
    if detail is None:
        raise UserError(
            f"{settings.store.path}: no incident {identity}; `oopswatch incidents list` names them"
        )
    fingerprint = detail.row.fingerprint
    advice = history.advice(fingerprint) if fingerprint else []
    if as_json:
        became = actions.became_item(history, detail.row.id)
        known = {"advice": [asdict(item) for item in advice]}
        click.echo(json.dumps(detail_item(detail) | became | known))
        return
    terminal.say_incident(terminal.console(), detail_item(detail))
    for item in advice:
        text = f"{item.text} ({item.author}, {terminal.when(item.at_us)})"
        click.echo(terminal.wrapped(item.about, text))
    if detail.block is not None:
        click.echo(
            f"  report, verbatim{'' if detail.block.complete else ' (cut: its end was not seen)'}:"
        )
        for line in detail.block.lines:
            click.echo(f"    {inert(line)}")
        click.echo()
    actions.say_became(history, detail.row.id)
    similar = [_cells(row) for row in history.similar(detail.row.id)]
    terminal.say_table(terminal.console(), "Similar incidents", COLUMNS, similar)


_ACTS: tuple[tuple[Act, str, str], ...] = (
    ("acknowledge", "ack", "Says that somebody looks after an incident: it is repeated to nobody."),
    ("resolve", "resolve", "Says that an incident is over."),
    ("reopen", "reopen", "Says that an incident is not over after all."),
    ("note", "note", "Writes a note to an incident: give it by --reason."),
)
for _act, _name, _meaning in _ACTS:
    incidents.add_command(actions.command(_act, _name, _meaning))


def item_of(history: History, identity: str) -> Item | None:
    """A stored incident as JSON, by its whole id; None where retention has removed it."""
    detail = history.incident(identity)
    return None if detail is None else detail_item(detail)
