"""`oopswatch serve`: pages and API over an existing history."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from detector import telemetry
from detector.cli.options import config_option, store_option
from detector.settings import settings_of

# Taken where `serve.port` is 0.
DEFAULT_PORT = 8470


@click.command(
    epilog="""\b
Examples:
  oopswatch serve --store /var/lib/oopswatch/history.db
  oopswatch serve --config /etc/oopswatch/oopswatch.toml --port 8470
Pages are at http://127.0.0.1:8470/, the API at /api/v1, its description at /api/v1/openapi.json.
Exit: 0 on SIGTERM or SIGINT, 2 on settings, a history or a port that do not work."""
)
@click.option(
    "--address", help="Address to serve at; any but loopback needs tokens or a trusted proxy."
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    help="Port to serve at; default from the settings, else 8470.",
)
@store_option
@config_option
def serve(
    address: str | None, port: int | None, store_path: Path | None, config_path: Path | None
) -> None:
    """Serves pages and API over a history, also one that a running service writes."""
    settings, _ = settings_of(
        config_path, serve__address=address, serve__port=port, store__path=store_path
    )
    telemetry.configure(settings.log.level, settings.log.format)
    from detector.serve.server import Server
    from detector.store import open_history

    open_history(settings.store.path).close()
    server = Server(settings, port=settings.serve.port or DEFAULT_PORT)
    click.echo(f"oopswatch: {server.address}/", err=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    server.run()
