"""`oopswatch archive`: the second stage, findings in, history out.
What takes long to import is imported when signals are minded: `detector/cli/stage_service.py`.
"""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli.settings_options import config_option, patterns_option, store_option
from detector.cli.stopping import Stopping


@click.command(
    epilog="""\b
Examples:
  oopswatch archive --config /etc/oopswatch/oopswatch.toml
  oopswatch archive --bootstrap kafka-1:9092 --store /var/lib/oopswatch/history.db
Exit: 0 on SIGTERM or SIGINT after what was read is stored and committed, 2 on settings or brokers \
that do not work."""
)
@click.option("--bootstrap", help="Brokers to begin with, host:port, with commas between them.")
@click.option("--group", help="Consumer group of the first stage; this one's ends in -archive.")
@store_option
@patterns_option
@config_option
def archive(
    bootstrap: str | None,
    group: str | None,
    store_path: Path | None,
    folders: tuple[Path, ...],
    config_path: Path | None,
) -> None:
    """Reads findings from Kafka and keeps incidents, reports and noise counts in the
    history: the second of two stages. docs/fleet.md says when, and how.
    """
    stopping = Stopping()
    from detector.cli.stage_service import archive_fleet

    overrides = {
        "kafka__bootstrap_servers": bootstrap,
        "kafka__group": group,
    }
    archive_fleet(
        stopping,
        config_path,
        **overrides,
        store__path=store_path,
        patterns__directories=folders,
    )
