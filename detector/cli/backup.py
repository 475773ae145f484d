"""`oopswatch backup`: a proved copy of the history, also while the service writes."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from detector.cli import terminal
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.render.units import several


@click.command(
    epilog="""\b
Examples:
  oopswatch backup /backup/oopswatch-$(date +%F).db
  oopswatch backup copy.db --store /var/lib/oopswatch/history.db --json
To restore: stop the service, put the copy in the history's place, remove the old -wal and -shm \
files, start the service."""
)
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: what the copy holds.")
@store_option
@config_option
def backup(target: Path, as_json: bool, store_path: Path | None, config_path: Path | None) -> None:
    """Copies the history to FILE as it is at one moment, checks the copy, and only then gives
    it its name.
    """
    from detector.store.backup import backup as copy

    settings, _ = settings_of(config_path, store__path=store_path)
    held = copy(settings.store.path, target, _progress if sys.stderr.isatty() else None)
    if as_json:
        click.echo(json.dumps({"type": "backup", "path": str(target), **asdict(held)}))
        return
    until = terminal.when(held.last_us)
    click.echo(
        f"{target}: sound; {several(held.incidents, 'incident')}, "
        f"{several(held.matches, 'match', 'matches')}, {several(held.hosts, 'host')}, "
        f"up to {until} (UTC)"
    )


def _progress(done: int, pages: int) -> None:
    click.echo(f"\r{done:,} of {pages:,} pages", nl=done == pages, err=True)
