"""The filter language as options of commands: one option for each field, named like it; and pages
of lists.

In: a command. Out: the same with `--host`, `--since` … and what they mean as a `Filter`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

import click

from detector.cli import parts
from detector.store.answers import Page
from detector.store.filters import FIELDS, Filter, parse

T = TypeVar("T")
Command = Callable[..., Any]
# Rows that are asked of the history at once.
PAGE = 200
_ONCE = {"since", "until"}


def filter_options(command: Command) -> Command:
    """An option for each field of the filter language; they arrive as `asked_…`."""
    for name, meaning in reversed(FIELDS.items()):
        names = dict.fromkeys((f"--{name.replace('_', '-')}", f"--{name}"))
        again = "" if name in _ONCE else " Again: any of them."
        text = f"{meaning[0].upper()}{meaning[1:]}.{again}"
        command = click.option(*names, f"asked_{name}", multiple=True, metavar="TEXT", help=text)(
            command
        )
    return command


def wanted(options: dict[str, Any]) -> Filter:
    """The filter that options ask for, which are taken out of `options`; raises `FilterError`."""
    params = {name: list(options.pop(f"asked_{name}")) for name in FIELDS}
    return parse(params, parts.now_us())


def rows(ask: Callable[[str | None, int], Page[T]], limit: int | None) -> Iterator[T]:
    """The first `limit` rows of a list (None: all), page by page."""
    return islice(_pages(ask, PAGE if limit is None else min(PAGE, limit)), limit)


def _pages(ask: Callable[[str | None, int], Page[T]], size: int) -> Iterator[T]:
    after = None
    while True:
        page = ask(after, size)
        yield from page.rows
        after = page.next
        if after is None:
            return


def limit_option(default: int) -> Callable[[Command], Command]:
    """`--limit N`."""
    return click.option(
        "--limit", type=click.IntRange(1), default=default, show_default=True, help="Most rows."
    )


def output_options(command: Command) -> Command:
    """`--json` and `--csv`."""
    command = click.option("--csv", "as_csv", is_flag=True, help="CSV, one row each.")(command)
    return click.option("--json", "as_json", is_flag=True, help="NDJSON, one object a line.")(
        command
    )
