"""`oopswatch positions`: where reading goes on, and how a person sets it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click

from detector import clock
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.errors import UserError
from detector.model import Position
from detector.render.units import several
from detector.store.query.filters import moment_us
from detector.store.turns import held


@click.group()
def positions() -> None:
    """The positions where reading goes on in each partition: docs/positions.md.
    They can be set, too.
    """


@positions.command(
    name="list",
    epilog="\b\nExamples:\n  oopswatch positions list\n  oopswatch positions list --json --store "
    "history.db",
)
@click.option("--json", "as_json", is_flag=True, help="NDJSON.")
@store_option
@config_option
def list_positions(as_json: bool, store_path: Path | None, config_path: Path | None) -> None:
    """Each source with the next offset to read, and the topic id that this is of."""
    from detector.store.ingest.positions import read_positions

    settings, _ = settings_of(config_path, store__path=store_path)
    positions_read = read_positions(settings.store.path)
    if as_json:
        for source, position in positions_read.items():
            click.echo(json.dumps(position_item(source, position)))
        return
    width = max(map(len, positions_read), default=0)
    for source, position in positions_read.items():
        note = "  set, not read from yet" if position.set_us is not None else ""
        if position.counted > position.offset:
            note += f"  noise counted up to {position.counted}"
        click.echo(f"{source:<{width}}  {position.offset:>12}  {position.topic_id or '-'}{note}")
    click.echo(several(len(positions_read), "source"))


@positions.command(
    name="set",
    epilog="""\b
Examples:
  oopswatch positions set kernel-logs/0 1500              one partition, one offset
  oopswatch positions set kernel-logs beginning           all that Kafka holds, again
  oopswatch positions set kernel-logs 2026-01-31T06:00Z   from a time on
  oopswatch positions set kernel-logs end                 skip what is there
Incidents are not raised twice, and noise that is counted is not counted again.""",
)
@click.argument("source", metavar="TOPIC[/PARTITION]")
@click.argument("where", metavar="OFFSET|beginning|end|TIME")
@store_option
@config_option
def set_position(
    source: str, where: str, store_path: Path | None, config_path: Path | None
) -> None:
    """Sets from where `oopswatch run` reads. Stop it first; it says at its start where it
    begins.
    """
    from detector.store import open_journal

    settings, _ = settings_of(config_path, store__path=store_path)
    path = settings.store.path
    if not path.is_file():
        raise UserError(f"{path}: there is no such history: name the file that `run` writes")
    # The Kafka client is slow to load, and only this command needs it.
    from detector.sources.kafka import offsets

    now_us = clock.now_us()
    topic, partition = _split(source)
    if where in {"beginning", "end"}:
        choose = getattr(offsets, where)
    elif where.isascii() and where.isdigit():
        if partition is None:
            raise UserError(f"an offset is of one partition: say {topic}/0, not {topic}")
        choose = offsets.exactly(int(where))
    else:
        choose = offsets.since(_moment(where, now_us))
    with closing(open_journal(path)) as journal, held(path):
        places = offsets.offsets(settings.kafka, topic, partition, choose)
        before = {name: journal.sources.get(name) for name in places}
        after = {
            name: moved(before[name], place.log.topic_id, place.offset, now_us)
            for name, place in places.items()
        }
        journal.sources.place(after)
    for name, position in after.items():
        known = before[name]
        click.echo(f"{name}: {known.offset if known else '-'} → {position.offset}")


def moved(before: Position | None, topic_id: str | None, offset: int, now_us: int) -> Position:
    """The position that is set: noise stays counted, unless it was that of another topic."""
    same = before is not None and before.topic_id in {None, topic_id}
    counted = max(before.counted, before.offset, offset) if before and same else offset
    return Position(offset, topic_id, counted, now_us)


def position_item(source: str, position: Position) -> dict[str, object]:
    """A position as JSON."""
    return {
        "type": "position",
        "source": source,
        "position": position.offset,
        "topic_id": position.topic_id,
        "counted": position.counted,
        "set_us": position.set_us,
    }


def _split(source: str) -> tuple[str, int | None]:
    topic, slash, number = source.rpartition("/")
    if not slash:
        return source, None
    if not number.isascii() or not number.isdigit():
        raise UserError(f"{source}: write TOPIC or TOPIC/PARTITION, as kernel-logs/0")
    return topic, int(number)


def _moment(text: str, now_us: int) -> int:
    try:
        return moment_us(text, now_us)
    except (ValueError, OverflowError) as error:
        raise UserError(
            f"{text}: neither an offset, nor beginning or end, nor a time: {error}"
        ) from error
