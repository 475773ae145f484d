"""`oopswatch completion`: what a shell reads to complete commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
Examples:
  source <(oopswatch completion bash)
  oopswatch completion bash > /etc/bash_completion.d/oopswatch
  oopswatch completion zsh > "${fpath[1]}/_oopswatch"
  oopswatch completion fish > ~/.config/fish/completions/oopswatch.fish"""
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Prints the script by which bash, zsh or fish completes the commands."""
    click.echo(completion_script(shell))


def completion_script(shell: str) -> str:
    """The script; the shell of this machine is not asked for its version."""
    script = get_completion_class(shell)
    assert script is not None
    made = script(click.Group(), {}, "oopswatch", "_OOPSWATCH_COMPLETE")
    return made.source_template % made.source_vars()
