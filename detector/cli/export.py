"""`oopswatch export`: incidents for other programs, as NDJSON or as Parquet,
as log records of OpenTelemetry, or as documents of the Elastic Common Schema.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from detector.app.known import history_of
from detector.cli import terminal
from detector.cli.listing import all_rows, filter_of, filter_options
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.errors import UserError
from detector.render.objects import Item
from detector.store import IncidentRow

if TYPE_CHECKING:
    from detector.settings import Settings
    from detector.store import History

ExportKind = Literal["ndjson", "otlp", "ecs"]
# Rows of one Parquet row group.
_GROUP = 10_000
_INTEGERS = {
    "gap_us",
    "started_us",
    "found_us",
    "kernel_time_us",
    "regression",
    "changed_us",
    "matches",
}


@click.command(
    epilog="""\b
Examples:
  oopswatch export --format ndjson --since 30d > incidents.ndjson
  oopswatch export --format ndjson --host 'db-*' --output db.ndjson
  oopswatch export --format parquet --output incidents.parquet
  oopswatch export --format ecs --since 1d > incidents.ecs.ndjson
  oopswatch export --format otlp --since 1d --output incidents.otlp.jsonl"""
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["ndjson", "parquet", "otlp", "ecs"]),
    default="ndjson",
    show_default=True,
    help="NDJSON: whole incidents. OTLP, ECS: a record a line for OpenTelemetry, Elastic.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; all but Parquet go to standard output without it.",
)
@filter_options()
@store_option
@config_option
def export(
    kind: ExportKind | Literal["parquet"],
    output: Path | None,
    store_path: Path | None,
    config_path: Path | None,
    **options: Any,
) -> None:
    """Every incident of a filter, newest first. Parquet holds a row for each incident, NDJSON
    all that is known of it; OTLP and ECS what a message says.
    """
    criteria = filter_of(options)
    settings, _ = settings_of(config_path, store__path=store_path)
    history = history_of(settings, terminal.say_fault)
    rows = all_rows(lambda after, size: history.search(criteria, after=after, limit=size), None)
    try:
        if kind == "parquet":
            if output is None:
                raise click.UsageError("--format parquet needs --output FILE")
            _write_parquet(iter(rows), output)
            return
        item = _item_maker(kind, history, settings)
        if output is None:
            for made in filter(None, map(item, rows)):
                click.echo(json.dumps(made))
        else:
            with output.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(made) + "\n" for made in filter(None, map(item, rows)))
    except BrokenPipeError:
        raise
    except OSError as error:
        if output is None:  # standard output: the whole program says so, once
            raise
        raise UserError(f"{output}: cannot be written: {error.strerror or error}") from error


def _item_maker(
    kind: ExportKind, history: History, settings: Settings
) -> Callable[[IncidentRow], Item | None]:
    """Returns what makes the line of a row in this format, None where the row is gone meanwhile."""
    if kind == "ndjson":
        from detector.store.query.detail_item import detail_item

        def whole(row: IncidentRow) -> Item | None:
            detail = history.incident(row.id)
            return None if detail is None else detail_item(detail)

        return whole
    from detector.app.incident_records import record_maker

    return record_maker(kind, history, settings)


def _write_parquet(rows: Iterator[IncidentRow], output: Path) -> None:
    """The fields of a row as columns; times are integers of µs since 1970."""
    try:
        arrow, parquet = (
            importlib.import_module("pyarrow"),
            importlib.import_module("pyarrow.parquet"),
        )
    except ImportError as error:
        raise UserError(
            "Parquet needs pyarrow, which is not installed: pip install "
            "'oopswatch[parquet]'; NDJSON needs nothing"
        ) from error
    names = [field.name for field in fields(IncidentRow)]
    schema = arrow.schema(
        [(name, arrow.int64() if name in _INTEGERS else arrow.string()) for name in names]
    )
    with parquet.ParquetWriter(str(output), schema, compression="zstd") as writer:
        while group := list(islice(rows, _GROUP)):
            writer.write_table(
                arrow.Table.from_pylist([asdict(row) for row in group], schema=schema)
            )
