"""`oopswatch replay`: old logs by today's patterns and rules, compared with the history."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector import clock
from detector.app import build
from detector.cli import terminal
from detector.cli.options import TimeParam
from detector.cli.settings_options import config_option, patterns_option, settings_of, store_option
from detector.cli.stopping import tidied_on_sigterm
from detector.render.escape import inert
from detector.render.objects import Item, moment
from detector.render.units import several

if TYPE_CHECKING:
    from detector.catalogue import Catalogue
    from detector.settings import Settings
    from detector.stages.replay import ReplayChange, ReplayedInput

_KINDS = ("incident", "fault")
_CHANGES = ("new", "gone", "changed", "same")
_CUT = 60  # characters of a value that changed


@click.command(
    epilog="""\b
Examples:
  oopswatch replay --stored --store history.db              what the history holds, read anew
  oopswatch replay --stored --since 90d --patterns ./ours   … before own patterns go live
  oopswatch replay /var/log/kern.log* --store history.db    logs
  oopswatch replay --topic kernel-logs --since 24h --until 12h --config oopswatch.toml
Exit: 0 all is as in the history, 1 something is new, gone or changed, 2 usage or input that \
cannot be read. The history is only read; nobody is notified."""
)
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--stored", is_flag=True, help="Replay the faults that the history holds.")
@click.option("--host", help="The host of every line of files, whatever the lines say.")
@click.option("--topic", help="Replay a topic of Kafka.")
@click.option("--since", type=TimeParam(), help="Begin there: 30d, 12h, a date.")
@click.option("--until", type=TimeParam(), help="End there, of a topic.")
@click.option(
    "--limit", type=click.IntRange(0, 100_000), default=20, show_default=True,
    help="Incidents, and faults, that are listed of each kind of change; --json lists all.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="NDJSON; a summary as the last line.")
@patterns_option
@store_option
@config_option
def replay(
    paths: tuple[str, ...],
    stored: bool,
    host: str | None,
    topic: str | None,
    since: int | None,
    until: int | None,
    limit: int,
    as_json: bool,
    folders: tuple[Path, ...],
    store_path: Path | None,
    config_path: Path | None,
) -> None:
    """Runs today's patterns and rules over logs, a topic, or the faults of the history.
    Says what would be new, gone or changed against the history.

    Of logs and topics only what was read can be gone, and rules that count hosts are left out: they
    rest on the whole fleet.
    """
    from detector.app.rule_trial import temporary_history
    from detector.stages.replay import ReplayedInput, changes, replay_stored
    from detector.store import open_history

    if (bool(paths), bool(topic), stored).count(True) != 1:
        raise click.UsageError("say what to replay: PATH..., --topic TOPIC or --stored")
    if paths and (since or until):
        raise click.UsageError("--since and --until are for --topic and --stored")
    if host and not paths:
        raise click.UsageError("--host is for PATH...")
    if since and until and since >= until:
        raise click.UsageError("--since is not before --until")
    if stored and until:
        raise click.UsageError("--until is for --topic")
    settings, _ = settings_of(
        config_path, store__path=store_path, patterns__directories=folders or None
    )
    catalogue = build.catalogue_of(settings)
    counts: Counter[tuple[str, str]] = Counter()
    with (
        tidied_on_sigterm(),
        closing(open_history(settings.store.path)) as history,
        temporary_history(settings) as journal,
    ):
        given = ReplayedInput(journal)
        if stored:
            given.since_us = since or 0
            replay_stored(history, settings, catalogue, given)
            failed = False
        else:
            failed = _replay_logs(paths, host, topic, (since, until), settings, catalogue, given)
        for change in changes(history, given, settings, catalogue):
            counts[change.kind, change.change] += 1
            _say(change, as_json, counts[change.kind, change.change] <= limit)
    _say_summary(given, counts, stored, as_json, limit)
    differs = any(count for (_, change), count in counts.items() if change != "same")
    sys.exit(2 if failed else 1 if differs else 0)


def _replay_logs(
    paths: tuple[str, ...],
    host: str | None,
    topic: str | None,
    times: tuple[int | None, int | None],
    settings: Settings,
    catalogue: Catalogue,
    given: ReplayedInput,
) -> bool:
    """Feeds files or a topic; returns whether some of it could not be read."""
    from detector.sources import FileSource
    from detector.stages.replay import replay_logs

    if topic is None:
        with closing(FileSource(paths)) as source:
            replay_logs(source.batches(), settings, catalogue, given, clock.now_us, host)
        problems = [str(problem) for problem in source.problems]
        failed = bool(source.failed)
    else:
        from detector.sources.kafka.topic_range import TopicRange

        topic_range = TopicRange(settings.kafka, topic, *times)
        replay_logs(topic_range.batches(), settings, catalogue, given, clock.now_us)
        problems = topic_range.problems
        failed = bool(problems)
    for problem in problems:
        click.echo(inert(f"oopswatch: {problem}"), err=True)
    return failed


def _say(change: ReplayChange, as_json: bool, listed: bool) -> None:
    if change.change == "same":
        return
    if as_json:
        click.echo(json.dumps(change_item(change)))
    elif listed:
        head = f"{change.change:<7} {change.kind}  {terminal.when(change.at_us)}  {change.host}  "
        click.echo(inert(f"{head}{change.title}  ({change.name}, {change.id})"))
        for name, (before, after) in change.fields.items():
            click.echo(inert(f"          {name}: {_value(before)} → {_value(after)}"))


def _value(value: str | None) -> str:
    if value is None:
        return "none"
    return value if len(value) <= _CUT else value[: _CUT - 1] + "…"


def change_item(change: ReplayChange) -> Item:
    """One incident or fault that is otherwise than in the history, as a JSON object."""
    name = "rule" if change.kind == "incident" else "signature"
    return {
        "type": f"replay_{change.kind}",
        "change": change.change,
        "id": change.id,
        "host": change.host,
        "at": moment(change.at_us),
        name: change.name,
        "title": change.title,
        "fields": {
            field: {"before": before, "after": after}
            for field, (before, after) in change.fields.items()
        },
    }


def _say_summary(
    given: ReplayedInput,
    counts: Counter[tuple[str, str]],
    stored: bool,
    as_json: bool,
    limit: int,
) -> None:
    if as_json:
        item: Item = {"type": "replay_summary", "records": given.records}
        for kind in _KINDS:
            item[f"{kind}s"] = {change: counts[kind, change] for change in _CHANGES}
        click.echo(json.dumps(item))
        return
    what = "stored fault" if stored else "record"
    click.echo(f"Replayed {several(given.records, what)}.")
    for kind in _KINDS:
        parts = ", ".join(f"{counts[kind, change]:,} {change}" for change in _CHANGES)
        click.echo(f"{kind}s: {parts}")
        hidden = sum(max(0, counts[kind, change] - limit) for change in _CHANGES[:3])
        if hidden:
            click.echo(f"  {several(hidden, kind)} not listed: --limit, or --json for all")
