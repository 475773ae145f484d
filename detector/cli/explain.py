"""`oopswatch explain`: what each step decides about a line or a block, and why."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector import clock
from detector.app import build
from detector.app.known import known_bugs
from detector.cli import terminal
from detector.cli.options import NameParam
from detector.cli.progress import progress
from detector.cli.settings_options import config_option, patterns_option, settings_of
from detector.errors import UserError
from detector.known.words import running, statements
from detector.lazy_regex import lazy_regex
from detector.model import Block, Line, Record
from detector.parse import Parser
from detector.render.escape import inert
from detector.render.objects import as_object, match_item
from detector.render.units import several
from detector.store.query.alike import AlikeProblem
from detector.unclaimed import REASONS

if TYPE_CHECKING:
    from detector.catalogue import Catalogue

# A name of a file rather than a line of a log: one word.
_FILE = lazy_regex(r"\S+")
# A line that begins with dashes, pasted out of a list or as the kernel's `------------[ cut here`,
# is no option.
_DASHED_LINE = lazy_regex(r"-+\s|-{3}")
# As `scan` has it: standard input.
STDIN = "-"
# So few lines are each told step by step.
FEW = 10
WRITERS = {
    "kernel": "the kernel",
    "user": "user space",
    "unknown": "whoever writes to this log (it does not say)",
}


# Class of noise → what happened, around the program's name where the line has one.
_NOISE = {
    "user-fault": "{} crashed in user space",
    "image-error": "a mounted image or a network block device failed, no program",
}


class LineCommand(click.Command):
    """A command whose argument may be a line that begins with dashes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the arguments; what is a line stands behind all options."""
        lines = [] if "--" in args else [arg for arg in args if _DASHED_LINE.match(arg)]
        if lines:
            args = [*(arg for arg in args if arg not in lines), "--", *lines]
        return super().parse_args(ctx, args)


@click.command(
    cls=LineCommand,
    epilog="""\b
Examples:
  oopswatch explain crash.txt
  dmesg | oopswatch explain -
  oopswatch explain crash.txt --store history.db
  oopswatch explain 'Unable to handle kernel paging request at virtual address 0001950b'
Exit: 0, 2 input that cannot be read.""",
)
@click.argument("what", metavar="FILE|LINE|-", type=NameParam())
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object for each report and each line that is no report's.",
)
@click.option("--host", help="The host of every line, whatever the lines say.")
@click.option(
    "--store",
    "store_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A history (SQLite): say which of its problems resemble it.",
)
@patterns_option
@config_option
def explain(
    what: str,
    as_json: bool,
    host: str | None,
    store_path: Path | None,
    folders: tuple[Path, ...],
    config_path: Path | None,
) -> None:
    """Explains a pasted block, a log or a single line: what happened, where, why, which
    known bug, what to do next.
    """
    from detector import diagnose as decision
    from detector.app.standing import alike_of
    from detector.explain import explain as diagnose
    from detector.explain import terminal_text
    from detector.sources.files.paste import unquoted
    from detector.store import open_history

    settings, _ = settings_of(config_path, patterns__directories=folders)
    catalogue = build.catalogue_of(settings)
    read = _read(unquoted(_records(what)), build.parser_of(settings, host=host))
    problems, blocks = decision.decide(read, catalogue)
    stories = decision.stories(blocks, problems)
    bugs = known_bugs(settings, lambda: catalogue, terminal.say_fault)
    history = open_history(store_path) if store_path is not None else None
    if as_json:
        for item in [
            *map(match_item, problems),
            *(
                decision.explanation_item(story, catalogue, bugs)
                | ({"similar": as_object(alike_of(story, catalogue, history))} if history else {})
                for story in stories
            ),
        ]:
            click.echo(json.dumps(item))
        return
    _say_steps(_unclear(read, blocks, catalogue), catalogue)
    for story in stories:
        report = decision.report_of(story, catalogue)
        meaning = diagnose(report, story.near, catalogue)
        kernel, issue = running(report) if report else None, meaning.known_issue
        known = statements(bugs.of(report, issue), kernel, issue)
        lines = terminal_text.text_lines(
            report, story.near, meaning, story.block, known, terminal.width(terminal_text.WIDTH)
        )
        click.echo("\n".join((*lines, "")))
        if history is not None:
            _say_alike(alike_of(story, catalogue, history))
    for (process, cls, signature), count in Counter(
        (entry.fields.get("process"), entry.cls, entry.signature)
        for entry in problems
        if entry.origin == "user"
    ).items():
        words = _NOISE.get(cls, "{} did what the kernel noted").format(process or "a program")
        click.echo(inert(f"noise: {words}, {count} × ({signature}): never an incident"))
    if not problems:
        click.echo(f"No signature claims any of {several(len(read), 'line')}.")


def _say_alike(problems: list[AlikeProblem]) -> None:
    """The problems of the history that resemble it."""
    from detector.app.standing import alike_words

    for alike_problem in problems:
        row = alike_problem.row
        text = (
            f"{row.title or row.fingerprint} ({row.fingerprint}): {alike_words(alike_problem)}; "
            f"{several(row.reports, 'report')} on {several(row.hosts, 'host')}, last "
            f"{terminal.when(row.last_us)}"
        )
        click.echo(terminal.wrapped("seen before", text))
    if not problems:
        click.echo(terminal.wrapped("seen before", "no problem of the history resembles it"))


def _read(records: Iterable[Record], parser: Parser) -> list[Line]:
    """The lines; what cannot be read is said on standard error."""
    from detector import diagnose as decision

    lines, unread = decision.read_lines(records, parser, clock.now_us())
    for item in unread:
        click.echo(f"line {item.number}: not read: {item.reason}", err=True)
    return lines


def _records(what: str) -> Iterator[Record]:
    """The records of a file or of standard input, read as `scan` reads them, or the line that was
    given itself.
    """
    from detector.sources import FileSource
    from detector.sources.files.paste import records_of

    if what != STDIN and not os.path.exists(  # noqa: PTH110
        what
    ):  # a long line is no path: Path.exists raises where it is too long
        if _FILE.fullmatch(what):
            raise UserError(f"{what}: no such file; a line to explain is put in quotes, whole")
        yield from records_of(STDIN, what.encode(errors="surrogateescape"))
        return
    with closing(FileSource([what])) as source, progress() as on_progress:
        source.on_progress = on_progress
        for chunk in (chunk for batch in source.batches() for chunk in batch):
            position = 0
            while position < len(chunk.data):
                record, _, position = chunk.record_at(position)
                yield record
        for problem in source.problems:
            click.echo(f"oopswatch: {problem}", err=True)
        if source.failed:
            sys.exit(2)


def _unclear(read: list[Line], blocks: Sequence[Block], catalogue: Catalogue) -> list[Line]:
    """The lines to tell step by step: of a few all but those inside of a report, else those that
    hold the phrase of a fault and were not understood.
    """
    from detector.match import Matcher
    from detector.review import KNOWN_LINES, Review

    matcher = Matcher(catalogue)
    reported = {text for block in blocks for text in block.lines}
    if len(read) <= FEW:
        return [line for line in read if line.text not in reported or matcher.claim(line)]
    review = Review(matcher, catalogue.lists.get(KNOWN_LINES, frozenset()))
    unclear = (
        line
        for line in read
        if review.why(line) and matcher.claim(line) is None and line.text not in reported
    )
    return list(islice(unclear, FEW))


def _host_words(line: Line) -> str:
    """The host of a line; where it is the source, because the line names none, that."""
    return "no host in the line" if line.host == line.source else f"host {line.host}"


def _say_steps(lines: list[Line], catalogue: Catalogue) -> None:
    """For a few lines: how each was read, who wrote it, which signatures were near, which one
    claims it, and what follows.
    """
    from detector.match import Matcher
    from detector.review import KNOWN_LINES, Review

    if not lines:
        return
    matcher = Matcher(catalogue)
    review = Review(matcher, catalogue.lists.get(KNOWN_LINES, frozenset()))
    for line in lines:
        stamp = (
            "no kernel time"
            if line.kernel_time_us is None
            else f"{line.kernel_time_us / 1e6:.6f} s after boot"
        )
        click.echo(
            inert(
                f"line {line.number}: read as {line.transport}, {_host_words(line)}, {stamp}, "
                f"written by {WRITERS[line.trust]}"
            )
        )
        click.echo(inert(f"  text       {line.text}"))
        near = ", ".join(signature.id for signature in matcher.candidates(line.text)) or "none"
        click.echo(f"  literal of {near}")
        claim = matcher.claim(line)
        claimed = claim.signature if claim else None
        if claimed is None:
            click.echo(
                "  claimed by none"
                + (": what user space wrote is never the kernel's" if line.trust == "user" else "")
            )
            if (why := review.why(line)) is not None:
                reason, nearest = why
                click.echo(f"  not understood: {REASONS[reason]}; nearest is {nearest}")
            continue
        follows = (
            "noise"
            if claimed.origin == "user"
            else "a marker"
            if claimed.marker
            else f"a kernel fault, class {claimed.cls}"
        )
        click.echo(
            f"  claimed by {claimed.id}: {follows}"
            + ("; the lines after it belong to its report" if claimed.opens else "")
        )
    click.echo()
