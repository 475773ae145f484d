"""`oopswatch run`: the service, Kafka in, history out.

What takes long to import is imported when signals are minded: `detector/cli/service.py`.
"""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli.settings_options import config_option, patterns_option, store_option
from detector.cli.stopping import Stopping


@click.command(
    epilog="""\b
Examples:
  oopswatch run --config /etc/oopswatch/oopswatch.toml
  oopswatch run --bootstrap kafka-1:9092,kafka-2:9092 --topic kernel-logs --store \
/var/lib/oopswatch/history.db
Exit: 0 on SIGTERM or SIGINT after what was read is stored and committed, 2 on settings or brokers \
that do not work."""
)
@click.option("--bootstrap", help="Brokers to begin with, host:port, with commas between them.")
@click.option("--topic", help="Topics to read, with commas between them.")
@click.option("--group", help="Consumer group.")
@store_option
@patterns_option
@config_option
def run(
    bootstrap: str | None,
    topic: str | None,
    group: str | None,
    store_path: Path | None,
    folders: tuple[Path, ...],
    config_path: Path | None,
) -> None:
    """Reads the fleet's kernel logs from Kafka and keeps incidents, reports and noise counts
    in the history.
    """
    stopping = Stopping()
    from detector.cli.service import serve_fleet

    overrides = {
        "kafka__bootstrap_servers": bootstrap,
        "kafka__topics": topic,
        "kafka__group": group,
    }
    serve_fleet(
        stopping,
        config_path,
        **overrides,
        store__path=store_path,
        patterns__directories=folders,
    )
