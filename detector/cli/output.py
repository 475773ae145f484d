"""The console of the commands: where tables and incidents are printed."""

from __future__ import annotations

from rich.console import Console


class Output(Console):
    """A console that leaves a closed pipe to `main`; rich's own would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Raises the error on."""
        raise BrokenPipeError
