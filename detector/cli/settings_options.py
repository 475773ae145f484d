"""The options that every command with settings has: `--config`, `--patterns`, `--store`.

It imports neither the history nor the settings' models, so that help is quick and a service has
its options before its imports.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from detector.settings import Origins, Settings

Command = Callable[..., Any]


def config_option(command: Command) -> Command:
    """`--config FILE`."""
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option(
        "--config",
        "config_path",
        type=path,
        help="Settings file (TOML); default ./oopswatch.toml, /etc/oopswatch/oopswatch.toml.",
    )(command)


def patterns_option(command: Command) -> Command:
    """`--patterns DIR`, more than once."""
    path = click.Path(path_type=Path, file_okay=False)
    text = (
        "Folder of pattern files to add; one named like a shipped file replaces it. May be "
        "given again."
    )
    return click.option("--patterns", "folders", type=path, multiple=True, help=text)(command)


def store_option(command: Command) -> Command:
    """`--store FILE`."""
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option(
        "--store", "store_path", type=path, help="History file (SQLite); default from the settings."
    )(command)


def settings_of(config_path: Path | None, **overrides: object) -> tuple[Settings, Origins]:
    """The settings in force: see `detector.settings.settings_of`, which is imported now."""
    from detector import settings

    return settings.settings_of(config_path, **overrides)
