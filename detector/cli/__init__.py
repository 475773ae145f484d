"""The command `oopswatch`: names of commands, and how their errors reach people.

Each command lives in a module of its own and is imported when it is called, so that `oopswatch
--help` is quick. An error that a person can mend is one clear line on standard error and exit code
2; a fault of oopswatch itself keeps its traceback, and exits with 70.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
import threading
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

import click

from detector.cli.streams import open_streams, print_error, print_fault, print_thread_fault
from detector.errors import UserError
from detector.render.escape import inert

# Exit statuses beside 0 and 1 (found): sysexits.h has 70, shells add a signal's number to 128.
INPUT, FAULT, INTERRUPTED, CLOSED_PIPE = 2, 70, 130, 141

# Each command is a function of its name in the module of its name; beside it what its help begins
# with, so that `--help` imports none.
COMMANDS = {
    "scan": (
        "Reads logs in any known format and prints incidents, crashes and the noise by process."
    ),
    "run": (
        "Reads the fleet's kernel logs from Kafka and keeps incidents, reports and noise "
        "counts in the history."
    ),
    "listen": (
        "Receives the last words of kernels that die, by netconsole, and puts them into Kafka, "
        "keyed by host."
    ),
    "detect": (
        "Reads the fleet's kernel logs from Kafka and sends what it finds to a topic: the "
        "first of two stages."
    ),
    "archive": (
        "Reads findings from Kafka and keeps incidents, reports and noise counts in the "
        "history: the second of two stages."
    ),
    "collect": (
        "Sends what the last kernel left in pstore and kdump's folders to Kafka, once, keyed by "
        "host."
    ),
    "explain": (
        "Explains a pasted block, a log or a single line: what happened, where, why, which "
        "known bug, what to do next."
    ),
    "incidents": "Incidents of the history: what happened.",
    "faults": "Every kernel fault of the history, in an incident or not.",
    "kernel-errors": "Errors of the kernel that no signature claims, by template; new ones first.",
    "problems": "Crashes that are alike: all reports with one fingerprint are one problem.",
    "fleet": (
        "Ranks kernel releases, or hardware models, by crash reports per 1,000 hosts and week."
    ),
    "hosts": "Hosts, their boots and what happened on them.",
    "known": (
        "Known kernel bugs: the record of one, who runs a kernel with it, a new index of them."
    ),
    "symbols": "Symbols packs of kernels: code, symbols and types, read out of their images.",
    "noise": "User-space crashes, counted, most frequent first.",
    "stats": (
        "The history in figures: how much there is, what is open, what is new, which programs "
        "crash most."
    ),
    "export": "Every incident of a filter, newest first.",
    "backup": (
        "Copies the history to FILE as it is at one moment, checks the copy, and only then "
        "gives it its name."
    ),
    "keep": "Looks after the history's file.",
    "positions": "The positions where reading goes on in each partition: docs/positions.md.",
    "rejected": "Records that were set aside because a stage raised on them.",
    "rules": "The rules that raise incidents, in force or not, and what each would have raised.",
    "replay": ("Runs today's patterns and rules over logs, a topic, or the faults of the history."),
    "patterns": "The catalogue: signatures, rules, known issues.",
    "simulate": (
        "Writes a fleet's kernel logs with planted incidents, noise, half signatures and reboots."
    ),
    "demo": (
        "Ships the kernel logs of a simulated fleet through Kafka into the pipeline, and "
        "prints what was planted and what was found."
    ),
    "serve": "Serves pages and API over a history, also one that a running service writes.",
    "mcp": (
        "Answers assistants over standard input and output, by the Model Context Protocol: every "
        "reading question of the API, and explain."
    ),
    "tokens": "Bearer tokens of pages and API: who may come in, and what each may do.",
    "notify": "Notification of people: routes, receivers, silences, the log of messages.",
    "config": "The settings in force.",
    "samples": (
        "Writes the documentation, the deployment samples, the patterns and the shells' "
        "completions that came with this version into a new folder."
    ),
    "completion": "Prints the script by which bash, zsh or fish completes the commands.",
    "doctor": (
        "Checks settings, brokers, topics, history, receivers and machine, and says what to mend."
    ),
}


class _Shown(click.ClickException):
    """A `UserError` on standard error, each line by itself; exit code 2."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        """Prints one line for each fault."""
        del file
        print_error(self.message)


class Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """The names, in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """The command of a name, imported now."""
        if name not in COMMANDS:
            return None
        module = name.replace("-", "_")
        command = getattr(importlib.import_module(f"detector.cli.{module}"), module)
        assert isinstance(command, click.Command)
        _demand_text(command)
        return command

    def invoke(self, context: click.Context) -> Any:
        """Runs the command; what a person can mend becomes a line, not a traceback."""
        try:
            return super().invoke(context)
        except UserError as error:
            option = getattr(error, "field", None)
            name = f"--{option.replace('_', '-')}: " if option else ""
            raise _Shown(f"{name}{getattr(error, 'message', error)}") from error
        except click.UsageError as error:
            if meant := _meant(error):
                raise click.UsageError(error.message + meant, error.ctx) from error
            raise

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """The names with what they do."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


class _Text(click.types.StringParamType):
    """A text option: bytes that are no UTF-8 would reach the history or Kafka, which hold text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the text; other bytes, kept as surrogates (PEP 383), are refused."""
        text = super().convert(value, param, ctx)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail(f"{inert(text)} is not UTF-8.", param, ctx)
        return text


def _demand_text(command: click.Command) -> None:
    """Has each text option of a command, and of those below it, take text alone."""
    for option in command.params:
        if option.type is click.STRING and isinstance(option, click.Option):
            option.type = _Text()
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _demand_text(below)


def _meant(error: click.UsageError) -> str:
    """What a misspelt command may be, as a question, or why a number is no option; else ""."""
    if isinstance(error, click.NoSuchOption) and re.match(r"-\d", error.option_name):
        return " A negative number is no value here."
    matched = re.fullmatch(r"No such command '(.*)'\.", error.message)
    context = error.ctx
    if matched is None or context is None or not isinstance(context.command, click.Group):
        return ""
    near = get_close_matches(matched[1], context.command.list_commands(context), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _say_versions(context: click.Context, _option: click.Parameter, given: bool) -> None:
    if not given or context.resilient_parsing:
        return
    from detector.app.versions import versions

    for line in versions():
        click.echo(line)
    context.exit()


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_say_versions,
    help="Program, patterns and index of known bugs, and exit.",
)  # fmt: skip
def oopswatch() -> None:
    """Watches the kernel logs of a fleet: noise apart, faults recognised, one incident with its
    explanation.

    \b
    oopswatch scan /var/log/kern.log            what is in a log
    dmesg | oopswatch scan -                    … of this host
    oopswatch run --config oopswatch.toml       the service: Kafka in, history out
    oopswatch incidents list --since 7d         what happened
    """


def main() -> None:
    """Runs the command line and exits as documented: 0, 1 found, 2 use or input, 70 our fault.

    Nothing but a finding exits with 1, so that scripts can rely on it.
    """
    open_streams()
    threading.excepthook = print_thread_fault
    try:
        status = _status()
        sys.stdout.flush()
    except BrokenPipeError:
        status = CLOSED_PIPE
    except OSError as error:
        status = _unwritable(error)
    if status in {CLOSED_PIPE, INPUT}:
        # What is still buffered has nowhere to go: Python would say so again when it ends.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _status() -> int:
    """Runs the command; returns its exit status. Raises OSError of standard output."""
    output = sys.stdout
    try:
        result = oopswatch.main(standalone_mode=False)
    except SystemExit as end:
        if sys.stdout is not output:
            # click met a closed pipe: it replaces the stream, and would exit with 1.
            sys.stdout = output
            return CLOSED_PIPE
        return end.code if isinstance(end.code, int) else int(end.code is not None) * INPUT
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is None and error.errno in {errno.ENOSPC, errno.EIO, errno.EPIPE}:
            raise
        return _unusable(error)
    except Exception as error:  # the last resort: whatever it is, it is ours  # noqa: BLE001
        print_fault(error)
        return FAULT
    return result if isinstance(result, int) else 0


# What the world does to a file or a folder, whatever we meant to do with it (errno(3)).
_OF_FILES = frozenset(
    (
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EMFILE,
        errno.ENFILE,
    )
)


def _unusable(error: OSError) -> int:
    """Says which file cannot be used, and why; anything else is a fault of oopswatch."""
    if error.filename is None or error.errno not in _OF_FILES:
        print_fault(error)
        return FAULT
    print_error(inert(f"{os.fsdecode(error.filename)}: it cannot be used: {error.strerror}"))
    return INPUT


def _unwritable(error: OSError) -> int:
    print_error(
        f"standard output cannot be written: {error.strerror}: what is missing there was not "
        "printed"
    )
    return INPUT
