"""`oopswatch kernel-errors`: errors of the kernel that no signature claims."""

from __future__ import annotations

import json
from pathlib import Path

import click

from detector import clock
from detector.cli import terminal
from detector.cli.listing import ListForm, ListRequest, list_options
from detector.cli.options import NameParam
from detector.cli.settings_options import config_option, settings_of, store_option
from detector.errors import UserError
from detector.kernel_errors.tally import FOLDED, REMOVED
from detector.render.escape import inert
from detector.render.objects import Item, as_object
from detector.render.units import several
from detector.store.query.kernel_errors import FIELDS, KernelErrorDetail, KernelErrorRow

COLUMNS = ("id", "news", "hosts", "kernel", "lines", "last (UTC)", "template")
# Why a template is news, in words.
NEWS = {"new": "new", "release": "new to release", "spread": "suddenly frequent"}


@click.group()
def kernel_errors() -> None:
    """Errors of the kernel that no signature claims, by template; new ones first."""


@kernel_errors.command(
    "list",
    epilog="""\b
Examples:
  oopswatch kernel-errors list --news
  oopswatch kernel-errors list --host edge-32 --since 30d
  oopswatch kernel-errors list --kernel 6.8.. --json""",
)
@click.option("--news", is_flag=True, help="Only what is new, or suddenly on many hosts.")
@list_options(50, fields=FIELDS)
def list_(request: ListRequest, news: bool) -> None:
    """Templates of kernel errors: those that are news first, then by hosts."""
    from detector.store import open_history

    history = open_history(request.settings.store.path)
    now_us = clock.now_us()
    rows = request.rows(
        lambda after, size: history.kernel_errors(
            request.criteria, now_us=now_us, news=news, after=after, limit=size
        )
    )
    form = ListForm(
        KernelErrorRow,
        _item,
        "kernel error",
        COLUMNS,
        _cells,
        empty="No kernel error matches.",
        which="first",
    )
    request.say(rows, form)
    counters = history.counters()
    if folded := counters.get(FOLDED):
        lines = several(folded, "line")
        click.echo(f"{lines} more were counted without their template: too many at once", err=True)
    if removed := counters.get(REMOVED):
        templates = several(removed, "template")
        click.echo(f"{templates} of one host each made room for others", err=True)


def _item(row: KernelErrorRow | KernelErrorDetail) -> Item:
    return {"type": "kernel-error", **as_object(row)}


def _cells(row: KernelErrorRow) -> tuple[str, ...]:
    return (
        row.id,
        NEWS.get(row.news or "", ""),
        _hosts(row),
        inert(", ".join(row.kernels)),
        f"{row.count:,}",
        terminal.when(row.last_us),
        inert(row.template)[:160],
    )


def _hosts(row: KernelErrorRow) -> str:
    return f"{row.hosts:,}{'+' if row.more_hosts else ''}"


@kernel_errors.command(
    "show",
    epilog="\b\nExample:\n  oopswatch kernel-errors show 4f1c20aa93be",
)
@click.argument("identity", metavar="ID", type=NameParam())
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@store_option
@config_option
def show(identity: str, as_json: bool, store_path: Path | None, config_path: Path | None) -> None:
    """One template: hosts, kernel releases, lines by day, examples."""
    from detector.store import open_history

    settings, _ = settings_of(config_path, store__path=store_path)
    detail = open_history(settings.store.path).kernel_error(identity, clock.now_us())
    if detail is None:
        raise UserError(
            f"{settings.store.path}: no kernel error {identity}; `oopswatch kernel-errors list` "
            "names them"
        )
    if as_json:
        click.echo(json.dumps(_item(detail)))
        return
    row = detail.row
    click.echo(f"[{row.level}] {inert(row.template)}")
    if row.news:
        click.echo(f"  news        {NEWS[row.news]} since {terminal.when(row.news_us)} (UTC)")
    click.echo(f"  seen        {terminal.when(row.first_us)} to {terminal.when(row.last_us)} (UTC)")
    hosts = several(row.hosts, "host") + (" or more" if row.more_hosts else "")
    click.echo(f"  on          {hosts}, {several(row.count, 'line')}")
    for release in detail.releases:
        hosts = several(release.hosts, "host")
        click.echo(f"  kernel      {inert(release.kernel or 'unknown')}: {hosts}")
    for host in detail.last_hosts[:10]:
        lines = several(host.count, "line")
        click.echo(f"  host        {inert(host.host)}: {lines}, last {terminal.when(host.last_us)}")
    if len(detail.last_hosts) > 10:
        click.echo("              more with --json")
    for sample in detail.samples:
        click.echo(f"  example     {inert(sample)}")
    click.echo(
        f"  first       {inert(detail.first_host)} {inert(detail.source)}:{detail.line_number}"
    )
    click.echo(f"  signature   oopswatch patterns draft {row.id}")
