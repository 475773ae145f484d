"""`oopswatch listen`: netconsole's datagrams in, records of a topic out.

What takes long to import is imported when signals are minded: `detector/cli/relaying.py`.
"""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli.settings_options import config_option
from detector.cli.stopping import Stopping


@click.command(
    epilog="""\b
Examples:
  oopswatch listen --config /etc/oopswatch/oopswatch.toml
  oopswatch listen --bootstrap kafka-1:9092 --topic kernel-logs --port 6666
On each host: modprobe netconsole netconsole=+@/eth0,6666@192.0.2.9/   (+: the extended format)
Exit: 0 on SIGTERM or SIGINT after what came is in Kafka, 2 on settings or brokers that do \
not work."""
)
@click.option("--bootstrap", help="Brokers to begin with, host:port, with commas between them.")
@click.option("--topic", help="Topic to write to.")
@click.option("--port", type=click.IntRange(0, 65_535), help="UDP port to listen at.")
@config_option
def listen(
    bootstrap: str | None, topic: str | None, port: int | None, config_path: Path | None
) -> None:
    """Receives the last words of kernels that die, by netconsole, and puts them into Kafka,
    keyed by host.
    """
    stopping = Stopping()
    from detector.cli.relaying import relay_datagrams

    overrides = {
        "kafka__bootstrap_servers": bootstrap,
        "netconsole__topic": topic,
        "netconsole__port": port,
    }
    relay_datagrams(stopping, config_path, **overrides)
