"""`oopswatch patterns`: the catalogue checked, listed, shown, tried."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector import clock
from detector.app import build
from detector.cli import terminal
from detector.cli.options import NameParam
from detector.cli.settings_options import config_option, patterns_option, settings_of, store_option
from detector.errors import UserError
from detector.kernel_errors import draft as kernel_error_draft
from detector.render.escape import inert
from detector.render.objects import Item, rule_item
from detector.render.units import several

if TYPE_CHECKING:
    from detector.catalogue import Catalogue, Signature
    from detector.catalogue.known_issues import KnownIssue
from detector.cli.pattern_tests import agree, claimed, update_cases
from detector.cli.sigma import from_sigma, to_sigma


@click.group()
def patterns() -> None:
    """The catalogue: signatures, rules, known issues."""


patterns.add_command(to_sigma)
patterns.add_command(from_sigma)


@patterns.command(
    epilog="""\b
Examples:
  oopswatch patterns check
  oopswatch patterns check --patterns ./our-patterns
  oopswatch patterns check --templates ./our-templates
Exit: 0 all in order, 1 faults, each with file and line."""
)
@click.option(
    "--templates",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of message templates to check.",
)
@patterns_option
@config_option
def check(templates: Path | None, folders: tuple[Path, ...], config_path: Path | None) -> None:
    """Checks every pattern file: shape, ids, examples, regexes, times.
    Runs the tests of rules and known issues.

    Message templates are read and tried, too.
    """
    from detector.catalogue import CatalogueError
    from detector.cli.rule_tests import failing
    from detector.explain import failing_tests

    worded, faults = _check_templates(templates, config_path)
    try:
        catalogue = _catalogue(folders, config_path)
    except CatalogueError as error:
        faults += map(str, error.faults)
        for line in faults:
            click.echo(line)
        click.echo(several(len(faults), "fault"), err=True)
        sys.exit(1)
    faults += [line for rule in catalogue.rules for line in failing(catalogue, rule)]
    faults += [line for issue in catalogue.known_issues for line in failing_tests(issue)]
    for line in faults:
        click.echo(line)
    tests = sum(len(rule.tests) for rule in catalogue.rules)
    cases = sum(len(issue.test) for issue in catalogue.known_issues)
    examples = sum(len(entry.examples) + len(entry.rejects) for entry in catalogue.signatures)
    checked = (
        f"{several(len(catalogue.signatures), 'signature')} with {several(examples, 'example')}, "
        f"{several(len(catalogue.rules), 'rule')} with {several(tests, 'test')}"
    )
    click.echo(
        (
            f"{several(len(faults), 'fault')} in {checked}, "
            f"{several(len(catalogue.known_issues), 'known issue')} with "
            f"{several(cases, 'test')}{worded}"
        ),
        err=bool(faults),
    )
    sys.exit(1 if faults else 0)


def _check_templates(folder: Path | None, config_path: Path | None) -> tuple[str, list[str]]:
    """How many message templates there are, in words, and what is wrong with them."""
    from detector.alert.templates import check_folder

    settings, _ = settings_of(config_path, alert__templates=folder)
    if settings.alert.templates is None:
        return "", []
    count, faults = check_folder(settings.alert.templates)
    return f", {several(count, 'message template')}", faults


@patterns.command(
    "list",
    epilog="""\b
Examples:
  oopswatch patterns list
  oopswatch patterns list --json | jq -r .id""",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="NDJSON, one object for each signature, rule and known issue.",
)
@patterns_option
@config_option
def list_(as_json: bool, folders: tuple[Path, ...], config_path: Path | None) -> None:
    """Every signature, rule and known issue."""
    from detector.cli.rule_tests import asked_for

    catalogue = _catalogue(folders, config_path)
    if as_json:
        for item in [_signature_item(entry) for entry in catalogue.signatures] + [
            rule_item(rule) for rule in catalogue.rules
        ]:
            click.echo(json.dumps(item, ensure_ascii=False))
        for issue in catalogue.known_issues:
            click.echo(
                json.dumps(
                    {"type": "known-issue", "id": issue.id, "title": issue.title},
                    ensure_ascii=False,
                )
            )
        return
    out = terminal.console()
    rows = [
        (entry.id, entry.cls, entry.origin, entry.severity, entry.title)
        for entry in catalogue.signatures
    ]
    terminal.say_table(out, "Signatures", ("id", "class", "origin", "severity", "title"), rows)
    rules = [
        (
            rule.id,
            asked_for(rule),
            f"{rule.timespan_us / 1e6:g} s",
            rule.severity,
        )
        for rule in catalogue.rules
    ]
    terminal.say_table(out, "Rules", ("id", "of", "within", "severity"), rules)
    terminal.say_table(
        out,
        "Known issues",
        ("id", "title"),
        [(issue.id, issue.title) for issue in catalogue.known_issues],
    )


@patterns.command(
    "show",
    epilog="""\b
Example:
  oopswatch patterns show kernel.paging-request""",
)
@click.argument("name", type=NameParam())
@patterns_option
@config_option
def show(name: str, folders: tuple[Path, ...], config_path: Path | None) -> None:
    """All of one signature, rule or known issue."""
    catalogue = _catalogue(folders, config_path)
    signature = catalogue.signature(name)
    rule = next((entry for entry in catalogue.rules if entry.id == name), None)
    issue = next((entry for entry in catalogue.known_issues if entry.id == name), None)
    if signature is None and rule is None and issue is None:
        lists = (catalogue.signatures, catalogue.rules, catalogue.known_issues)
        near = get_close_matches(name, [entry.id for rows in lists for entry in rows], n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(
            f"no signature, rule or known issue is called {name}.{meant} "
            "`oopswatch patterns list` names all"
        )
    item = _signature_item(signature) if signature else rule_item(rule) if rule else {}
    item = item or (_issue_item(issue) if issue else {})
    for key, value in item.items():
        for part in value if isinstance(value, list) else [value]:
            click.echo(f"{key:<10} {inert(str(part))}")


def _issue_item(issue: KnownIssue) -> Item:
    """A known issue as people read it: what is not told is left out."""
    values = {
        "id": issue.id,
        "title": issue.title,
        "summary": issue.summary,
        "why": issue.explanation,
        "since": issue.since,
        "fixed": issue.fixed,
        "stable": [entry.release for entry in issue.stable],
        "fixed by": [
            f"{entry.hash[:12]} {entry.title or entry.note or ''}" for entry in issue.fixed_by
        ],
        "until then": issue.mitigation,
        "next": list(issue.next_steps),
        "covers": list(issue.covers),
    }
    return {name: value for name, value in values.items() if value}


@patterns.command(
    "test",
    epilog="""\b
Examples:
  oopswatch patterns test 'IPv4: Attempt to release TCP socket in state 10 ffff805624a7b800'
  dmesg -t | oopswatch patterns test -
  oopswatch patterns test --patterns ./our-patterns ./our-cases
A case is a folder with a log (log, log.json, log.gz ...) and expected.json:
  {"why": "one sentence", "options": {"host": "h1"},
   "incidents": [{"rule": "tcp-release-and-memory-fault", "gap_us": 492317}],
   "matches": [{"signature": "kernel.paging-request", "function": "tcp_v4_rcv"}],
   "noise": [{"process": "python", "count": 2}]}
Lists are exact in number and order; keys are those of `scan --json`, or of its report.
--update writes into each expected.json what the scan says; review it with `git diff`.
Exit: 0 at least one line is claimed, or all cases agree; 1 none, or one differs.""",
)
@click.argument("what", metavar="LINE|-|FOLDER", type=NameParam())
@click.option(
    "--update", is_flag=True, help="Write what the scan says into the cases of FOLDER, for review."
)
@patterns_option
@config_option
def test(what: str, folders: tuple[Path, ...], config_path: Path | None, *, update: bool) -> None:
    """Names the signature that claims a message (without its stamp), and the fields it finds.
    `-` reads messages from standard input.

    A FOLDER is searched for golden cases, each a log and what a scan of it must say, and every case
    is run.
    """
    catalogue = _catalogue(folders, config_path)
    is_folder = what != "-" and Path(what).is_dir()
    if update and not is_folder:
        raise click.UsageError(f"--update needs a FOLDER of cases, and {what} is none")
    if update:
        update_cases(Path(what), catalogue, config_path)
        return
    sound = agree(Path(what), catalogue, config_path) if is_folder else claimed(what, catalogue)
    sys.exit(0 if sound else 1)


@patterns.command(
    "draft",
    epilog="""\b
Example:
  oopswatch patterns draft 4f1c20aa93be > our-patterns/driver.toml""",
)
@click.argument("identity", metavar="ID", type=NameParam())
@store_option
@config_option
def draft(identity: str, store_path: Path | None, config_path: Path | None) -> None:
    """The frame of a signature, from a kernel error of the history; its examples are its tests."""
    from detector.store import open_history

    settings, _ = settings_of(config_path, store__path=store_path)
    kept = open_history(settings.store.path).kernel_error(identity, clock.now_us())
    if kept is None:
        raise UserError(
            f"{settings.store.path}: no kernel error {identity}; `oopswatch kernel-errors list` "
            "names them"
        )
    try:
        click.echo(kernel_error_draft.draft(identity, kept.samples), nl=False)
    except kernel_error_draft.DraftError as error:
        raise UserError(f"{identity}: {error}: {kept.row.template}") from error


def _catalogue(folders: Sequence[Path], config_path: Path | None) -> Catalogue:
    settings, _ = settings_of(config_path, patterns__directories=tuple(folders))
    return build.catalogue_of(settings, prove=True)


def _signature_item(entry: Signature) -> dict[str, object]:
    return {
        "type": "signature",
        "id": entry.id,
        "title": entry.title,
        "class": entry.cls,
        "origin": entry.origin,
        "severity": entry.severity,
        "meaning": entry.meaning,
        "literal": list(entry.literals),
        "regex": entry.regex,
        "source": entry.source,
        "match": list(entry.examples),
        "reject": list(entry.rejects),
        "file": f"{entry.path}:{entry.line}",
    }
