"""The three standard streams of the process: open, whatever the caller closed, and never
the reason that a command ends.

In: the streams as Python made them. Out: the same, usable; and errors on standard error, in the
form of the log once a service has begun to log.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import traceback
from contextlib import suppress
from typing import Any

import click

_MODES = ("r", "w", "w")


def open_streams() -> None:
    """Opens /dev/null for each standard stream that the caller closed, and makes standard
    error one whose faults stop nothing.

    A descriptor below three that stayed closed would be given to the next file that is opened, and
    what a library prints would go into it.
    """
    for number, mode in enumerate(_MODES):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is taken, which is this one.
            os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  # as long as the process
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  # likewise
    if sys.stderr is None or _descriptor(sys.stderr) == 2:
        sys.stderr = _lasting_error(sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        # A character that the locale's encoding lacks is spelled out, and stops nothing.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_error(text: str) -> None:
    """Prints an error that a person can mend: a line each, or an event each where the log is
    JSON.
    """
    for line in text.splitlines():
        if log := _json_log():
            log.say("failed", error=line)
        else:
            click.echo(f"oopswatch: {line}", err=True)


def print_fault(error: BaseException, thread: str = "") -> None:
    """Prints a fault of oopswatch itself with its traceback, which a report needs."""
    trace = "".join(traceback.format_exception(error))
    if log := _json_log():
        log.say("fault", error=repr(error), thread=thread, traceback=trace)
        return
    click.echo(trace, err=True, nl=False)
    click.echo("oopswatch: this is a fault of oopswatch: please report the lines above", err=True)


def print_thread_fault(fault: threading.ExceptHookArgs) -> None:
    """Prints the fault that ended a thread, as `threading.excepthook`."""
    if fault.exc_value is not None and not isinstance(fault.exc_value, SystemExit):
        print_fault(fault.exc_value, fault.thread.name if fault.thread else "")


def _json_log() -> Any:
    """The log, where a service has begun it and it is JSON; else None.

    Most commands never import it.
    """
    telemetry = sys.modules.get("detector.telemetry")
    return telemetry if telemetry is not None and telemetry.is_json() else None


def _descriptor(stream: Any) -> int | None:
    with suppress(OSError, ValueError, AttributeError):
        number: int = stream.fileno()
        return number
    return None


def _lasting_error(stream: Any) -> io.TextIOWrapper:
    """Returns standard error as a stream that drops what cannot be written: its reader is
    gone, or its disk is full.
    """
    return io.TextIOWrapper(
        io.BufferedWriter(_Lasting(2, "w", closefd=False)),
        encoding=getattr(stream, "encoding", None),
        errors="backslashreplace",
        line_buffering=True,
        write_through=True,
    )


class _Lasting(io.FileIO):
    """A file whose write errors are dropped."""

    def write(self, data: Any, /) -> int:
        """Returns how many bytes are done with, written or dropped."""
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)
