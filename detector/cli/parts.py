"""What several commands need: common options, the catalogue of the settings, a watch over a journal, the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import click

from detector.assemble import Assembler, Limits
from detector.catalogue import Catalogue, read
from detector.match import Matcher
from detector.parse import Parser
from detector.service import GENERIC, NOBODY, Told, Watch
from detector.settings import Origins, Settings, load
from detector.settings.pattern_files import pattern_files
from detector.store import Journal

SECOND_US = 1_000_000

Command = Callable[..., Any]


def config_option(command: Command) -> Command:
    """`--config FILE`."""
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option(
        "--config", "config_path", type=path, help="Settings file (TOML); default ./oopswatch.toml, /etc/oopswatch/oopswatch.toml."
    )(command)


def patterns_option(command: Command) -> Command:
    """`--patterns DIR`, more than once."""
    path = click.Path(path_type=Path, file_okay=False)
    text = "Folder of pattern files to add; one named like a shipped file replaces it. May be given again."
    return click.option("--patterns", "folders", type=path, multiple=True, help=text)(command)


def store_option(command: Command) -> Command:
    """`--store FILE`."""
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option("--store", "store_path", type=path, help="History file (SQLite); default from the settings.")(command)


def now_us() -> int:
    """The wall clock in µs since 1970: the only place where the commands read it."""
    return time.time_ns() // 1_000


def settings_of(config_path: Path | None, **overrides: object) -> tuple[Settings, Origins]:
    """The settings in force; an override that is None or empty was not given. Names are `group__name`."""
    given = {name.replace("__", "."): value for name, value in overrides.items() if value not in (None, (), "")}
    return load(config_path, given)


def catalogue_of(settings: Settings, *, prove: bool = False) -> Catalogue:
    """The checked catalogue; CatalogueError lists what is wrong with it.

    What is shipped alone is not proved again at each start, which takes half a second: its tests did, and `patterns check` does.
    """
    return read(pattern_files(settings), prove=prove or bool(settings.patterns.directories))


def parser_of(settings: Settings, *, host: str | None = None) -> Parser:
    """A parser as the settings say; `host` overrides what records say."""
    return Parser(host=host or settings.parse.host, format=settings.parse.format, zone=settings.parse.timezone)


def watch_of(
    settings: Settings,
    journal: Journal,
    catalogue: Catalogue,
    *,
    host: str | None = None,
    told: Told | None = None,
    keeps_noise: bool = True,
) -> Watch:
    """A pipeline as the settings say."""
    bounds = settings.assemble
    limits = Limits(
        lines=bounds.max_lines,
        size=bounds.max_characters,
        per_host=bounds.max_open_per_host,
        in_all=bounds.max_open,
        idle_us=bounds.deadline_s * SECOND_US,
        age_us=bounds.max_age_s * SECOND_US,
    )
    return Watch(
        catalogue,
        journal,
        parser_of(settings, host=host),
        matcher=Matcher(catalogue, timeout_s=settings.match.timeout_ms / 1_000, strikes=settings.match.strikes),
        assembler=Assembler(opening_of(catalogue), limits),
        now_us=now_us(),
        tolerance_us=tolerance_us(settings),
        told=told,
        keeps_noise=keeps_noise,
    )


def tolerance_us(settings: Settings) -> int:
    """How far wall clocks may drift within one boot."""
    return settings.boots.tolerance_s * SECOND_US


def skip_of(catalogue: Catalogue) -> Container[str]:
    """The functions that are never the guilty one."""
    return catalogue.lists.get(GENERIC, NOBODY)


def opening_of(catalogue: Catalogue) -> frozenset[str]:
    """The signatures that open a report."""
    return frozenset(signature.id for signature in catalogue.signatures if signature.opens == "report")
