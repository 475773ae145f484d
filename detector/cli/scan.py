"""`oopswatch scan`: logs in, what they hold out."""

from __future__ import annotations

import io
import json
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector import clock
from detector.app import build
from detector.app.known import known_bugs
from detector.cli import terminal
from detector.cli.progress import progress
from detector.cli.settings_options import config_option, patterns_option, settings_of
from detector.clock import SECOND_US
from detector.correlate import StoredMatch
from detector.hooks import Hooks, RaisedIncident, RunTotals
from detector.model import CrashReport, Rejected, Unparsed
from detector.noise import NoiseCount
from detector.parse import FORMATS
from detector.render.escape import inert
from detector.render.objects import (
    Item,
    as_object,
    by_program,
    incident_item,
    match_item,
    noise_item,
    rejected_item,
    unclaimed_item,
)
from detector.repeat_runs import RepeatCount
from detector.unclaimed import UnclaimedCount, folded

if TYPE_CHECKING:
    from detector.known.lookup import KnownBugs
    from detector.pipeline import Pipeline
    from detector.sources import FileSource

STDIN = "-"
# So much of standard input is looked at before it is read: what a pipe holds.
PIPE_BYTES = 65_536
# Of the records that were set aside so many are shown.
REJECTED_SHOWN = 20


@dataclass(slots=True)
class ScanFindings:
    """The findings of a scan so far; `hooks` makes the hooks by which the pipeline fills them."""

    matches: list[StoredMatch] = field(default_factory=list)
    reports: dict[int, CrashReport] = field(default_factory=dict)
    raised: dict[str, RaisedIncident] = field(default_factory=dict)
    repeats: Counter[int] = field(default_factory=Counter)
    programs: dict[tuple[str, str, str, str], NoiseCount] = field(default_factory=dict)
    unparsed: dict[str, tuple[int, Unparsed]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    unclaimed: dict[str, UnclaimedCount] = field(default_factory=dict)
    bugs: Callable[[], KnownBugs] | None = None
    as_they_come: bool = False

    def hooks(self) -> Hooks:
        """The callables that collect."""
        return Hooks(
            match=self.matches.append,
            report=self.reports.__setitem__,
            incident=self._incident,
            repeats=self._repeats,
            noise=self._noise,
            unparsed=self._unparsed,
            rejected=self._rejected,
            unclaimed=self._unclaimed,
            switched_off=lambda signature, _strikes: click.echo(
                terminal.switched_off(signature), err=True
            ),
        )

    def noise(self) -> list[NoiseCount]:
        """The counts by source, host, process and signature."""
        return list(self.programs.values())

    def item(self, finding: RaisedIncident) -> Item:
        """An incident as JSON, with the known bugs that it looks like."""
        return finding_item(finding, self.bugs() if self.bugs else None)

    def _incident(self, finding: RaisedIncident, new: bool) -> None:
        for joined in finding.incident.joined:
            self.raised.pop(joined, None)
        self.raised[finding.incident.id] = finding
        if new and self.as_they_come:
            say_item(self.item(finding))

    def _repeats(self, rows: Sequence[RepeatCount]) -> None:
        for row in rows:
            self.repeats[row.match_id] += row.count

    def _noise(self, rows: Sequence[NoiseCount]) -> None:
        for row in by_program(rows):
            known = self.programs.setdefault(
                (row.source, row.host, row.process, row.signature), row
            )
            if known is not row:
                known.add(row)

    def _unclaimed(self, rows: Sequence[UnclaimedCount]) -> None:
        self.unclaimed = folded(self.unclaimed, rows)

    def _unparsed(self, unparsed: Unparsed) -> None:
        count, sample = self.unparsed.get(unparsed.reason, (0, unparsed))
        self.unparsed[unparsed.reason] = (count + 1, sample)

    def _rejected(self, row: Rejected) -> None:
        if len(self.rejected) < REJECTED_SHOWN:
            self.rejected.append(row)


@click.command(
    epilog="""\b
Examples:
  oopswatch scan /var/log/kern.log*            plain and compressed files of one host
  oopswatch scan --host db-17 vmcore-dmesg.txt a log that does not name its host
  journalctl -k -o json | oopswatch scan -     from a pipe
  oopswatch scan --json logs/ > findings.ndjson   a folder, for a program
  oopswatch scan --store fleet.db logs/        … and keep what was found
Exit: 0 no kernel fault found, also where lines that hold a fault's phrase were not understood \
(the last line says so, and `unclaimed` of --json), 1 kernel faults found, 2 usage or input that \
cannot be read."""
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="NDJSON: matches, incidents, noise, and a summary as the last line.",
)
@click.option("--host", help="The host of every line, whatever the lines say.")
@click.option(
    "--format",
    "log_format",
    type=click.Choice(FORMATS),
    help="Transport format; auto tells each record by itself.",
)
@click.option("--timezone", help="Zone of stamps that carry none, as Europe/Berlin; default UTC.")
@click.option(
    "--follow",
    is_flag=True,
    help="Go on reading as the files grow, over rotation, until interrupted.",
)
@click.option(
    "--store",
    "store_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep what is found in this history (SQLite).",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes that look through files ahead.",
)
@patterns_option
@config_option
def scan(
    paths: tuple[str, ...],
    as_json: bool,
    host: str | None,
    log_format: str | None,
    timezone: str | None,
    follow: bool,
    store_path: Path | None,
    jobs: int,
    folders: tuple[Path, ...],
    config_path: Path | None,
) -> None:
    """Reads logs in any known format and prints incidents, crashes and the noise by process.

    PATH is a file (plain, .gz, .xz, .zst, .bz2), a folder, a glob, or - for standard input.
    """
    from detector.sources import FileSource

    host = host or _own_host(paths)
    overrides = {
        "parse__format": log_format,
        "parse__timezone": timezone,
        "patterns__directories": folders,
    }
    settings, _ = settings_of(config_path, **overrides)
    catalogue = build.catalogue_of(settings)
    # Most logs hold no crash, and are read without what names its bug.
    bugs = cache(partial(known_bugs, settings, lambda: catalogue, terminal.say_fault))
    findings = ScanFindings(bugs=bugs, as_they_come=follow and as_json)
    literals = build.searched(settings, catalogue, kept=store_path is not None)
    source = FileSource(
        paths, follow=follow, jobs=jobs, literals=literals
    )  # its processes are begun before anything else is open
    with (
        closing(build.journal_of(settings, store_path or ":memory:")) as journal,
        progress() as on_progress,
    ):
        watch = build.watch_of(
            settings,
            journal,
            catalogue,
            host=host,
            hooks=findings.hooks(),
            keeps_noise=store_path is not None,
        )
        source.on_progress = on_progress
        seconds = _timed(source, watch)
        watch.totals.cut_lines += source.cut_lines
        if source.failed and not watch.totals.records and not as_json:
            pass  # what could not be read is all that there is to say
        elif as_json:
            _say_json(findings, watch.totals, seconds)
        else:
            terminal.say_scan(
                findings.matches,
                findings.reports,
                catalogue.opening,
                findings.repeats,
                list(map(findings.item, findings.raised.values())),
                findings.noise(),
                findings.unparsed,
                findings.rejected,
                watch.totals,
                seconds,
            )
            terminal.say_unclaimed(list(findings.unclaimed.values()))
    for problem in source.problems:
        click.echo(f"oopswatch: {problem}", err=True)
    if store_path is not None:
        _say_nameless(findings.matches)
    sys.exit(2 if source.failed else 1 if findings.matches else 0)


def _own_host(paths: Sequence[str]) -> str | None:
    """This machine's name where standard input is the kernel log of its present boot."""
    if tuple(paths) != (STDIN,) or sys.stdin.isatty():
        return None
    from detector.sources.own_boot import is_of_this_boot, own_records

    with suppress(OSError, AttributeError):  # a closed input, or one that is no file
        # As much as a pipe holds is looked at, and nothing is taken.
        opened = io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False), PIPE_BYTES)
        head = opened.peek(PIPE_BYTES)
        sys.stdin = io.TextIOWrapper(opened)
        return socket.gethostname() if is_of_this_boot(head, own_records()) else None
    return None


def _timed(source: FileSource, watch: Pipeline) -> float:
    """Runs the pipeline to the end of its input, or until the user interrupts; returns the seconds
    it took.
    """
    from detector.drive import run

    started = clock.now_us()
    try:
        run(source, watch, clock.now_us)
    except KeyboardInterrupt:
        click.echo("oopswatch: interrupted: this is what was found up to here", err=True)
    finally:
        source.close()
    watch.finish(clock.now_us())
    return (clock.now_us() - started) / SECOND_US


def _say_nameless(matches: Sequence[StoredMatch]) -> None:
    """Says which sources with faults name no host: a history keeps them under the source's name."""
    sources = list(
        dict.fromkeys(
            stored.match.source for stored in matches if stored.match.host == stored.match.source
        )
    )
    if sources:
        more = f" and {len(sources) - 1:,} more" if len(sources) > 1 else ""
        text = f"no host is named in {sources[0]}{more}; --host NAME says whose it is"
        click.echo(inert(f"oopswatch: {text}"), err=True)


def finding_item(finding: RaisedIncident, bugs: KnownBugs | None = None) -> Item:
    """An incident as JSON."""
    report, issue = finding.report, finding.diagnosis.known_issue
    return incident_item(
        finding.incident,
        finding.fingerprint,
        report,
        finding.diagnosis,
        known_bugs=as_object(bugs.shown(report, issue)) if bugs else (),
    )


def say_item(item: Item) -> None:
    """One object, one line."""
    click.echo(json.dumps(item))


def _say_json(findings: ScanFindings, totals: RunTotals, seconds: float) -> None:
    for stored in findings.matches:
        report = findings.reports.get(stored.id)
        names = as_object(findings.bugs().shown(report)) if findings.bugs else ()
        say_item(match_item(stored.match, report, names, findings.repeats[stored.id]))
    if not findings.as_they_come:
        for finding in findings.raised.values():
            say_item(findings.item(finding))
    for row in findings.noise():
        say_item(noise_item(row))
    say_item(summary_item(totals, findings, seconds))


def summary_item(totals: RunTotals, findings: ScanFindings, seconds: float) -> Item:
    """The last line of `scan --json`."""
    return {
        "type": "summary",
        "lines": totals.records,
        "bytes": totals.bytes,
        "seconds": round(seconds, 6),
        "matches": totals.matches,
        "incidents": len(findings.raised),
        "noise": totals.noise,
        "noise_folded": totals.folded,
        "cut_lines": totals.cut_lines,
        "unparsed": totals.unparsed,
        "unparsed_reasons": {
            reason: {"count": count, "sample": sample.sample.decode(errors="replace")}
            for reason, (count, sample) in findings.unparsed.items()
        },
        "rejected": totals.rejected,
        "rejected_first": [rejected_item(row) for row in findings.rejected],
        **unclaimed_item(list(findings.unclaimed.values())),
    }
