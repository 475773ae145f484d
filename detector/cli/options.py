"""The filter language as options of commands: one option for each field, named like it;
and pages of lists.

In: a command. Out: the same with `--host`, `--since` … and what they mean as a `Filter`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import click

from detector import clock
from detector.cli.settings_options import Command
from detector.render.units import several
from detector.store.query.filters import FIELDS, Filter, moment_us, parse, time_fault
from detector.store.query.results import GREATEST, Page, row_number

T = TypeVar("T")
# Rows that are asked of the history at once.
PAGE = 200
# Most rows that can be asked for: SQLite stores no greater number.
ROWS = click.IntRange(1, GREATEST - 1)
_ONCE = {"since", "until"}


def program() -> str:
    """Returns how this program is called from here: by name where PATH finds it, else by path."""
    own = Path(sys.argv[0]).absolute()
    program_read = shutil.which("oopswatch")
    if program_read and Path(program_read).samefile(own):
        return "oopswatch"
    return os.path.relpath(own) if own.is_relative_to(Path.cwd()) else str(own)


def filter_options(command: Command) -> Command:
    """Adds an option for each field of the filter language; they arrive as `asked_…`."""
    return filter_options_of(FIELDS)(command)


def filter_options_of(fields: Collection[str]) -> Callable[[Command], Command]:
    """Returns what adds an option for each of some fields of the filter language."""

    def add(command: Command) -> Command:
        for name in reversed([name for name in FIELDS if name in fields]):
            command = _filter_option(name)(command)
        return command

    return add


def _filter_option(name: str) -> Callable[[Command], Command]:
    meaning = FIELDS[name]
    names = dict.fromkeys((f"--{name.replace('_', '-')}", f"--{name}"))
    again = "" if name in _ONCE else " Again: any of them."
    text = f"{meaning[0].upper()}{meaning[1:]}.{again}"
    return click.option(*names, f"asked_{name}", multiple=True, metavar="TEXT", help=text)


def filter_of(options: dict[str, Any]) -> Filter:
    """The filter that options ask for, which are taken out of `options`; raises `FilterError`."""
    params = {name: list(options.pop(f"asked_{name}", ())) for name in FIELDS}
    return parse(params, clock.now_us())


class ListedRows(Generic[T]):
    """The first `limit` rows of a list (None: all), page by page; `more` says after the last
    whether rows are left out.
    """

    def __init__(self, rows: Iterator[T], limit: int | None) -> None:
        self._rows = rows
        self._limit = limit
        self.more = False

    def __iter__(self) -> Iterator[T]:
        """Yields the rows; then it is known whether there are more."""
        yield from islice(self._rows, self._limit)
        self.more = next(self._rows, None) is not None


def all_rows(ask: Callable[[str | None, int], Page[T]], limit: int | None) -> ListedRows[T]:
    """The first `limit` rows of a list (None: all)."""
    return ListedRows(_pages(ask, PAGE if limit is None else min(PAGE, limit + 1)), limit)


def table_title(
    count: int, noun: str, many: str | None = None, *, more: bool, which: str = "newest"
) -> str:
    """Returns how many rows a table has, and whether it leaves some out: "the newest 5 faults;
    …".
    """
    counted = several(count, noun, many)
    return f"the {which} {counted}; more with --limit" if more else counted


def _pages(ask: Callable[[str | None, int], Page[T]], size: int) -> Iterator[T]:
    after = None
    while True:
        page = ask(after, size)
        yield from page.rows
        after = page.next
        if after is None:
            return


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


def limit_option(default: int) -> Callable[[Command], Command]:
    """`--limit N`."""
    return click.option("--limit", type=ROWS, default=default, show_default=True, help="Most rows.")


def output_options(command: Command) -> Command:
    """`--json` and `--csv`."""
    command = click.option("--csv", "as_csv", is_flag=True, help="CSV, one row each.")(command)
    return click.option("--json", "as_json", is_flag=True, help="NDJSON, one object a line.")(
        command
    )


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
