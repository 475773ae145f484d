"""`oopswatch explain`: what each step decides about a line or a block, and why."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from detector import crash
from detector.assemble import Assembler
from detector.boots import Boots
from detector.catalogue import Catalogue
from detector.cli import parts
from detector.correlate import gap
from detector.explain import explain as diagnose
from detector.explain import layout, with_instruction
from detector.inert import inert
from detector.items import Item, diagnosis_item, match_item, report_item
from detector.match import Matcher
from detector.model import Block, Line, Match, Record, Unparsed

# A pasted log is read as one story only as far as the default rule's timespan reaches.
NEAR_US = 10_000_000


@click.command(
    epilog="""\b
Examples:
  oopswatch explain crash.txt
  dmesg | oopswatch explain -
  oopswatch explain 'Unable to handle kernel paging request at virtual address 0001950b'
Exit: 0."""
)
@click.argument("what", metavar="FILE|LINE|-")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each report and each line that is no report's.")
@click.option("--host", default="-", help="The host that the lines are of.")
@parts.patterns_option
@parts.config_option
def explain(what: str, as_json: bool, host: str, folders: tuple[Path, ...], config_path: Path | None) -> None:
    """Explains a pasted block, a log or a single line: what happened, where, why, which known bug, what to do next."""
    settings, _ = parts.settings_of(config_path, patterns__directories=folders)
    catalogue = parts.catalogue_of(settings)
    lines = _lines(what)
    parser = parts.parser_of(settings, host=host)
    records = [Record(value, what if Path(what).exists() else "-", number) for number, value in enumerate(lines, 1)]
    read = [line for record in records for line in parser.feed(record, parts.now_us())] + parser.flush()
    found, blocks = _decide([line for line in read if isinstance(line, Line)], catalogue)
    kernel = [match for match in found if match.origin == "kernel"]
    for line in read:
        if isinstance(line, Unparsed):
            click.echo(f"line {line.number}: not read: {line.reason}", err=True)
    if as_json:
        for item in _items(found, blocks, kernel, catalogue):
            click.echo(json.dumps(item, ensure_ascii=False))
        return
    if not found:
        click.echo(f"No signature claims any of {len(read)} lines.")
        _say_candidates([line for line in read if isinstance(line, Line)], catalogue)
    for block in _explained(blocks, kernel):
        report = with_instruction(crash.read(block, parts.skip_of(catalogue))) if block else None
        near = near_to(block, kernel)
        click.echo("\n".join((*layout.text_lines(report, near, diagnose(report, near, catalogue), block), "")))
    for (process, signature), count in Counter((one.fields.get("process"), one.signature) for one in found if one.origin == "user").items():
        click.echo(inert(f"noise: {process or 'a program'} crashed in user space, {count} × ({signature}): never an incident"))


def near_to(block: Block | None, kernel: Sequence[Match]) -> list[Match]:
    """The matches that may belong to one story with a block: within ten seconds of its head, or without a time to compare."""
    if block is None:
        return list(kernel)
    gaps = [(one, gap(block.head, one)) for one in kernel]
    return [one for one, apart in gaps if one.host == block.head.host and (apart is None or abs(apart[0]) <= NEAR_US)]


def _lines(what: str) -> list[bytes]:
    if what == "-":
        return sys.stdin.buffer.read().splitlines()
    path = Path(what)
    try:
        if path.is_file():
            return path.read_bytes().splitlines()
    except OSError as error:
        raise click.FileError(what, hint=str(error.strerror)) from error
    return [what.encode(errors="surrogateescape")]


def _decide(lines: list[Line], catalogue: Catalogue) -> tuple[list[Match], list[Block]]:
    """Every match and every block of the lines."""
    matcher, assembler, boots = Matcher(catalogue), Assembler(parts.opening_of(catalogue)), Boots()
    found: list[Match] = []
    blocks: list[Block] = []
    for line in lines:
        match = matcher.match(line, boots.place(line))
        signature = catalogue.signature(match.signature) if match else None
        if match is not None and not (signature and signature.marker):
            found.append(match)
        blocks += assembler.feed(line, match, 0)
    return found, blocks + assembler.flush()


def _explained(blocks: list[Block], kernel: list[Match]) -> list[Block | None]:
    """What is explained: every block; without one, the kernel matches by themselves."""
    return list(blocks) or ([None] if kernel else [])


def _items(found: list[Match], blocks: list[Block], kernel: list[Match], catalogue: Catalogue) -> list[Item]:
    items = [match_item(match) for match in found]
    for part in _explained(blocks, kernel):
        report = with_instruction(crash.read(part, parts.skip_of(catalogue))) if part else None
        diagnosis = diagnose(report, near_to(part, kernel), catalogue)
        items.append(
            {
                "type": "explanation",
                "report": report_item(report) if report else None,
                "fingerprint": crash.fingerprint(report) if report else None,
                "diagnosis": diagnosis_item(diagnosis),
                "known_issue": diagnosis.known_issue,
                "known_issue_confidence": diagnosis.known_issue_confidence,
                "next_steps": list(diagnosis.next_steps),
            }
        )
    return items


def _say_candidates(lines: list[Line], catalogue: Catalogue) -> None:
    """For a few lines: how each was read, and which signatures were near."""
    matcher = Matcher(catalogue)
    for line in lines[:10]:
        near = ", ".join(signature.id for signature in matcher.candidates(line.text)) or "none"
        said = f"line {line.number}: {line.transport}, written by {line.trust}, text {line.text!r}; signatures whose literal occurs: {near}"
        click.echo(inert(said))
