"""Tests of patterns: who claims a message, and golden cases run or written anew."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector import clock, golden
from detector.app import build
from detector.cli.settings_options import settings_of
from detector.model import Boot, Line
from detector.render.escape import inert
from detector.render.objects import Item, match_item, noise_item

if TYPE_CHECKING:
    from detector.catalogue import Catalogue


def claimed(line: str, catalogue: Catalogue) -> bool:
    """Says who claims a message, or each of standard input; whether any is claimed."""
    from detector.match import Matcher

    matcher = Matcher(catalogue)
    claimed = 0
    for message in sys.stdin if line == "-" else [line]:
        match = matcher.match(Line(message.rstrip("\r\n"), "-", 1, "-", "dmesg"), Boot())
        claimed += match is not None
        fields = (
            " ".join(f"{name}={value}" for name, value in match.fields.items()) if match else ""
        )
        claim = (
            f"{match.signature} ({match.cls}, {match.origin}, {match.severity}) {fields}"
            if match
            else "no signature"
        )
        click.echo(inert(f"{claim}: {message.rstrip()}") if line == "-" else inert(claim))
    return claimed > 0


def agree(folder: Path, catalogue: Catalogue, config_path: Path | None) -> bool:
    """Runs the golden cases below a folder, a line for each; whether all agree."""
    sound = True
    for case in _cases(folder):
        differing = golden.differences(
            case, lambda log, options: scanned(log, options, catalogue, config_path)
        )
        sound = sound and not differing
        click.echo(
            inert(f"differs  {case}: {'; '.join(differing)}" if differing else f"ok       {case}")
        )
    return sound


def update_cases(folder: Path, catalogue: Catalogue, config_path: Path | None) -> None:
    """Rewrites the cases below a folder from a scan of their logs, a line for each."""
    for case in _cases(folder):
        try:
            changed = golden.updated(
                case, lambda log, options: scanned(log, options, catalogue, config_path)
            )
        except golden.CaseError as error:
            raise click.UsageError(f"{case}: {error}") from error
        click.echo(inert(f"{'updated' if changed else 'ok     '}  {case}"))


def _cases(folder: Path) -> list[Path]:
    """The cases below a folder; none is a fault of use."""
    cases = golden.case_folders(folder)
    if not cases:
        raise click.UsageError(f"{folder}: no cases: no folder in it holds {golden.EXPECTED}")
    return cases


def scanned(
    log: Path, options: Mapping[str, str], catalogue: Catalogue, config_path: Path | None = None
) -> list[Item]:
    """The items that `scan --json` prints of a log, but for the summary; options are `host`,
    `format` and `timezone`.

    Raises CaseError where an option is of no use or the log cannot be read.
    """
    from detector.cli.scan import ScanFindings, finding_item
    from detector.drive import run
    from detector.settings import SettingsError
    from detector.sources import FileSource
    from detector.store import open_journal

    try:
        settings, _ = settings_of(
            config_path,
            parse__format=options.get("format"),
            parse__timezone=options.get("timezone"),
        )
    except SettingsError as error:
        raise golden.CaseError(str(error)) from error
    findings = ScanFindings()
    with closing(open_journal(":memory:")) as journal, closing(FileSource([str(log)])) as source:
        watch = build.watch_of(
            settings, journal, catalogue, host=options.get("host"), hooks=findings.hooks()
        )
        run(source, watch, clock.now_us)
        watch.finish(clock.now_us())
        if source.failed:
            raise golden.CaseError("; ".join(str(problem) for problem in source.problems))
    matches = [
        match_item(stored.match, findings.reports.get(stored.id)) for stored in findings.matches
    ]
    return [
        *matches,
        *map(finding_item, findings.raised.values()),
        *map(noise_item, findings.noise()),
    ]
