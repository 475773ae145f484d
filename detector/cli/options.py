"""Values that commands take: names, numbers of rows, times, and how this program is called."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from detector import clock
from detector.store.query.filters import moment_us, time_fault
from detector.store.query.results import GREATEST, row_number

# Most rows that can be asked for: SQLite stores no greater number.
ROWS = click.IntRange(1, GREATEST - 1)


def program() -> str:
    """Returns how this program is called from here: by name where PATH finds it, else by path."""
    own = Path(sys.argv[0]).absolute()
    program_read = shutil.which("oopswatch")
    if program_read and Path(program_read).samefile(own):
        return "oopswatch"
    return os.path.relpath(own) if own.is_relative_to(Path.cwd()) else str(own)


class NameParam(click.ParamType[str]):
    """A text that names something, which an empty one does not."""

    name = "text"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Returns the text as it is; an empty one is a usage error."""
        if not str(value).strip():
            self.fail("it is empty", param, ctx)
        return str(value)


class RowNumberParam(click.ParamType[int]):
    """The number of a stored row; `names` is the command that lists such rows."""

    name = "number"

    def __init__(self, names: str) -> None:
        self._names = names

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Returns the number; what no row can have is a usage error."""
        number = value if isinstance(value, int) else row_number(str(value))
        if number is None:
            self.fail(f"{str(value)!r} is no such number: `{self._names}` names them", param, ctx)
        return number


class TimeParam(click.ParamType[int]):
    """A wall time in µs since 1970, given as an age or as a date and time of ISO 8601.
    Ages are 30m, 24h, 7d, 2w; a date and time is in UTC unless it says otherwise.
    """

    name = "time"

    def __init__(self, now_us: int | None = None) -> None:
        """`now_us` stands in for the clock, in tests."""
        self.now_us = now_us

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """The µs since 1970 of what was written."""
        if isinstance(value, int):
            return value
        try:
            return moment_us(str(value), self.now_us or clock.now_us())
        except (ValueError, OverflowError) as error:
            self.fail(time_fault(str(value), error), param, ctx)
