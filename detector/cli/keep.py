"""`oopswatch keep`: what is too old, what is damaged, what is empty."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector import clock
from detector.cli.settings_options import config_option, settings_of, store_option

if TYPE_CHECKING:
    from detector.settings import Settings
    from detector.store import retention


@click.group()
def keep() -> None:
    """Looks after the history's file. `oopswatch run` does by itself what `keep run` does."""


@keep.command(
    epilog=(
        "\b\nExamples:\n  oopswatch keep run\n  OOPSWATCH_KEEP_INCIDENTS_DAYS=365 oopswatch "
        "keep run --store history.db"
    )
)
@store_option
@config_option
def run(store_path: Path | None, config_path: Path | None) -> None:
    """Removes what is older than the settings `keep.…` say, and folds old hours into days; in
    short steps, beside a running service.
    """
    from detector.store import retention

    settings, _ = settings_of(config_path, store__path=store_path)
    done: dict[str, int] = {}
    with closing(retention.Keeper(settings.store.path, limits_of(settings))) as keeper:
        for step in keeper.steps(clock.now_us()):
            done[step.what] = done.get(step.what, 0) + step.rows
    for what, rows in done.items():
        click.echo(f"{what}: {rows:,}")
    if not done:
        click.echo("nothing is due")


@keep.command(
    epilog=(
        "\b\nExamples:\n  oopswatch keep check\n  oopswatch keep check --store copy.db && echo "
        "sound\nExit: 0 sound, 1 damaged."
    )
)
@store_option
@config_option
def check(store_path: Path | None, config_path: Path | None) -> None:
    """Reads the whole file and says what is damaged. Only reads; may run beside the service,
    and long.
    """
    from detector.store import retention

    settings, _ = settings_of(config_path, store__path=store_path)
    faults = retention.check(settings.store.path)
    for fault in faults:
        click.echo(f"{settings.store.path}: {fault}")
    if faults:
        sys.exit(1)
    click.echo(f"{settings.store.path}: sound")


@keep.command(epilog="\b\nExamples:\n  oopswatch keep vacuum --store history.db")
@store_option
@config_option
def vacuum(store_path: Path | None, config_path: Path | None) -> None:
    """Writes the file anew without its empty pages. Stop the service first: it holds the file,
    and needs its size again on the disk.
    """
    from detector.store import retention

    settings, _ = settings_of(config_path, store__path=store_path)
    before = settings.store.path.stat().st_size if settings.store.path.exists() else 0
    retention.vacuum(settings.store.path)
    click.echo(
        f"{settings.store.path}: {before:,} bytes before, "
        f"{settings.store.path.stat().st_size:,} now"
    )


def limits_of(settings: Settings) -> retention.RetentionLimits:
    """Returns how long what is kept, as the settings say."""
    from detector.store import retention

    kept = settings.keep
    return retention.RetentionLimits(
        kept.incidents_days,
        kept.matches_days,
        kept.reports_days,
        kept.changes_days,
        kept.noise_days,
        kept.noise_hours_days,
    )


@contextmanager
def kept(settings: Settings) -> Iterator[None]:
    """Keeps the history in the background meanwhile, unless the settings say never."""
    from detector.store import retention

    if not settings.keep.every_s:
        yield
        return
    background = retention.Background(
        settings.store.path, limits_of(settings), clock.now_us, _tell, settings.keep.every_s
    )
    background.start()
    try:
        yield
    finally:
        background.stop()


def _tell(done: dict[str, int], fault: str | None) -> None:
    from detector import telemetry

    if done:
        telemetry.say("history_kept", rows=done)
    if fault:
        telemetry.say("keeping_failed", reason=fault)
