"""`oopswatch serve`: pages and API over an existing history."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from detector.cli.settings_options import config_option, store_option
from detector.cli.stopping import StoppedEarly, Stopping, stop_early


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
    stopping = Stopping()
    with suppress(StoppedEarly):
        _serve(
            stopping,
            config_path,
            serve__address=address,
            serve__port=port,
            store__path=store_path,
        )


def _serve(stopping: Stopping, config_path: Path | None, **overrides: object) -> None:
    """Serves until a signal comes. Raises StoppedEarly where it came before there was a server."""
    from detector import telemetry
    from detector.cli.service_settings import service_settings
    from detector.serve.server import Server
    from detector.settings import DEFAULT_PORT
    from detector.store import open_history

    settings = service_settings(config_path, **overrides)
    stopping.then(stop_early)
    open_history(settings.store.path).close()
    server = Server(settings, port=settings.serve.port or DEFAULT_PORT)
    stopping.then(server.stop)
    if not telemetry.is_json():
        # The event `serving` has it for machines.
        click.echo(f"oopswatch: {server.address}/", err=True)
    server.run()
