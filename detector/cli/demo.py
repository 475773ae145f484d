"""`oopswatch demo`: a simulated fleet through Kafka's protocol into a history, and whether
planted and found agree.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector.app import build
from detector.cli import terminal as text
from detector.cli.options import program
from detector.cli.settings_options import config_option, patterns_option, settings_of, store_option
from detector.errors import UserError
from detector.hooks import Hooks
from detector.render.escape import inert
from detector.simulate.plan import PLAN

if TYPE_CHECKING:
    from rich.console import Console

    from detector.demo import DemoBroker, DemoResult, SilentBrokerError
    from detector.pipeline import Pipeline
    from detector.store import Journal

_MEANINGS = {
    "incident": "socket released in a live state, and a kernel fault within 10 s",
    "release-alone": "the socket line alone, in several states",
    "fault-alone": "a kernel fault alone",
    "cross-host": "one half on each of two hosts",
    "same-uptime": "halves at the same uptime of two boots",
    "reboot-between": "halves seconds apart, with a reboot between them",
    "far": "halves on one boot, more than 10 s apart",
    "forged-syslog": "both lines written by a program through syslog",
    "forged-kmsg": "both lines written by a program into /dev/kmsg",
    "forged-comm": "a program named like a kernel fault crashes",
    "quoted-by-user": "a program's log quotes a kernel fault",
    "quoted-by-kernel": "an audit line quotes a kernel fault",
    "nothing planted": "ordinary lines",
    "noise": "crashes of user programs, counted and set apart",
}


@click.command(
    epilog="""\b
Examples:
  oopswatch demo                              a broker inside this process
  oopswatch demo --bootstrap localhost:9092   a real one, with a topic of its own
Exit: 0 when planted and found agree, 1 when they do not, 2 when it cannot run."""
)
@click.option(
    "--bootstrap",
    envvar="KAFKA_BOOTSTRAP_SERVERS",
    help="Brokers, host:port, with commas; default: librdkafka's mock cluster.",
)
@click.option(
    "--seed",
    type=int,
    default=PLAN.seed,
    show_default=True,
    help="Another seed plants other things elsewhere.",
)
@click.option(
    "--lines",
    type=click.IntRange(20_000),
    default=PLAN.lines,
    show_default=True,
    help="Lines in all.",
)
@store_option
@patterns_option
@config_option
def demo(
    bootstrap: str | None,
    seed: int,
    lines: int,
    store_path: Path | None,
    folders: tuple[Path, ...],
    config_path: Path | None,
) -> None:
    """Ships the kernel logs of a simulated fleet through Kafka into the pipeline, and prints
    what was planted and what was found.
    """
    from detector import demo as demonstration
    from detector.demo import DemoError

    overrides = {"kafka__bootstrap_servers": bootstrap, "patterns__directories": folders}
    settings, _ = settings_of(config_path, **overrides)
    catalogue = build.catalogue_of(settings)
    store = _fresh(store_path)
    plan = replace(PLAN, seed=seed, lines=lines)
    console = text.console()

    def watch(journal: Journal, summary: Hooks) -> Pipeline:
        return build.watch_of(settings, journal, catalogue, hooks=summary)

    def begun(broker: DemoBroker, silent: SilentBrokerError | None = None) -> None:
        if silent is not None:
            console.print(f"{silent}: once more, with another one")
        where = ", ".join(broker.kafka.bootstrap_servers)
        console.print(
            f"{plan.hosts} hosts, {plan.lines:,} lines, {plan.incidents} incidents, "
            f"through {broker.name} ({where})"
        )

    try:
        with _progress() as progress:
            if bootstrap is None:
                outcome = demonstration.embedded_demo(
                    plan, settings.kafka, watch, store, progress, begun
                )
            else:
                given = demonstration.DemoBroker("Kafka", settings.kafka)
                begun(given)
                outcome = demonstration.demo(plan, given, watch, store, progress)
    except DemoError as error:
        raise UserError(f"demo: {error}") from error
    _say(console, outcome)
    sys.exit(0 if outcome.agrees else 1)


def _fresh(path: Path | None) -> Path:
    """A history that is not there yet: what was found before would be taken for found now."""
    if path is None:
        return Path(tempfile.mkdtemp(prefix="oopswatch-demo-")) / "demo.db"
    if path.exists():
        raise UserError(
            f"demo: {path} is there already: give a file that is not, or none for a temporary one"
        )
    return path


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on standard error with records and time, on a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("records stored"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("demo", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _say(console: Console, outcome: DemoResult) -> None:
    """The table, the rate, and how to look further."""
    from rich.table import Table

    from detector.settings import DEFAULT_PORT

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("kind", "planted", "to find", "found", "", "what it is"):
        table.add_column(
            name, justify="right" if name in ("planted", "to find", "found") else "left"
        )
    for row in outcome.rows:
        verdict = "[green]ok[/]" if row.expected == row.reported else "[red]differs[/]"
        table.add_row(
            row.kind,
            str(row.planted),
            str(row.expected),
            str(row.reported),
            verdict,
            _MEANINGS.get(row.kind, ""),
        )
    console.print(table)
    for (host, process), (planted, counted) in outcome.comparison.noise.items():
        console.print(
            f"noise differs: {inert(host)} {inert(process)}: planted {planted}, counted {counted}",
            markup=False,
        )
    rate = outcome.records / outcome.seconds
    console.print(
        f"{outcome.records:,} records in {outcome.seconds:.1f} s, {rate:,.0f} a second, "
        "sender and pipeline together"
    )
    console.print(
        "[green]planted and found agree[/]"
        if outcome.agrees
        else "[red]planted and found do not agree[/]"
    )
    console.print(f"the history is {outcome.store}; look into it:", markup=False)
    for words in ("incidents list", "noise", "serve"):
        console.print(
            f"  {program()} {words} --store {outcome.store}", markup=False, soft_wrap=True
        )
    console.print(f"`serve` shows it as pages: open http://127.0.0.1:{DEFAULT_PORT}/", markup=False)
