"""`oopswatch doctor`: checks the installation and says what to mend."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from detector import clock
from detector.cli.settings_options import config_option, patterns_option, settings_of, store_option
from detector.render.escape import inert


@click.command(
    epilog="""\b
Examples:
  oopswatch doctor --config /etc/oopswatch/oopswatch.toml
  oopswatch doctor --json | jq 'select(.level == "fault")'
Reads only, and notifies nobody. Exit: 0 no fault, 1 a fault was found, 2 settings that cannot be \
read."""
)
@click.option("--json", "as_json", is_flag=True, help="NDJSON.")
@store_option
@patterns_option
@config_option
def doctor(
    as_json: bool, store_path: Path | None, folders: tuple[Path, ...], config_path: Path | None
) -> None:
    """Checks settings, brokers, topics, history, receivers and machine, and says what to mend."""
    settings, origins = settings_of(
        config_path, store__path=store_path, patterns__directories=folders
    )
    # The Kafka client is slow to load; `--help` does without.
    from detector.doctor import CheckResult, check_everything

    given = sum(origin != "default" for origin in origins.values())
    faults = 0
    results = check_everything(settings, origins, clock.now_us())
    for result in (CheckResult("ok", "settings", f"{given} set, the rest by default"), *results):
        faults += result.level == "fault"
        if as_json:
            click.echo(json.dumps({"type": "check", **asdict(result)}, ensure_ascii=False))
            continue
        click.echo(inert(f"{result.level:<6} {result.subject}: {result.text}"))
        if result.advice:
            click.echo(inert(f"       → {result.advice}"))
    sys.exit(1 if faults else 0)
