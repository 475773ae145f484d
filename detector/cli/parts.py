"""What several commands need: common options, the settings in force, the clock. The pipeline is in
`pipeline.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from detector.settings import Origins, Settings, load

SECOND_US = 1_000_000

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


def now_us() -> int:
    """The wall clock in µs since 1970: the only place where the commands read it."""
    return time.time_ns() // 1_000


def settings_of(config_path: Path | None, **overrides: object) -> tuple[Settings, Origins]:
    """The settings in force; an override that is None or empty was not given. Names are
    `group__name`.
    """
    given = {
        name.replace("__", "."): value
        for name, value in overrides.items()
        if value not in (None, (), "")
    }
    return load(config_path, given)
