"""`oopswatch simulate`: a fleet's kernel logs by a seed, with the truth beside them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from detector.cli.options import TimeParam
from detector.cli.settings_options import Command, config_option, settings_of
from detector.errors import UserError
from detector.simulate import (
    CLOCKS,
    DELIVERIES,
    FORMATS,
    TRUTH_FILE,
    SimulationPlan,
    needs_a_file_per_host,
    paced,
    records,
    to_folder,
    to_kafka,
    to_stream,
    with_progress,
    write_truth,
)
from detector.simulate import simulate as simulated

_DEFAULT = SimulationPlan()


def _count(name: str, text: str) -> Callable[[Command], Command]:
    return click.option(
        f"--{name.replace('_', '-')}",
        name,
        type=int,
        default=getattr(_DEFAULT, name),
        show_default=True,
        help=text,
    )


@click.command(
    epilog="""\b
Examples:
  oopswatch simulate --seed 7 --lines 1000000 --out fleet/          files, and fleet.truth.ndjson \
beside them
  oopswatch simulate --format journald | oopswatch scan -           a pipe
  oopswatch simulate --kafka localhost:9092 --topic kernel-logs --rate 20000 --truth truth.ndjson"""
)
@_count("seed", "The same seed and numbers give the same bytes.")
@_count("hosts", "Hosts of the fleet.")
@_count("lines", "Lines in all, about.")
@_count("duration_s", "Simulated seconds.")
@_count("incidents", "True incidents planted.")
@_count("half_signatures", "Halves alone.")
@_count("reboots", "Reboots.")
@_count("cross_host_pairs", "Halves on two hosts.")
@_count("same_uptime_pairs", "Halves at the same uptime of two boots.")
@_count("reboot_pairs", "Halves with a reboot between them.")
@_count("forged", "Pairs that user space wrote.")
@_count("far_pairs", "Halves further apart than the window.")
@click.option(
    "--noise-share",
    type=float,
    default=_DEFAULT.noise_share,
    show_default=True,
    help="Share of lines that user faults print.",
)
@click.option(
    "--start",
    type=TimeParam(),
    default=_DEFAULT.start,
    help="When the simulation begins: 7d, 2026-11-01.",
)
@click.option(
    "--format",
    "log_format",
    type=click.Choice(sorted(FORMATS)),
    default="rsyslog",
    show_default=True,
)
@click.option(
    "--delivery",
    type=click.Choice(sorted(DELIVERIES)),
    default="in-order",
    show_default=True,
    help="In what order records arrive.",
)
@click.option(
    "--clock",
    type=click.Choice(sorted(CLOCKS)),
    default="right",
    show_default=True,
    help="What clocks, names and dumps do between the halves of a pair.",
)
@click.option(
    "--rate", type=click.FloatRange(1), help="Records a second; without it as fast as it goes."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder: a file for each host, and the truth.",
)
@click.option(
    "--kafka", "bootstrap", help="Brokers, host:port, with commas; records are keyed by host."
)
@click.option("--topic", default="kernel-logs", show_default=True)
@click.option(
    "--truth",
    "truth_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the truth goes (NDJSON).",
)
@config_option
def simulate(
    start: int,
    log_format: str,
    delivery: str,
    clock: str,
    rate: float | None,
    out: Path | None,
    bootstrap: str | None,
    topic: str,
    truth_path: Path | None,
    config_path: Path | None,
    **numbers: Any,
) -> None:
    """Writes a fleet's kernel logs with planted incidents, noise, half signatures and reboots,
    to standard output, files or Kafka.
    """
    from kafka.errors import KafkaError

    from detector.sources.kafka.reach import client_settings

    try:
        plan = SimulationPlan(
            start=start,
            **{
                field.name: numbers[field.name]
                for field in fields(SimulationPlan)
                if field.name in numbers
            },
        )
        simulation = simulated(plan)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if out and bootstrap:
        raise click.UsageError("--out and --kafka: one target at a time")
    if not out and not bootstrap and needs_a_file_per_host(log_format) and plan.hosts > 1:
        raise click.UsageError(
            f"--format {log_format} names no host in its lines: write a file for each host "
            "with --out, or use --hosts 1"
        )
    written = records(simulation, format=log_format, delivery=delivery, clock=clock)
    shipped = with_progress(paced(written, rate), _progress())
    try:
        if out:
            to_folder(shipped, out)
        elif bootstrap:
            settings, _ = settings_of(config_path, kafka__bootstrap_servers=bootstrap)
            to_kafka(shipped, topic, client_settings(settings.kafka))
        else:
            to_stream(shipped, sys.stdout.buffer)
        if path := truth_path or (out.parent / f"{out.name}.{TRUTH_FILE}" if out else None):
            write_truth(simulation.truth, path)
    except BrokenPipeError:
        raise
    except (OSError, KafkaError) as error:
        raise UserError(f"simulate: {error}") from error


def _progress() -> Any:
    if not sys.stderr.isatty():
        return None
    return lambda number: click.echo(f"\r{number:,} records", nl=False, err=True)
