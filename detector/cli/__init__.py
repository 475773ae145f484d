"""The command `oopswatch`: names of commands, and how their errors reach people.

Each command lives in a module of its own and is imported when it is called, so that `oopswatch --help` is quick. An error that
a person can mend is one clear line on standard error and exit code 2; a fault of oopswatch itself keeps its traceback.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

import detector

COMMANDS = {
    "scan": "detector.cli.scan:scan",
    "run": "detector.cli.run:run",
    "explain": "detector.cli.explain:explain",
    "incidents": "detector.cli.incidents:incidents",
    "problems": "detector.cli.problems:problems",
    "hosts": "detector.cli.hosts:hosts",
    "noise": "detector.cli.noise:noise",
    "stats": "detector.cli.stats:stats",
    "export": "detector.cli.export:export",
    "backup": "detector.cli.backup:backup",
    "keep": "detector.cli.keep:keep",
    "patterns": "detector.cli.patterns:patterns",
    "simulate": "detector.cli.simulate:simulate",
    "demo": "detector.cli.demo:demo",
    "serve": "detector.cli.serve:serve",
    "notify": "detector.cli.notify:notify",
    "config": "detector.cli.config:config",
}


class Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """The names, in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """The command of a name, imported now."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(detector.__version__, prog_name="oopswatch")
def oopswatch() -> None:
    """Watches the kernel logs of a fleet: noise apart, faults recognised, one incident with its explanation.

    \b
    oopswatch scan /var/log/kern.log            what is in a log
    dmesg | oopswatch scan -                    … of this host
    oopswatch run --config oopswatch.toml       the service: Kafka in, history out
    oopswatch incidents list --since 7d         what happened
    """


class Mendable(click.ClickException):
    """An error that a person can mend: each line of the message is said by itself; exit code 2."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        """One line for each fault, on standard error."""
        del file
        for line in self.message.splitlines():
            click.echo(f"oopswatch: {line}", err=True)


def main() -> None:
    """The entry point of the command."""
    try:
        oopswatch()
    except BrokenPipeError:
        # The reader of a pipe went away (`| head`): nothing more to say to it, not even when Python closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        # Imported here, since a start that goes well needs none of them.
        from detector.catalogue import CatalogueError
        from detector.settings import SettingsError
        from detector.sources import SourceError
        from detector.store import StoreError

        if not isinstance(error, CatalogueError | SettingsError | SourceError | StoreError):
            raise
        Mendable(str(error)).show()
        sys.exit(2)
