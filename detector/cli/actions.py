"""Actions on incidents by command, and the log of what became of one.

In: an act and its options. Out: the change on standard output. Works on the file, beside a running
service.
"""

from __future__ import annotations

import getpass
import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector import clock
from detector.cli import terminal
from detector.cli.options import NameParam
from detector.cli.settings_options import Command, config_option, settings_of, store_option
from detector.render.escape import inert
from detector.render.objects import Item, moment
from detector.store.lifecycle.changes import Change
from detector.store.lifecycle.states import Act

if TYPE_CHECKING:
    from detector.store import History
    from detector.store.query.notifications import NotificationRow


def actor_option(command: Command) -> Command:
    """`--actor NAME`."""
    return click.option("--actor", default=_user, show_default="who you are", help="Who does it.")(
        command
    )


def command(act: Act, name: str, meaning: str) -> click.Command:
    """The command that does one thing with incidents."""

    @click.command(
        name,
        help=meaning,
        epilog=f"""\b
Examples:
  oopswatch incidents {name} 3f2a9c --reason 'seen on the console as well'
  oopswatch incidents {name} 3f2a9c 77b01d --actor ann --reason 'ticket 4711'""",
    )
    @click.argument("identities", metavar="ID…", nargs=-1, required=True, type=NameParam())
    @click.option("--reason", help="Why, or the note.", required=act == "note")
    @click.option(
        "--request",
        help=(
            "An id of your own for this request: the same one again changes nothing. For one "
            "incident."
        ),
    )
    @click.option("--json", "as_json", is_flag=True, help="NDJSON: the changes.")
    @actor_option
    @store_option
    @config_option
    def do(
        identities: tuple[str, ...],
        reason: str | None,
        request: str | None,
        as_json: bool,
        actor: str,
        store_path: Path | None,
        config_path: Path | None,
    ) -> None:
        from detector.store import open_actions

        if request and len(identities) > 1:
            raise click.UsageError("--request is for one incident")
        settings, _ = settings_of(config_path, store__path=store_path)
        with closing(open_actions(settings.store.path, clock.now_us)) as actions:
            for identity in identities:
                say_change(
                    actions.act(identity, act, actor=actor, reason=reason, request=request),
                    as_json=as_json,
                )

    return do


def say_change(change: Change, *, as_json: bool) -> None:
    """One change, as a line."""
    if as_json:
        click.echo(json.dumps(change_item(change)))
    else:
        click.echo(f"{change.incident_id} {_line(change)}")


def change_item(change: Change) -> Item:
    """A change as JSON."""
    return {"type": "change", **asdict(change), "at": moment(change.at_us)}


def became_item(history: History, identity: str) -> Item:
    """Returns what became of an incident, and who was told of it, as JSON."""
    from detector.store.query.notifications import notifications_of

    rows = [
        asdict(notification) | {"at": moment(notification.at_us)}
        for notification in notifications_of(history, identity)
    ]
    return {
        "changes": [change_item(change) for change in history.changes_of(identity)],
        "notifications": rows,
    }


def say_became(history: History, identity: str) -> None:
    """Prints what became of an incident, and who was notified of it, when, or why not."""
    from detector.store.query.notifications import notifications_of

    click.echo("  what became of it:")
    for change in history.changes_of(identity):
        click.echo(f"    {_line(change)}")
    rows = notifications_of(history, identity)
    click.echo("  who was told:" if rows else "  nobody was told yet")
    for item in rows:
        click.echo(f"    {_outcome_of(item)}")
    click.echo()


def _line(change: Change) -> str:
    reason = f": {inert(change.reason)}" if change.reason else ""
    return f"{terminal.when(change.at_us)} {change.what} by {inert(change.actor)}{reason}"


def _outcome_of(notification_row: NotificationRow) -> str:
    detail = f" ({inert(notification_row.detail)})" if notification_row.detail else ""
    return (
        f"{terminal.when(notification_row.at_us)} "
        f"{inert(notification_row.receiver or 'nobody')}: {notification_row.outcome}: "
        f"{inert(notification_row.reason)}{detail}"
    )


def _user() -> str:
    """The name of the account, as the system or the environment says it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
