"""`oopswatch rules`: what raises incidents, in force or not, and what it would have raised."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector import clock
from detector.app import build
from detector.cli import terminal
from detector.cli.settings_options import config_option, patterns_option, settings_of, store_option
from detector.cli.stopping import tidied_on_sigterm
from detector.clock import DAY_US
from detector.errors import UserError
from detector.render.escape import inert
from detector.render.objects import Item, moment, rule_item
from detector.render.units import several, span
from detector.store.query.filters import parse
from detector.store.query.rule_trial import RaisedIncidents

if TYPE_CHECKING:
    from detector.app.rule_trial import TriedRule
    from detector.catalogue import Catalogue, Rule
    from detector.settings import Settings

_WEEK_US = 7 * DAY_US


@click.group()
def rules() -> None:
    """The rules that raise incidents, in force or not, and what each would have raised."""


@rules.command(
    "list",
    epilog="""\b
Examples:
  oopswatch rules list
  oopswatch rules list --json | jq -r 'select(.in_force) | .id'""",
)
@click.option("--json", "as_json", is_flag=True, help="NDJSON, one object a rule.")
@patterns_option
@config_option
def list_(as_json: bool, folders: tuple[Path, ...], config_path: Path | None) -> None:
    """Every rule, and whether it is in force."""
    from detector.cli.rule_tests import asked_for

    settings, catalogue = _known(folders, config_path)
    in_force = build.rules_in_force(settings, catalogue)
    if as_json:
        for rule in catalogue.rules:
            click.echo(json.dumps(rule_item(rule) | {"in_force": rule in in_force}))
        return
    cells = [
        (
            rule.id,
            "yes" if rule in in_force else f"no: {rule.switch}",
            rule.type,
            asked_for(rule),
            span(rule.timespan_us),
            rule.severity,
        )
        for rule in catalogue.rules
    ]
    columns = ("id", "in force", "type", "of", "within", "severity")
    terminal.say_table(terminal.console(), several(len(cells), "rule"), columns, cells)


@rules.command("show", epilog="\b\nExample:\n  oopswatch rules show lone-kernel-fault")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@patterns_option
@config_option
def show(name: str, as_json: bool, folders: tuple[Path, ...], config_path: Path | None) -> None:
    """All of one rule."""
    from detector.cli.rule_tests import asked_for

    settings, catalogue = _known(folders, config_path)
    (rule,) = _named(catalogue, (name,))
    in_force = build.rules_in_force(settings, catalogue)
    if as_json:
        click.echo(json.dumps(rule_item(rule) | {"in_force": rule in in_force}))
        return
    for key, value in (
        ("rule", rule.id),
        ("title", rule.title),
        ("in force", _force(rule, in_force)),
        ("type", rule.type),
        ("of", asked_for(rule)),
        ("within", span(rule.timespan_us)),
        ("anchor", rule.anchor or "the first of them"),
        ("severity", rule.severity),
        ("why", rule.reasoning),
        ("file", f"{rule.path}:{rule.line}"),
    ):
        click.echo(f"{key:<9} {inert(' '.join(value.split()))}")


def _force(rule: Rule, in_force: Collection[Rule]) -> str:
    """Says whether a rule is in force, and else which setting switches it on."""
    return "yes" if rule in in_force else f"no: {rule.switch} = true switches it on"


@rules.command(
    "test",
    epilog="""\b
Examples:
  oopswatch rules test --store history.db
  oopswatch rules test lone-kernel-fault outbreak --store history.db --since 30d
  oopswatch rules test --patterns ./our-patterns our-rule --store history.db --json
The history is only read; a copy of what the rules ask for is made in the folder for temporary \
files.""",
)
@click.argument("names", nargs=-1, metavar="[RULE...]")
@click.option("--since", metavar="TIME", help="Only what happened since: 30d, 12h, a date.")
@click.option(
    "--limit", type=click.IntRange(0, 1_000), default=5, show_default=True,
    help="Newest incidents of each rule that are named.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="NDJSON, one object a rule.")
@patterns_option
@store_option
@config_option
def test(
    names: tuple[str, ...],
    since: str | None,
    limit: int,
    as_json: bool,
    folders: tuple[Path, ...],
    store_path: Path | None,
    config_path: Path | None,
) -> None:
    """Counts what rules would have raised on a history, before anyone is notified.
    That is of all rules, or those that are named, in force or not.

    Rules that are tried together, and those in force, take part in each other's incidents: a lone
    fault may be part of an outbreak.
    """
    from detector.app.rule_trial import try_rules
    from detector.store import open_history

    settings, catalogue = _known(folders, config_path, store_path)
    rules_given = _named(catalogue, names) if names else catalogue.rules
    since_us = (parse({"since": [since]}, clock.now_us()).since_us or 0) if since else 0
    with tidied_on_sigterm(), closing(open_history(settings.store.path)) as history:
        trial = try_rules(history, settings, catalogue, rules_given, since_us, limit)
    if as_json:
        for tried in trial.tried:
            click.echo(json.dumps(tried_item(tried, since_us)))
        return
    most_first = sorted(
        trial.tried, key=lambda entry: -entry.raised.incidents if entry.raised else 0
    )
    cells = [_cells(tried, since_us) for tried in most_first]
    columns = ("rule", "incidents", "a week", "hosts", "in others", "first (UTC)", "last (UTC)")
    read = several(trial.faults, "fault")
    if trial.noise:
        read += f" and {several(trial.noise, 'count')} of noise"
    if trial.kernel_errors:
        read += f" and {several(trial.kernel_errors, 'count')} of new kernel errors"
    terminal.say_table(terminal.console(), f"Raised on {read}", columns, cells)
    for tried in most_first:
        rows = [
            (terminal.when(row.started_us), inert(row.host), inert(row.title))
            for row in tried.newest
        ]
        title = f"{tried.rule.id}, the newest"
        terminal.say_table(terminal.console(), title, ("started (UTC)", "host", "what"), rows)


def _known(
    folders: tuple[Path, ...], config_path: Path | None, store_path: Path | None = None
) -> tuple[Settings, Catalogue]:
    settings, _ = settings_of(
        config_path, patterns__directories=folders or None, store__path=store_path
    )
    return settings, build.catalogue_of(settings)


def _named(catalogue: Catalogue, names: tuple[str, ...]) -> tuple[Rule, ...]:
    """The rules of these names; raises `UserError` for one that there is not."""
    known = {rule.id: rule for rule in catalogue.rules}
    for name in names:
        if name not in known:
            raise UserError(f"no rule is called {name}; `oopswatch rules list` names them all")
    return tuple(known[name] for name in dict.fromkeys(names))


def tried_item(tried: TriedRule, since_us: int) -> Item:
    """Returns what a rule would have raised, as a JSON object."""
    raised = tried.raised
    return {
        "type": "rule_test",
        "rule": tried.rule.id,
        "incidents": raised.incidents if raised else 0,
        "per_week": _per_week(tried.raised, since_us),
        "hosts": raised.hosts if raised else 0,
        "problems": raised.problems if raised else 0,
        "parts_of_others": raised.parts if raised else 0,
        "first": moment(raised.first_us) if raised else None,
        "last": moment(raised.last_us) if raised else None,
        "newest": [
            {
                "started": moment(row.started_us),
                "host": row.host,
                "title": row.title,
                "severity": row.severity,
            }
            for row in tried.newest
        ],
    }


def _cells(tried: TriedRule, since_us: int) -> tuple[str, ...]:
    raised = tried.raised
    if raised is None:
        return (tried.rule.id, "0", "", "", "", "", "")
    return (
        tried.rule.id,
        f"{raised.incidents:,}",
        f"{_per_week(tried.raised, since_us):g}",
        f"{raised.hosts:,}",
        f"{raised.parts:,}" if raised.parts else "",
        terminal.when(raised.first_us),
        terminal.when(raised.last_us),
    )


def _per_week(raised: RaisedIncidents | None, since_us: int) -> float:
    """Incidents a week, from the time asked for, else the first, to the last; of a week at
    least.
    """
    if raised is None or raised.first_us is None or raised.last_us is None:
        return 0.0
    span = max(raised.last_us - (since_us or raised.first_us), _WEEK_US)
    return round(raised.incidents * _WEEK_US / span, 1)
