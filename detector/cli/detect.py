"""`oopswatch detect`: the first stage, Kafka in, findings out. What takes long to import is
imported when signals are minded: `detector/cli/stage_service.py`.
"""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli.settings_options import config_option, patterns_option
from detector.cli.stopping import Stopping


@click.command(
    epilog="""\b
Examples:
  oopswatch detect --config /etc/oopswatch/oopswatch.toml
  oopswatch detect --bootstrap kafka-1:9092 --topic kernel-logs --member detect-2
Exit: 0 on SIGTERM or SIGINT after what was found is sent and committed, 2 on settings or brokers \
that do not work, or where another process has its name."""
)
@click.option("--bootstrap", help="Brokers to begin with, host:port, with commas between them.")
@click.option("--topic", help="Topics to read, with commas between them.")
@click.option("--group", help="Consumer group.")
@click.option(
    "--member", help="Name in the group, the same after a restart; default the machine's."
)
@patterns_option
@config_option
def detect(
    bootstrap: str | None,
    topic: str | None,
    group: str | None,
    member: str | None,
    folders: tuple[Path, ...],
    config_path: Path | None,
) -> None:
    """Reads the fleet's kernel logs from Kafka and sends what it finds to a topic:
    the first of two stages. It keeps no history: docs/fleet.md.
    """
    stopping = Stopping()
    from detector.cli.stage_service import detect_fleet

    overrides = {
        "kafka__bootstrap_servers": bootstrap,
        "kafka__topics": topic,
        "kafka__group": group,
        "fleet__member": member,
    }
    detect_fleet(stopping, config_path, **overrides, patterns__directories=folders)
