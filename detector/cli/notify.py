"""`oopswatch notify`: the routing file and its tests, messages, silences.
It says who would be notified, sends real test messages, and shows the log of messages.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from detector import clock
from detector.app import build
from detector.cli import terminal
from detector.cli.listing import limit_option, table_title
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.cli.silences import silence
from detector.errors import UserError
from detector.model import Severity
from detector.render.escape import inert
from detector.render.units import several

if TYPE_CHECKING:
    from detector.alert.routing import Receiver, Routing
    from detector.settings import Settings
    from detector.store.query.notifications import NotificationRow, SilenceRow

OUTCOMES = ("delivered", "waiting", "attempting", "refused", "undelivered", "unchanged", "not sent")

file_option = click.option(
    "--file",
    "routing_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Routing file; default alert.file of the settings.",
)


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  oopswatch notify check
  oopswatch notify route --host db-17 --rule tcp-release-and-memory-fault
  oopswatch notify --test                     a real test message to every receiver
  oopswatch notify --test pager               … to one
  oopswatch notify silence add --host 'db-*' --for 2h --comment 'kernel upgrade'""",
)
@click.option(
    "--test",
    "tested",
    is_flag=False,
    flag_value="",
    metavar="[RECEIVER]",
    help="Send a test message to one receiver, or to all.",
)
@file_option
@config_option
@click.pass_context
def notify(
    context: click.Context, tested: str | None, routing_path: Path | None, config_path: Path | None
) -> None:
    """Notification of people: routes, receivers, silences, the log of messages."""
    if context.invoked_subcommand is not None:
        return
    if tested is None:
        raise click.UsageError(
            "say what to do: --test, check, route, log or silence; --help tells more", context
        )
    _test(_routing(config_path, routing_path), tested)


def _test(routing: Routing, name: str) -> None:
    """A real message to each; exit code 1 where one was not taken."""
    if name and name not in routing.receivers:
        raise UserError(
            f"{routing.path}: no receiver {name}; there are "
            f"{', '.join(routing.receivers) or 'none'}"
        )
    failed = False
    for receiver in routing.receivers.values():
        if name in ("", receiver.name):
            failed |= not _try(receiver)
    if failed:
        raise click.exceptions.Exit(1)


def _try(receiver: Receiver) -> bool:
    """A fire, and then its end where the receiver knows one, so that nothing stays open."""
    from detector.alert.templates import example_notice

    now = clock.now_us()
    notice = example_notice(now)
    outcome = receiver.sender.send(notice, now)
    if outcome.verdict == "delivered" and "resolve" in receiver.sender.actions:
        outcome = receiver.sender.send(replace(notice, action="resolve"), clock.now_us())
    click.echo(
        f"{receiver.name} ({receiver.sender.kind}): {outcome.verdict}: {inert(outcome.detail)}"
    )
    return outcome.verdict == "delivered"


@notify.command(
    epilog="\b\nExamples:\n  oopswatch notify check\n  oopswatch notify check --file notify.toml"
)
@file_option
@config_option
def check(routing_path: Path | None, config_path: Path | None) -> None:
    """Reads the routing file and runs the tests in it.
    Names every fault with file and line. Exit 2 on faults.
    """
    routing = _routing(config_path, routing_path)
    click.echo(
        f"{routing.path}: {several(len(routing.receivers), 'receiver')}, "
        f"{several(len(routing.routes), 'route')}, "
        f"{several(len(routing.maintenances), 'maintenance')}"
        f"{'' if routing.receivers and routing.routes else ': nobody is notified of incidents'}"
    )


@notify.command(
    epilog="""\b
Examples:
  oopswatch notify route --host db-17 --rule tcp-release-and-memory-fault
  oopswatch notify route --host web-3 --rule machine-check-then-panic --severity critical --json"""
)
@click.option("--host", required=True, help="Host of the incident.")
@click.option("--rule", required=True, help="Its rule.")
@click.option(
    "--severity", type=click.Choice(get_args(Severity)), default="critical", show_default=True
)
@click.option("--problem", help="Its fingerprint.")
@click.option("--known-issue", help="The known issue that it is taken for.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@file_option
@store_option
@config_option
def route(
    host: str,
    rule: str,
    severity: Severity,
    problem: str | None,
    known_issue: str | None,
    as_json: bool,
    routing_path: Path | None,
    store_path: Path | None,
    config_path: Path | None,
) -> None:
    """Says who would be told of an incident now, and why. Sends nothing."""
    from detector.alert.routing import RoutingFacts, why_quiet
    from detector.app.rule_names import demand_rule

    settings = _settings(config_path, routing_path, store_path)
    demand_rule(rule, build.catalogue_of(settings))
    routing = _loaded(settings)
    facts = RoutingFacts(host, rule, severity, problem, known_issue)
    now = clock.now_us()
    quiet = why_quiet(facts, routing, _silences(settings, now), now)
    assigned = routing.assign(facts)
    if as_json:
        click.echo(json.dumps({"receivers": [asdict(item) for item in assigned], "quiet": quiet}))
        return
    for item in assigned:
        team = f", team {item.team}" if item.team else ""
        click.echo(f"{item.receiver}: by the route at {item.place}{team}")
    if not assigned:
        click.echo(f"nobody: {inert(routing.why_nobody(facts))}")
    elif quiet:
        click.echo(f"but not now: {inert(quiet)}")


@notify.command(
    epilog="""\b
Examples:
  oopswatch notify log
  oopswatch notify log --outcome refused --json"""
)
@click.option("--receiver", help="One receiver's messages.")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Those that ended so.")
@limit_option(50)
@click.option("--json", "as_json", is_flag=True, help="NDJSON.")
@store_option
@config_option
def log(
    receiver: str | None,
    outcome: str | None,
    limit: int,
    as_json: bool,
    store_path: Path | None,
    config_path: Path | None,
) -> None:
    """Every message sent or not sent, with its reason."""
    from detector.store import open_history
    from detector.store.query.notifications import latest

    settings, _ = settings_of(config_path, store__path=store_path)
    rows = latest(
        open_history(settings.store.path), receiver=receiver, outcome=outcome, limit=limit + 1
    )
    more, rows = len(rows) > limit, rows[:limit]
    if as_json:
        for row in rows:
            click.echo(
                json.dumps(
                    {"incident": row.incident_id, "host": row.host} | asdict(row.notification)
                )
            )
        return
    cells = [(row.incident_id, inert(row.host), *told_cells(row.notification)) for row in rows]
    columns = ("incident", "host", "when (UTC)", "who", "what", "outcome", "why", "answer")
    if not cells:
        click.echo("No message matches.")
    title = table_title(len(cells), "message", more=more)
    terminal.say_table(terminal.console(), title, columns, cells)


notify.add_command(silence)


def told_cells(row: NotificationRow) -> tuple[str, str, str, str, str, str]:
    """When, who, what, outcome, reason and answer of a notification, for a table."""
    outcome = (
        row.outcome
        + (f" until {terminal.when(row.due_us)}" if row.outcome == "waiting" else "")
        + (", maybe twice" if row.repeated else "")
    )
    return (
        terminal.when(row.at_us),
        row.receiver or "nobody",
        row.action or row.what,
        outcome,
        inert(row.reason),
        inert(row.detail or ""),
    )


def _settings(
    config_path: Path | None, routing_path: Path | None, store_path: Path | None = None
) -> Settings:
    settings, _ = settings_of(config_path, alert__file=routing_path, store__path=store_path)
    return settings


def _routing(config_path: Path | None, routing_path: Path | None) -> Routing:
    return _loaded(_settings(config_path, routing_path))


def _loaded(settings: Settings) -> Routing:
    from detector.app.alerting import routing_of

    if settings.alert.file is None:
        raise UserError(
            "there is no routing file: set alert.file, or name one with --file; "
            "docs/alerts.md shows one"
        )
    return routing_of(settings)


def _silences(settings: Settings, now_us: int) -> list[SilenceRow]:
    """Those of the history, where there is one already."""
    from detector.store import open_history
    from detector.store.query.notifications import silences

    return (
        silences(open_history(settings.store.path), now_us) if settings.store.path.is_file() else []
    )
