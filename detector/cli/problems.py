"""`oopswatch problems`: all reports and incidents with one fingerprint, added up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector import clock
from detector.app import build
from detector.app.known import history_of
from detector.cli import actions as acting
from detector.cli import terminal
from detector.cli.listing import ListForm, ListRequest, list_options
from detector.cli.options import NameParam
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.clock import DAY_US
from detector.errors import UserError
from detector.render.escape import inert
from detector.render.objects import Item, moment
from detector.render.units import Bucket, several, sparkline, spread
from detector.store.query.advice import ADVICE
from detector.store.query.fleet import ReleasesWith
from detector.store.query.results import ProblemDetail, ProblemRow

if TYPE_CHECKING:
    from detector.catalogue.known_issues import KnownIssue
    from detector.store import History

_WIDTH = 30
COLUMNS = (
    "problem",
    "what",
    "state",
    "last (UTC)",
    "hosts",
    "reports",
    "incidents",
    "30 days",
    "known",
)


@click.group()
def problems() -> None:
    """Crashes that are alike: all reports with one fingerprint are one problem."""


@problems.command(
    "list",
    epilog="""\b
Examples:
  oopswatch problems list --since 7d
  oopswatch problems list --module nvme --kernel 5.4..6.1
  oopswatch problems list --state open --json""",
)
@list_options(50)
def list_(request: ListRequest) -> None:
    """Problems, the one that happened last first, with the reports of the last 30 days."""
    settings = request.settings
    history = history_of(settings, terminal.say_fault)
    terminal.say_entered(settings.store.path, history.percent_entered())
    rows = request.rows(
        lambda after, size: history.problems(request.criteria, after=after, limit=size)
    )
    now_us = clock.now_us()
    form = ListForm(
        ProblemRow,
        problem_item,
        "problem",
        COLUMNS,
        lambda row: _cells(history, row, now_us),
        empty="No problem matches.",
    )
    request.say(rows, form)


@problems.command(
    "show",
    epilog=(
        "\b\nExamples:\n  oopswatch problems show 1:5d41402abc4b2a76\n  oopswatch problems "
        "show 1:5d41402abc4b2a76 --json"
    ),
)
@click.argument("fingerprint", type=NameParam())
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@store_option
@config_option
def show(
    fingerprint: str, as_json: bool, store_path: Path | None, config_path: Path | None
) -> None:
    """One problem: since when, how often, on which hosts and kernels, whether it is solved."""
    settings, _ = settings_of(config_path, store__path=store_path)
    history = history_of(settings, terminal.say_fault)
    detail = history.problem(fingerprint)
    if detail is None:
        raise UserError(
            f"{settings.store.path}: no problem {fingerprint}; `oopswatch problems list` names them"
        )
    if as_json:
        shares = {
            "hosts": [asdict(host) for host in detail.hosts],
            "kernels": [asdict(kernel) for kernel in detail.kernels],
            "hardware": [asdict(item) for item in detail.hardware],
        }
        days = [[moment(day.start_us), day.count] for day in detail.days]
        click.echo(
            json.dumps(
                problem_item(detail.row)
                | {"by": shares, "days": days, "latest": [row.id for row in detail.incidents]}
                | {"attributed": [asdict(item) for item in detail.attributed]}
                | {"advice": [asdict(item) for item in detail.advice]}
            )
        )
        return
    catalogue = build.catalogue_of(settings)
    issues = {issue.id: issue for issue in catalogue.known_issues}
    _say(
        detail,
        history.problem_days(fingerprint),
        issues.get(detail.row.known_issue or ""),
        history.releases_with(fingerprint),
    )


@problems.command(
    "advise",
    epilog="""\b
Examples:
  oopswatch problems advise 1:5d41402abc4b2a76 --cause 'race in the listener table'
  oopswatch problems advise 1:5d41402abc4b2a76 --workaround 'tcp_tw_reuse=0' --ticket OPS-4711""",
)
@click.argument("fingerprint", type=NameParam())
@click.option("--cause", help="Why it happens; '' takes it away.")
@click.option("--workaround", help="What helps until it is fixed.")
@click.option("--ticket", help="Where it is worked on.")
@acting.actor_option
@store_option
@config_option
def advise(
    fingerprint: str,
    actor: str,
    store_path: Path | None,
    config_path: Path | None,
    **columns: str | None,
) -> None:
    """Keeps what you know of a problem: its next incident, and the message about that, say it."""
    from detector.store import open_actions

    if all(text is None for text in columns.values()):
        raise click.UsageError("give --cause, --workaround or --ticket")
    settings, _ = settings_of(config_path, store__path=store_path)
    with closing(open_actions(settings.store.path, clock.now_us)) as actions:
        for about in ADVICE:
            text = columns[about]
            if text is not None:
                actions.advise(fingerprint, about, text, actor=actor)
                click.echo(f"{inert(fingerprint)}: {about} {'kept' if text else 'taken away'}")


@problems.command(
    "resolve",
    epilog="""\b
Examples:
  oopswatch problems resolve 1:5d41402abc4b2a76 --fixed-in 5.10.209 --reason 'backport is in'""",
)
@click.argument("fingerprint", type=NameParam())
@click.option(
    "--fixed-in",
    metavar="RELEASE",
    help="The first kernel release with the fix: an incident on it or later is a regression.",
)
@click.option("--reason", help="Why.")
@click.option("--json", "as_json", is_flag=True, help="NDJSON: the changes.")
@acting.actor_option
@store_option
@config_option
def resolve(
    fingerprint: str,
    fixed_in: str | None,
    reason: str | None,
    as_json: bool,
    actor: str,
    store_path: Path | None,
    config_path: Path | None,
) -> None:
    """Says that a problem is solved; its open incidents are resolved with it."""
    from detector.store import open_actions

    settings, _ = settings_of(config_path, store__path=store_path)
    with closing(open_actions(settings.store.path, clock.now_us)) as actions:
        changes = actions.resolve_problem(
            fingerprint, actor=actor, fixed_in=fixed_in, reason=reason
        )
    for change in changes:
        acting.say_change(change, as_json=as_json)
    if not as_json:
        click.echo(
            f"{inert(fingerprint)} is resolved; {several(len(changes), 'incident')} "
            f"{'was' if len(changes) == 1 else 'were'} resolved with it"
        )


def problem_item(row: ProblemRow) -> Item:
    """A problem as JSON."""
    return {
        "type": "problem",
        **asdict(row),
        "first": moment(row.first_us),
        "last": moment(row.last_us),
    }


def _cells(history: History, row: ProblemRow, now_us: int) -> tuple[str, ...]:
    since_us = now_us - _WIDTH * DAY_US
    days = spread(history.problem_days(row.fingerprint, since_us), since_us, now_us, _WIDTH)
    what, issue = inert(row.title or "-"), inert(known_of(row))
    return (
        inert(row.fingerprint),
        what,
        row.state,
        terminal.when(row.last_us),
        f"{row.hosts:,}",
        f"{row.reports:,}",
        f"{row.incidents:,}",
        sparkline(days),
        issue,
    )


def known_of(row: ProblemRow) -> str:
    """Returns what the problem is known as: the hand-written issue, else the bugs that it
    looks like.
    """
    if row.known_issue or not row.known_bugs:
        return row.known_issue or ""
    first = row.known_bugs[0]
    names = " or ".join(bug.id for bug in row.known_bugs)
    fixed = f", fixed in {first.fixed_in}" if first.fixed_in and len(row.known_bugs) == 1 else ""
    return f"{names} ({first.confidence}{fixed})"


def _facts(
    detail: ProblemDetail, issue: KnownIssue | None, releases: ReleasesWith | None
) -> tuple[tuple[str, str], ...]:
    from detector.app.standing import is_dated, since_words, trend_words

    row = detail.row
    solved = (
        ", resolved by "
        f"{inert(row.state_by or '-')}{f', fixed in {inert(row.fixed_in)}' if row.fixed_in else ''}"
    )
    prefix = "" if is_dated(detail) else "unknown, found at "
    return (
        ("problem", row.fingerprint),
        (
            "state",
            (
                f"{row.state}{solved if row.state == 'resolved' else ''}; came back "
                f"{several(row.regressions, 'time')}"
            ),
        ),
        ("first", f"{prefix}{terminal.when(row.first_us)} (UTC)"),
        ("last", f"{prefix}{terminal.when(row.last_us)} (UTC)"),
        (
            "reports",
            (
                f"{row.reports:,} on {several(row.hosts, 'host')}; "
                f"{trend_words(detail, clock.now_us())}"
            ),
        ),
        ("releases", since_words(releases) or "unknown"),
        ("incidents", f"{row.incidents:,}"),
        ("known issue", row.known_issue or "none"),
        *(
            (item.about, f"{item.text} ({item.author}, {terminal.when(item.at_us)})")
            for item in detail.advice
        ),
        *(("", words) for words in (_issue_words(detail, issue) if issue else ())),
        *(("known bug", terminal.known_bug(asdict(bug))) for bug in row.known_bugs),
    )


def _issue_words(detail: ProblemDetail, issue: KnownIssue) -> list[str]:
    """Returns how much of a problem its known issue explains."""
    from detector.app.standing import attributed_words, kernels_by_status

    return [attributed_words(detail, issue.id)] + [
        f"{several(kernel.reports, 'report')} on {kernel.words}: {', '.join(kernel.kernels)}"
        for kernel in kernels_by_status(detail.kernels, issue)
    ]


def _say(
    detail: ProblemDetail,
    days: Sequence[Bucket],
    issue: KnownIssue | None,
    releases: ReleasesWith | None,
) -> None:
    row = detail.row
    click.echo(inert(row.title or row.fingerprint))
    for label, value in _facts(detail, issue, releases):
        click.echo(f"  {label:<12}{inert(value)}")
    counts = spread(days, row.first_us - row.first_us % DAY_US, row.last_us + DAY_US, 60)
    click.echo(f"  {'over time':<12}{sparkline(counts)}\n")
    for title, shares in (
        ("host", detail.hosts),
        ("kernel", detail.kernels),
        ("hardware", detail.hardware),
    ):
        cells = [
            (
                inert(share.name),
                terminal.when(share.first_us),
                terminal.when(share.last_us),
                f"{max(share.reports, share.incidents):,}",
            )
            for share in shares
        ]
        terminal.say_table(
            terminal.console(), f"By {title}", (title, "first (UTC)", "last (UTC)", "count"), cells
        )
    newest = [
        (
            incident.id,
            terminal.when(incident.started_us),
            inert(incident.host),
            inert(incident.kernel or ""),
            incident.state,
        )
        for incident in detail.incidents
    ]
    terminal.say_table(
        terminal.console(),
        "Newest incidents",
        ("id", "started (UTC)", "host", "kernel", "state"),
        newest,
    )
