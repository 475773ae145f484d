"""`oopswatch notify silence`: of what nobody is notified for a while."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector import clock
from detector.app import build
from detector.cli import terminal
from detector.cli.options import RowNumberParam, TimeParam
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.errors import UserError
from detector.render.escape import inert
from detector.render.objects import moment
from detector.render.units import several
from detector.store.query.filters import UNITS_US

if TYPE_CHECKING:
    from detector.store.query.notifications import SilenceRow


@click.group()
def silence() -> None:
    """Silences: of what nobody is told for a while."""


@silence.command(
    epilog="""\b
Examples:
  oopswatch notify silence add --host 'db-*' --for 2h --comment 'kernel upgrade'
  oopswatch notify silence add --fingerprint 1:03dc7ae0 --for 7d --comment 'fix is rolling out'"""
)
@click.option("--host", help="Host, or a pattern such as 'db-*'.")
@click.option("--rule", help="Rule id, or a pattern.")
@click.option("--fingerprint", help="A problem.")
@click.option("--for", "span", required=True, metavar="TIME", help="How long: 30m, 2h, 7d.")
@click.option(
    "--from",
    "starts",
    type=TimeParam(),
    help="From this time on, instead of now: 2026-11-01T10:00:00Z.",
)
@click.option("--comment", required=True, help="Why.")
@click.option("--author", help="Who; your login name unless said.")
@store_option
@config_option
def add(
    host: str | None,
    rule: str | None,
    fingerprint: str | None,
    span: str,
    starts: int | None,
    comment: str,
    author: str | None,
    store_path: Path | None,
    config_path: Path | None,
) -> None:
    """Silences the incidents that fit all that is given, until the silence ends.
    Nobody is notified of them; they are kept in the history all the same.
    """
    from detector.app.rule_names import demand_rule
    from detector.store import open_actions

    settings, _ = settings_of(config_path, store__path=store_path)
    number, unit = span[:-1], span[-1:]
    if not (number.isascii() and number.isdigit() and unit in UNITS_US) or len(number) > 6:
        raise UserError(f"--for {span}: write how long as 30m, 2h or 7d")
    if rule is not None:
        demand_rule(rule, build.catalogue_of(settings))
    starts_us = starts if starts is not None else clock.now_us()
    ends_us = starts_us + int(number) * UNITS_US[unit]
    actions = open_actions(settings.store.path)
    facts = {"host": host, "rule": rule, "fingerprint": fingerprint}
    identity = actions.silence(
        **facts,
        starts_us=starts_us,
        ends_us=ends_us,
        author=author or getpass.getuser(),
        comment=comment,
    )
    click.echo(f"silence #{identity} until {moment(ends_us)}")


@silence.command("list", epilog="\b\nExample:\n  oopswatch notify silence list")
@click.option("--json", "as_json", is_flag=True, help="NDJSON.")
@store_option
@config_option
def list_(as_json: bool, store_path: Path | None, config_path: Path | None) -> None:
    """Silences that are not over."""
    from detector.store import open_history
    from detector.store.query.notifications import silences

    settings, _ = settings_of(config_path, store__path=store_path)
    rows = silences(open_history(settings.store.path), clock.now_us())
    if as_json:
        for row in rows:
            click.echo(json.dumps(asdict(row)))
        return
    cells = [
        (
            f"#{row.id}",
            _of(row),
            terminal.when(row.starts_us),
            terminal.when(row.ends_us),
            inert(row.author),
            inert(row.comment),
        )
        for row in rows
    ]
    if not cells:
        click.echo("No silence is in force or planned.")
    terminal.say_table(
        terminal.console(),
        several(len(rows), "silence"),
        ("id", "of", "from (UTC)", "until (UTC)", "by", "why"),
        cells,
    )


@silence.command(epilog="\b\nExample:\n  oopswatch notify silence expire 3")
@click.argument("identity", metavar="ID", type=RowNumberParam("oopswatch notify silence list"))
@click.option("--actor", help="Who; your login name unless said.")
@store_option
@config_option
def expire(
    identity: int, actor: str | None, store_path: Path | None, config_path: Path | None
) -> None:
    """Ends a silence now."""
    from detector.store import open_actions

    settings, _ = settings_of(config_path, store__path=store_path)
    open_actions(settings.store.path).expire_silence(identity, actor=actor or getpass.getuser())
    click.echo(f"silence #{identity} is over")


def _of(row: SilenceRow) -> str:
    conditions = (("host", row.host), ("rule", row.rule), ("problem", row.fingerprint))
    return inert(", ".join(f"{name} {value}" for name, value in conditions if value))
