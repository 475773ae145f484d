"""List commands: their filter, their limit, and their rows as JSON, CSV or a table.

In: the options of a command, and a question that the history answers page by page. Out: one JSON
object a line, CSV, or a table that says whether it leaves rows out; the same for every list.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from detector import clock
from detector.cli import terminal
from detector.cli.options import ROWS
from detector.cli.settings_options import Command, config_option, settings_of, store_option
from detector.render.csv_rows import write_csv
from detector.render.objects import Item
from detector.render.units import several
from detector.store.query.filters import FIELDS, Filter, parse
from detector.store.query.results import Page

if TYPE_CHECKING:
    from detector.settings import Settings

T = TypeVar("T")
# Rows that are asked of the history at once.
PAGE = 200
_ONCE = {"since", "until"}
_JSON_HELP = "NDJSON, one object a line."


def filter_options(fields: Collection[str] = FIELDS) -> Callable[[Command], Command]:
    """Returns what adds an option for each of the fields, named like it, which arrives as
    `asked_…`.
    """

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


def limit_option(default: int) -> Callable[[Command], Command]:
    """`--limit N`."""
    return click.option("--limit", type=ROWS, default=default, show_default=True, help="Most rows.")


def output_options(command: Command, json_help: str = _JSON_HELP) -> Command:
    """`--json` and `--csv`."""
    command = click.option("--csv", "as_csv", is_flag=True, help="CSV, one row each.")(command)
    return click.option("--json", "as_json", is_flag=True, help=json_help)(command)


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


def _pages(ask: Callable[[str | None, int], Page[T]], size: int) -> Iterator[T]:
    after = None
    while True:
        page = ask(after, size)
        yield from page.rows
        after = page.next
        if after is None:
            return


def table_title(
    count: int, noun: str, many: str | None = None, *, more: bool, which: str = "newest"
) -> str:
    """Returns how many rows a table has, and whether it leaves some out: "the newest 5 faults;
    …".
    """
    counted = several(count, noun, many)
    return f"the {which} {counted}; more with --limit" if more else counted


@dataclass(frozen=True, slots=True)
class ListForm(Generic[T]):
    """The forms of one kind of rows: JSON by `item`, CSV, and a table for people.

    `item` is None of a row that retention removed after the list was read: it is left out. CSV
    has the columns of the type `row`, or `csv_columns` of `item` where these are set; the table
    has `cells` under `columns`. `empty` is said where no row is.
    """

    row: type[T]
    item: Callable[[T], Item | None]
    noun: str
    columns: Sequence[str]
    cells: Callable[[T], tuple[str, ...]]
    empty: str
    many: str | None = None
    which: str = "newest"
    csv_columns: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ListRequest:
    """The options of a list command: which rows, how many, in which form, of which history."""

    criteria: Filter
    limit: int
    as_json: bool
    as_csv: bool
    settings: Settings

    def rows(self, ask: Callable[[str | None, int], Page[T]]) -> ListedRows[T]:
        """The rows up to the limit; `ask` gives the page after a place, of a size."""
        return all_rows(ask, self.limit)

    def say(self, rows: ListedRows[T], form: ListForm[T]) -> None:
        """Prints the rows in the form that was chosen."""
        if self.say_data(rows, form):
            return
        cells = [form.cells(row) for row in rows]
        if not cells:
            click.echo(form.empty)
            return
        title = table_title(len(cells), form.noun, form.many, more=rows.more, which=form.which)
        terminal.say_table(terminal.console(), title, form.columns, cells)

    def say_data(self, rows: ListedRows[T], form: ListForm[T]) -> bool:
        """Prints the rows as JSON or CSV; returns False where a table was chosen."""
        if self.as_json:
            for item in self._items(rows, form):
                click.echo(json.dumps(item))
        elif self.as_csv and form.csv_columns:
            items = self._items(rows, form)
            picked = ({name: item[name] for name in form.csv_columns} for item in items)
            write_csv(sys.stdout, form.csv_columns, picked)
        elif self.as_csv:
            terminal.say_csv(form.row, rows)
        return self.as_json or self.as_csv

    @staticmethod
    def _items(rows: ListedRows[T], form: ListForm[T]) -> Iterator[Item]:
        """The rows as JSON, as they are read."""
        return (item for row in rows if (item := form.item(row)) is not None)


def list_options(
    limit: int, *, fields: Collection[str] = FIELDS, json_help: str = _JSON_HELP
) -> Callable[[Command], Command]:
    """Returns what adds the options of a list, which the command gets as one `ListRequest`;
    `fields` are those of the filter language that it takes.
    """

    def decorated(command: Command) -> Command:
        @wraps(command)
        def run(
            limit: int,
            as_json: bool,
            as_csv: bool,
            store_path: Path | None,
            config_path: Path | None,
            **options: Any,
        ) -> None:
            criteria = filter_of(options)
            settings, _ = settings_of(config_path, store__path=store_path)
            command(ListRequest(criteria, limit, as_json, as_csv, settings), **options)

        shown = output_options(store_option(config_option(run)), json_help)
        return filter_options(fields)(limit_option(limit)(shown))

    return decorated
