"""`oopswatch mcp`: assistants ask the history, by the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector.cli.settings_options import config_option, store_option
from detector.errors import UserError

if TYPE_CHECKING:
    import httpx2


@click.command(
    epilog="""\b
Examples:
  oopswatch mcp --store /var/lib/oopswatch/history.db
  oopswatch mcp --url https://oopswatch.example.com --token-file ~/.oopswatch-token
An assistant starts it and speaks to it over standard input and output: docs/mcp.md."""
)
@store_option
@click.option("--url", help="Ask the API of a running oopswatch in place of a history file.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the bearer token for --url.",
)
@config_option
def mcp(
    store_path: Path | None, url: str | None, token_file: Path | None, config_path: Path | None
) -> None:
    """Answers assistants over standard input and output, by the Model Context Protocol: every
    reading question of the API, and explain.
    """
    import asyncio

    try:
        from detector.assistant.server import serve_assistant
    except ImportError as error:
        raise UserError(f"{error.name} is not installed: pip install 'oopswatch[mcp]'") from error
    client = _remote(url, token_file) if url else _local(store_path, config_path)
    asyncio.run(serve_assistant(client))


def _remote(url: str, token_file: Path | None) -> httpx2.AsyncClient:
    """A client of the API at an address."""
    import httpx2

    if not url.startswith(("http://", "https://")):
        raise UserError(f"--url: {url!r} is no address: give http://… or https://…")
    headers = {}
    if token_file is not None:
        headers["Authorization"] = f"Bearer {token_file.read_text(encoding='utf-8').strip()}"
    return httpx2.AsyncClient(base_url=url, headers=headers, timeout=60)


def _local(store_path: Path | None, config_path: Path | None) -> httpx2.AsyncClient:
    """A client of the API in this process, over a history that is only read."""
    import httpx2

    from detector.serve.app import create_app
    from detector.settings import settings_of
    from detector.settings.declared import Serve
    from detector.store.query.history import open_history

    settings, _ = settings_of(config_path, store__path=store_path)
    open_history(settings.store.path).close()  # one clear line where there is none
    app = create_app(settings.model_copy(update={"serve": Serve()}))
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1", timeout=60
    )
