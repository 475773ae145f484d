"""`oopswatch config show`: every setting, its value, and where it is from."""

from __future__ import annotations

import json
from pathlib import Path

import click

from detector.cli.settings_options import config_option, settings_of


@click.group()
def config() -> None:
    """The settings in force."""


@config.command(
    epilog="""\b
Examples:
  oopswatch config show
  OOPSWATCH_KAFKA_TOPICS=kmsg oopswatch config show --config oopswatch.toml --json"""
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def show(as_json: bool, config_path: Path | None) -> None:
    """Every setting with its value and its origin: default, file:line, environment."""
    from detector.settings import shown

    rows = shown(*settings_of(config_path))
    if as_json:
        click.echo(
            json.dumps(
                {name: {"value": value, "origin": origin} for name, value, origin in rows}, indent=2
            )
        )
        return
    width = max(len(name) for name, _, _ in rows)
    for name, value, origin in rows:
        click.echo(f"{name:<{width}}  {value or '-':<30}  {origin}")
