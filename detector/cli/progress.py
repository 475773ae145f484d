"""The progress of a scan, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress() -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar on standard error with bytes and rate, on a terminal only: a callable (bytes done,
    bytes in all or None).
    """
    if not sys.stderr.isatty():
        yield None
        return
    # A twentieth of a second that only a terminal needs.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        FileSizeColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TotalFileSizeColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("scanning"),
        BarColumn(),
        FileSizeColumn(),
        TextColumn("of"),
        TotalFileSizeColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scan", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
