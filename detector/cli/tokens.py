"""`oopswatch tokens`: makes and lists the bearer tokens of pages and API."""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli.settings_options import config_option, settings_of
from detector.errors import UserError
from detector.serve.http.roles import ROLES

_file = click.option(
    "--file",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file of tokens. Default: serve.tokens_file.",
)


@click.group()
def tokens() -> None:
    """Bearer tokens of pages and API: who may come in, and what each may do."""


@tokens.command(
    name="add",
    epilog="\b\nExamples:\n  oopswatch tokens add grafana --file /etc/oopswatch/tokens.toml\n  "
    "oopswatch tokens add ann --role read --role act --file /etc/oopswatch/tokens.toml",
)
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    default=("read",),
    show_default=True,
    type=click.Choice(sorted(ROLES)),
    help="What its holder may do; again for more.",
)
@_file
@config_option
def add(name: str, roles: tuple[str, ...], file: Path | None, config_path: Path | None) -> None:
    """Makes a token, prints it once, and keeps its hash in the file of tokens. Restart what
    serves, so that it holds.
    """
    from detector.serve.http.tokens import add_token

    click.echo(add_token(_path(file, config_path), name, roles))


@tokens.command(
    name="list", epilog="\b\nExamples:\n  oopswatch tokens list --file /etc/oopswatch/tokens.toml"
)
@_file
@config_option
def list_tokens(file: Path | None, config_path: Path | None) -> None:
    """Names and roles of the tokens in the file."""
    from detector.serve.http.tokens import read_tokens

    for token in read_tokens(_path(file, config_path)):
        click.echo(f"{token.name}  {', '.join(sorted(token.roles))}")


def _path(file: Path | None, config_path: Path | None) -> Path:
    """The file of tokens that is meant."""
    if file is None:
        file = settings_of(config_path)[0].serve.tokens_file
    if file is None:
        raise UserError("no file of tokens: give --file, or set serve.tokens_file")
    return file
